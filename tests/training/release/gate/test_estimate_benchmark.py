import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from isthmus.errors import ConfigurationError


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("estimate_benchmark", repository / "tools" / "estimate_benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> list[dict]:
    true, sure = (0.1, 0.2, 0.3), (0.25, 0.2, 0.35)  # one pair is exchanged: Spearman 1 − 6 · 2 / (3 · 8) = 0.5
    return [
        {
            "method": f"method {number}",
            "target": "street",
            "miou": miou,
            "estimated": {"confidence": guess, "thresholded confidence": miou + 0.05},
        }
        for number, (miou, guess) in enumerate(zip(true, sure, strict=True))
    ]


def test_ranks_and_errors_by_hand(tool: ModuleType, capsys: pytest.CaptureFixture[str]):
    tool.print_table(rows())
    lines = capsys.readouterr().out.splitlines()
    assert "| street | confidence | 3 | 0.50 | 6.7 points | +6.7 points |" in lines
    assert "| street | thresholded confidence | 3 | 1.00 | 5.0 points | +5.0 points |" in lines


def test_other_weights_are_measured_anew(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = tmp_path / "segmenter.safetensors"
    weights.write_bytes(b"first")
    info = SimpleNamespace(step=10)
    monkeypatch.setattr(tool, "resolve", lambda run: tmp_path)
    monkeypatch.setattr(tool, "read_info", lambda folder: info)
    measured: list[Path] = []

    def measure(run: Path, *_: object) -> list[dict]:
        measured.append(run)
        return [{**row, "name": "run", "step": info.step, "run": str(run)} for row in rows()]

    monkeypatch.setattr(tool, "measure", measure)
    arguments = tool.Arguments(
        runs=(Path("run"),), source="gta5,/a,all", targets=("camvid,/c,val",), out=tmp_path / "out"
    )
    for _ in range(2):
        assert [row["step"] for row in tool.measured_rows(arguments)] == [10, 10, 10]
    assert len(measured) == 1
    weights.write_bytes(b"second")
    tool.measured_rows(arguments)
    info.step = 20
    assert [row["step"] for row in tool.measured_rows(arguments)] == [20, 20, 20]
    assert len(measured) == 3


def test_scatter_is_a_picture(tool: ModuleType, tmp_path: Path):
    tool.draw(rows(), tmp_path / "estimates.png")
    assert (tmp_path / "estimates.png").read_bytes().startswith(b"\x89PNG")


def test_sets_are_named_in_one_word(tool: ModuleType):
    config = tool.frames_of("gta5,/data/arcade,all,holdout", 7)
    assert (config.title, config.data.root, config.max_frames) == ("gta5/all:holdout", Path("/data/arcade"), 7)
    with pytest.raises(ConfigurationError, match="gta5,/data/arcade: split: required"):
        tool.frames_of("gta5,/data/arcade", 7)
