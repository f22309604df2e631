from isthmus.training.history import History, read_history


def test_rows_come_back_by_kind(tmp_path):
    history = History(tmp_path)
    history.append(1, "train", {"losses": {"total": 0.5}})
    history.append(1, "evaluation", {"miou": 0.25})
    assert [row["step"] for row in read_history(tmp_path)] == [1, 1]
    assert list(read_history(tmp_path, "evaluation")) == [{"step": 1, "kind": "evaluation", "miou": 0.25}]


def test_resume_cuts_rows_that_came_after_the_checkpoint(tmp_path):
    history = History(tmp_path)
    for step in (1, 2, 3):
        history.append(step, "train", {})
    with history.path.open("a") as stream:
        stream.write('{"step": 4, "ki')  # killed while writing
    resumed = History(tmp_path, rows=2)
    assert resumed.num_rows == 2
    resumed.append(3, "train", {})
    assert [row["step"] for row in read_history(tmp_path)] == [1, 2, 3]


def test_a_new_run_starts_empty(tmp_path):
    History(tmp_path).append(1, "train", {})
    assert History(tmp_path).num_rows == 0
    assert list(read_history(tmp_path)) == []
