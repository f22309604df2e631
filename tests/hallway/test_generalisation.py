"""`isthmus generalisation`: tables in the terminal, JSON and Markdown."""

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from isthmus import cli
from isthmus.cli.generalisation import TextTable


@pytest.fixture
def runs(tmp_path):
    """Two seeds, judged on one set of two classes after steps 4 and 8; the last step counts."""
    folders = []
    for seed, mious in ((1, (0.5, 0.25)), (2, (0.125, 0.75))):
        folder = tmp_path / f"run-{seed}"
        folder.mkdir()
        folders.append(str(folder))
        street = {"dataset": "cityscapes", "root": "street", "split": "val", "name": "street"}
        config = {
            "name": "r|un",
            "seed": seed,
            "method": {"name": "randomization"},
            "loop": {"steps": 8},
            "sources": [{"dataset": "gta5", "root": "arcade", "split": "all"}],
            "validation": None,
            "evaluated_on": [street],
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        facts = {"title": "street", "dataset": "cityscapes", "split": "val", "num_frames": 3, "label_space": "two"}
        way = {"resolution_hw": [24, 32], "mode": "sliding", "window_hw": [8, 16], "stride_hw": [4, 8]}
        rows = [
            {"step": step, "kind": "evaluation", "role": "evaluation", **facts, **way, "miou": miou}
            for step, miou in zip((4, 8), mious, strict=True)
        ]
        lines = [json.dumps({**row, "confusion": [[1, 0, 0], [0, 1, 0]]}) for row in rows]
        (folder / "history.jsonl").write_text("\n".join(lines))
    return folders


def test_the_page_holds_the_tables_and_the_command(runs, tmp_path, capsys):
    out = tmp_path / "made" / "page.md"
    cli.run(["generalisation", *runs, "--out", str(out)])
    page = out.read_text(encoding="utf-8")
    assert page.startswith(f"```bash\nisthmus generalisation {runs[0]} {runs[1]}\n```\n")
    head, chosen, optimistic = re.findall(r"\*\*(.*?)\*\*\n\n((?:\|.*\n)+)", page)
    assert (
        head[1].splitlines()[2] == f"| r\\|un, seed 1 | {runs[0]} | randomization | the last step (no validation) | 8 |"
    )
    assert chosen[0] == "mIoU % at the chosen step"
    assert chosen[1].splitlines() == [
        "| run | street (2 classes) | mean of targets |",
        "| --- | ---: | ---: |",
        "| r\\|un, seed 1 | 25.0 | 25.0 |",
        "| r\\|un, seed 2 | 75.0 | 75.0 |",
        "| r\\|un, 2 seeds | 50.0 ± 35.4 | 50.0 ± 35.4 |",  # 50 / √2
    ]
    assert optimistic[0] == "mIoU %, best per target, optimistic: chosen with the target's own labels"
    assert optimistic[1].splitlines()[2:] == [
        "| r\\|un, seed 1 | 50.0 | 50.0 |",
        "| r\\|un, seed 2 | 75.0 | 75.0 |",
        "| r\\|un, 2 seeds | 62.5 ± 17.7 | 62.5 ± 17.7 |",  # 25 / √2
    ]
    assert "- street: 3 frames of cityscapes val (two).\n" in page
    assert f"- {runs[0]}: network sees 24x32, sliding 8x16 by 4x8; 2 evaluations of each target.\n" in page
    shown = capsys.readouterr().out
    assert "optimistic" in shown
    assert "written to" in shown


def test_what_reached_a_run_through_others_is_a_note(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    through = {"dataset": "cityscapes", "split": "train", "through": "method.start_from runs/a"}
    ancestry = [{"role": "target", "root": "street", **through}, {"role": "target", "root": "elsewhere", **through}]
    (Path(runs[0]) / "ancestry.json").write_text(json.dumps(ancestry))
    cli.run(["generalisation", *runs])
    shown = capsys.readouterr().out
    seen = "seen through method.start_from runs/a"
    assert f"{runs[0]} trained on unlabelled frames of street's data set, {seen}: no unseen target for it." in shown
    assert f"{runs[0]}, its ancestry: cityscapes/train without labels (elsewhere), {seen}." in shown


def test_json_is_all_that_is_printed(runs, capsys):
    cli.run(["generalisation", *runs, "--json"])
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert group["chosen"]["mean_over_targets"]["mean"] == 0.5


def test_what_a_target_gave_to_training_is_noted(runs, capsys):
    path = Path(runs[0]) / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["target"] = {**config["evaluated_on"][0], "split": "train", "name": None}
    path.write_text(yaml.safe_dump(config))
    cli.run(["generalisation", runs[0]])
    shown = " ".join(capsys.readouterr().out.split())
    assert "trained on unlabelled frames of street's data set: no unseen target for it." in shown


def test_names_are_no_markup():
    console = Console(file=io.StringIO(), width=80)
    console.print(TextTable("a [b]", ("run [c]",), (("[d]",),), num_labels=1).to_rich(80))
    assert all(text in console.file.getvalue() for text in ("a [b]", "run [c]", "[d]"))


def test_a_table_breaks_at_spaces_and_hyphens():
    header = ("run", "street (17 of 19 classes)", "street-night (17 of 19 classes)", "street-rain (19 classes)", "mean")
    label = "randomization-worlds-to-many, seed 1"
    table = TextTable(
        "mIoU %", header, ((label, "40.6 ± 0.3", "26.7 ± 0.4", "32.7 ± 1.1", "37.6 ± 0.2"),), num_labels=1
    )
    lines = drawn(table, width=80)
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.replace("┃", " ").replace("│", " ").split()}
    assert {"street-night", "street-rain", "worlds-to-many,", "randomization-", "classes)"} <= words
    narrow = drawn(table, width=60)
    assert max(map(len, narrow)) <= 60
    assert "street-night (17 of 19 classes)" in "".join(drawn(table, width=300))
    assert max(map(len, drawn(table, width=20))) <= 20


def drawn(table, *, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(table.to_rich(width))
    return console.file.getvalue().splitlines()


def test_no_run_is_one_error(capsys):
    with pytest.raises(SystemExit):
        cli.main(["generalisation"])
    assert capsys.readouterr().err == "error: no run named. Name output folders of `isthmus train`.\n"
