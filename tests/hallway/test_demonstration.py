"""The demo's journal: what is skipped, what is done again, and what is removed."""

import fcntl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from isthmus import cli
from isthmus.cli.demonstration.steps import Journal
from isthmus.errors import ConfigurationError, GateRefusedError


class Runner:
    """Stands in for the command line: writes `made` into the folder named last."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail = False

    def __call__(self, arguments: Sequence[str]) -> None:
        self.ran.append(arguments[0])
        folder = Path(arguments[-1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "made").write_text((folder / "made").read_text() + "x" if (folder / "made").exists() else "x")
        if self.fail:
            raise KeyboardInterrupt


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], tuple[Journal, Runner]]:
    def again() -> tuple[Journal, Runner]:
        runner = Runner()
        return Journal(tmp_path, runner, Console(quiet=True)), runner

    return again


def two_steps(journal: Journal, home: Path) -> None:
    journal.do(["train", str(home / "run")], makes=home / "run", reads=[home / "config"], starts_over=True)
    journal.do(["evaluate", str(home / "report")], makes=home / "report")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("a")
    return path


@pytest.mark.usefixtures("config")
def test_finished_steps_are_skipped(tmp_path: Path, start: Callable[[], tuple[Journal, Runner]]) -> None:
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert runner.ran == ["train", "evaluate"]
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert runner.ran == []
    assert [step.command.split()[1] for step in journal.finished] == ["train", "evaluate"]


def test_a_changed_file_starts_its_step_over_and_all_after_it(
    tmp_path: Path, start: Callable[[], tuple[Journal, Runner]], config: Path
) -> None:
    two_steps(start()[0], tmp_path)
    config.write_text("b")
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert runner.ran == ["train", "evaluate"]
    assert (tmp_path / "run" / "made").read_text() == "x", "the old run is gone"
    assert (tmp_path / "report" / "made").read_text() == "xx"


@pytest.mark.usefixtures("config")
def test_a_step_whose_result_is_gone_is_done_again(tmp_path: Path, start: Callable[[], tuple[Journal, Runner]]) -> None:
    two_steps(start()[0], tmp_path)
    (tmp_path / "run" / "made").unlink()
    (tmp_path / "run").rmdir()
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert runner.ran == ["train", "evaluate"]


@pytest.mark.usefixtures("config")
def test_an_interrupted_step_goes_on(tmp_path: Path, start: Callable[[], tuple[Journal, Runner]]) -> None:
    journal, runner = start()
    runner.fail = True
    with pytest.raises(KeyboardInterrupt):
        two_steps(journal, tmp_path)
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert (tmp_path / "run" / "made").read_text() == "xx", "what the first try left is still there"


@pytest.mark.usefixtures("config")
def test_a_damaged_journal_is_said_and_set_aside(tmp_path: Path, start: Callable[[], tuple[Journal, Runner]]) -> None:
    two_steps(start()[0], tmp_path)
    (tmp_path / "steps.json").write_text("[{")
    journal, runner = start()
    two_steps(journal, tmp_path)
    assert runner.ran == ["train", "evaluate"]


def test_outside_a_clone_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"demo\.yaml.*Run in a clone"):
        cli.run(["demo"])
    assert list(tmp_path.iterdir()) == []


def test_two_demos_do_not_share_a_folder(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("DEMO", "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="another demo is at work"):
            cli.run(["demo", "--output", str(tmp_path)])


def test_a_refusal_that_is_an_answer_is_written_down_and_the_next_step_begins(
    tmp_path: Path, start: Callable[[], tuple[Journal, Runner]]
) -> None:
    def refuse(_: Sequence[str]) -> None:
        raise GateRefusedError("mIoU fell")

    journal = Journal(tmp_path, refuse, Console(quiet=True))
    journal.do(["promote", "b"], about="second", makes=tmp_path, refusals=(GateRefusedError,))
    with pytest.raises(GateRefusedError):
        journal.do(["promote", "a"], about="first", makes=tmp_path)
    assert [(step.name.split()[1], step.refusal) for step in start()[0].finished] == [("second", "mIoU fell")]
