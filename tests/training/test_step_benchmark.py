"""Rows of the step benchmark: what is said where memory runs out, and the tables of the verb."""

import json
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from isthmus.cli import bench
from isthmus.errors import ConfigurationError, TrainingError
from isthmus.training import step_benchmark
from isthmus.training.randomization import benchmark
from isthmus.training.step_benchmark import (
    Prepared,
    Row,
    StepBenchmarkConfig,
    StepCost,
    _measure,
    measure_rows,
    random_batch,
    step_table,
)

SMALL = StepBenchmarkConfig(size_hw=(32, 32), batch_size=2, steps=1, device="cpu")


def row_of(prepare: Any = print) -> Row:
    return Row(method="any", variant="all", num_sources=1, num_views=3, prepare=prepare)


def measured(error: Exception) -> Any:
    """What is answered where preparing a row fails so."""

    def prepare(_device: torch.device) -> Prepared:
        raise error

    answers: list[Any] = []
    _measure(row_of(prepare), 1, "cpu", SimpleNamespace(send=answers.append))  # type: ignore[arg-type]
    return answers[0]


def test_figures_by_hand() -> None:
    cost = row_of().cost(0.5, 3, 100.0)
    assert (cost.images_per_second, cost.peak_mib) == (6.0, 100.0)
    assert cost.to_tree()["num_views"] == 3


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory")]
)
def test_a_row_without_enough_memory_has_no_figures(error: Exception) -> None:
    assert measured(error) == row_of().cost(None, 0, None)


def test_other_errors_are_not_taken_for_it() -> None:
    assert str(measured(ConfigurationError("no such encoder"))) == "no such encoder"
    with pytest.raises(RuntimeError, match="shapes"):
        measured(RuntimeError("shapes"))


@pytest.mark.parametrize("exit_code", [-signal.SIGKILL, 1])
def test_processes_that_die(monkeypatch: pytest.MonkeyPatch, exit_code: int) -> None:
    process = SimpleNamespace(start=lambda: None, join=lambda: None, exitcode=exit_code)
    context = SimpleNamespace(Pipe=multiprocessing.Pipe, Process=lambda **_given: process)
    monkeypatch.setattr(step_benchmark.multiprocessing, "get_context", lambda _name: context)
    if exit_code == 1:
        with pytest.raises(TrainingError, match="'all' with 1 sources and 3 views ended with exit code 1"):
            next(measure_rows(SMALL, [row_of()]))
    else:
        assert list(measure_rows(SMALL, [row_of()])) == [row_of().cost(None, 0, None)]


def test_a_table_compares_with_its_first_row() -> None:
    row = row_of()
    costs = [row.cost(0.5, 2, 200.0), row.cost(1.0, 2, 50.0), row.cost(None, 0, None)]
    console = Console(width=200, record=True, file=StringIO())
    console.print(step_table(costs, "title", counted="views"))
    text = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]
    assert [line for line in text if line] == [
        ["all", "3", "0.50", "4.00", "200", "x 1.00", "x 1.00"],
        ["all", "3", "1.00", "2.00", "50", "x 2.00", "x 0.25"],
        ["all", "3", "out of memory", "–", "–", "–", "–"],
    ]


def test_batches_are_of_the_size_asked_for() -> None:
    batch = random_batch(SMALL, torch.device("cpu"), labelled=True)
    assert batch["image"].shape == (2, 3, 32, 32)
    assert batch["mask"].shape == (2, 32, 32)
    assert batch["names"] == ["0", "1"]
    assert "mask" not in random_batch(SMALL, torch.device("cpu"), labelled=False)


def test_the_verb_measures_each_row_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wanted: list[tuple[str, int]] = []

    def measure(config: StepBenchmarkConfig, rows: Sequence[tuple[str, int]]) -> Iterator[StepCost]:
        assert config.size_hw == (64, 64)
        for variant, views in rows:
            wanted.append((variant, views))
            yield Row(method="any", variant=variant, num_sources=1, num_views=views, prepare=print).cost(1.0, 1, 1.0)

    monkeypatch.setattr(benchmark, "measure_randomization", measure)
    bench.train(methods=("randomization",), size_hw=(64, 64), views=(3, 5), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [(row["variant"], row["num_views"]) for row in rows] == wanted
    assert len(set(wanted)) == len(wanted)
    whole, divided = benchmark.WHOLE, benchmark.DIVIDED
    assert wanted[:4] == [(benchmark.SOURCE_ONLY, 1), (whole, 3), (whole, 5), (divided, 5)]
    assert set(wanted[4:]) == {(name, 3) for name in benchmark.VARIANTS} - {(whole, 3), (benchmark.SOURCE_ONLY, 3)}
    bench.train(methods=("randomization",), size_hw=(64, 64), views=(3, 5))
    assert "Randomization: numbers of views" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="no number of views"):
        bench.train(methods=("randomization",), views=())
