"""The report on unseen targets, with histories small enough to compute by hand."""

import json
import math
import re
import subprocess
import sys

import pytest
import yaml

from isthmus.errors import ConfigurationError, UnreadableFileError
from isthmus.training.generalisation import OPTIMISTIC, report_on
from isthmus.training.history import History

ARCADE = {"dataset": "gta5", "root": "arcade", "split": "all", "part": "holdout"}
STREET = {"dataset": "cityscapes", "root": "street", "split": "val", "name": "street"}
CAMVID = {"dataset": "camvid", "root": "camvid", "split": "val"}
PIXELS = {"arcade": [1] * 19, "street": [5] * 17 + [0, 0], "camvid": [3] * 11}
CURVES = {"gta5/all:holdout": [0.1, 0.5, 0.5], "street": [0.0, 0.2, 0.4], "camvid/val": [0.1, 0.4, 0.3]}
"""mIoU at steps 0, 10 and 20: validation chooses 10, the first of two equals."""


def row(dataset, miou, *, pixels=None, num_frames=4):
    classes = len(PIXELS[dataset["root"]])
    part = f":{dataset['part']}" if "part" in dataset else ""
    return {
        "title": dataset.get("name", f"{dataset['dataset']}/{dataset['split']}{part}"),
        "dataset": dataset["dataset"],
        "split": dataset["split"],
        "num_frames": num_frames,
        "resolution_hw": [24, 32],
        "mode": "whole",
        "window_hw": None,
        "stride_hw": None,
        "label_space": f"space{classes}",
        "miou": miou,
        # The prediction is class 0 everywhere; the rows' sums are the true pixels.
        "confusion": [[count, *[0] * classes] for count in pixels or PIXELS[dataset["root"]]],
    }


@pytest.fixture
def write_run(tmp_path):
    """Writes a run's folder: configuration and history."""

    def write(folder, *, curves=CURVES, targets=(STREET, CAMVID), validation=ARCADE, steps=20, changed=None, **config):
        output = tmp_path / folder
        output.mkdir()
        tree = {
            "name": "random",
            "seed": 1,
            "sources": [{**ARCADE, "part": "fit"}],
            "target": None,
            "validation": validation,
            "evaluated_on": list(targets),
            "method": {"name": "randomization"},
            "loop": {"steps": steps, "keep_last": 2},
        }
        (output / "config.yaml").write_text(yaml.safe_dump({**tree, **config}))
        history = History(output)
        for index, step in enumerate((0, 10, 20)):
            history.append(step, "train", {"losses": {}, "metrics": {}})
            for dataset in [] if validation is None else [validation]:
                made = row(dataset, 0.0)
                history.append(step, "evaluation", {"role": "validation", **made, "miou": curves[made["title"]][index]})
            for dataset in targets:
                made = row(dataset, 0.0)
                made["miou"] = curves[made["title"]][index]
                history.append(step, "evaluation", {"role": "evaluation", **made, **(changed or {})})
        return output

    return write


def test_validation_chooses_one_step_for_all_targets(write_run):
    (run,) = report_on([write_run("a")]).runs
    assert (run.name, run.method, run.seed) == ("random", "randomization", 1)
    assert (run.step, run.chosen_by) == (10, "best on source validation gta5/all:holdout")
    assert run.miou == {"street": 0.2, "camvid/val": 0.4}
    assert run.best == {"street": (20, 0.4), "camvid/val": (10, 0.4)}
    assert (run.num_evaluations, run.predicted, run.seen) == (3, "24x32, whole", ())


def test_without_validation_the_last_step_counts_however_bad(write_run):
    (run,) = report_on([write_run("a", validation=None)]).runs
    assert (run.step, run.chosen_by) == (20, "the last step (no validation)")
    assert run.miou == {"street": 0.4, "camvid/val": 0.3}


def test_validation_without_a_score_counts_as_zero_and_the_first_weights_not_at_all(write_run):
    curves = {**CURVES, "gta5/all:holdout": [None, None, 0.0]}
    assert report_on([write_run("a", curves=curves)]).runs[0].step == 10


def test_means_over_targets_and_spread_over_seeds(write_run):
    second = {"gta5/all:holdout": [0.1, 0.2, 0.6], "street": [0.0, 0.5, 0.4], "camvid/val": [0.1, 0.6, 0.8]}
    other = write_run("c", name="plain", method={"name": "source_only"})
    # Given newest seed first, with another root: neither order nor place plays a role.
    runs = [write_run("b", seed=2, curves=second, sources=[{**ARCADE, "part": "fit", "limit": 9}]), other]
    with pytest.raises(ConfigurationError, match=r"differ in more than the seed: sources\.0\.limit \(None and 9\)"):
        report_on([*runs, write_run("a")])
    moved = write_run("d", seed=2, curves=second, loop={"steps": 20, "keep_last": 5})
    tree = report_on([moved, other, moved.parent / "a"]).to_tree()
    assert [group["name"] for group in tree["groups"]] == ["random", "plain"]
    group, single = tree["groups"]
    assert [(run["seed"], run["step"]) for run in group["runs"]] == [(1, 10), (2, 20)]
    # Chosen: street 0.2 and 0.4, camvid 0.4 and 0.8, means 0.3 and 0.6; two values x, y spread by |x - y| / √2.
    assert group["chosen"]["miou"]["street"] == pytest.approx({"mean": 0.3, "std": 0.2 / math.sqrt(2)})
    assert group["chosen"]["miou"]["camvid/val"] == pytest.approx({"mean": 0.6, "std": 0.4 / math.sqrt(2)})
    assert group["chosen"]["mean_over_targets"] == pytest.approx({"mean": 0.45, "std": 0.3 / math.sqrt(2)})
    # Best: street 0.4 and 0.5, camvid 0.4 and 0.8, means 0.4 and 0.65.
    assert group["optimistic"]["what"] == OPTIMISTIC
    assert group["optimistic"]["miou"]["street"] == pytest.approx({"mean": 0.45, "std": 0.1 / math.sqrt(2)})
    assert group["optimistic"]["mean_over_targets"] == pytest.approx({"mean": 0.525, "std": 0.25 / math.sqrt(2)})
    assert group["runs"][1]["optimistic"]["best"]["street"] == {"step": 10, "miou": 0.5}
    assert single["chosen"]["mean_over_targets"] == {"mean": pytest.approx(0.3), "std": None}


def test_targets_say_how_many_classes_their_mean_is_over(write_run):
    report = report_on([write_run("a")])
    assert [target.heading for target in report.targets] == ["street (17 of 19 classes)", "camvid/val (11 classes)"]


def test_what_training_saw_of_a_target_is_told(write_run):
    frames = {**STREET, "split": "train", "name": None}
    (adapted,) = report_on([write_run("a", target=frames, validation=None)]).runs
    assert adapted.seen == ("unlabelled frames of street's data set",)
    (oracle,) = report_on([write_run("b", sources=[frames], validation=None)]).runs
    assert oracle.seen == ("labelled frames of street's data set",)


def ancestor(role, root, **changed):
    entry = {"role": role, "dataset": "camvid", "split": "train", "root": root, "through": "method.start_from runs/b"}
    return {**entry, **changed}


def test_what_reached_a_run_through_others_is_told(write_run):
    run = write_run("a")
    later = ancestor("target", "camvid", through="the generators of runs/c")
    entries = [
        ancestor("target", "camvid"),
        later,
        ancestor("validation", "./street", dataset="cityscapes"),
        ancestor("source", ""),
        ancestor("style", "street/leftImg8bit/train", dataset="style images", split=""),
    ]
    (run / "ancestry.json").write_text(json.dumps(entries))
    (found,) = report_on([run]).runs
    by_start = "seen through method.start_from runs/b"
    assert set(found.seen) == {
        f"unlabelled frames of camvid/val's data set, {by_start}",
        f"weights that labels of street's data set chose, {by_start}",
        f"style images in street's folder, {by_start}",
    }
    assert found.ancestry[:2] == (
        f"camvid/train without labels (camvid), {by_start}",
        f"camvid/train (folder unknown), {by_start}",
    )
    (run / "ancestry.json").write_text("[{}]")
    with pytest.raises(UnreadableFileError, match=r"ancestry\.json: no list of ancestors"):
        report_on([run])


def test_a_run_from_before_says_that_its_ancestry_is_unknown(write_run):
    assert report_on([write_run("alone")]).runs[0].ancestry == ()
    (run,) = report_on([write_run("begun", method={"name": "randomization", "start_from": "runs/b"})]).runs
    assert "what it began with may have seen targets" in run.ancestry[0]


def test_style_images_out_of_a_targets_folder_are_told(write_run):
    run = write_run("a", method={"name": "randomization", "styles": {"images": "camvid/train"}})
    domains = [
        {"kind": "amplitude"},
        {"kind": "fourier", "images": [{"path": "a.png"}, {"path": "../../elsewhere/b.png"}]},
        {"kind": "statistics", "images": [{"path": "a.png"}, {"path": "c.png"}]},
    ]
    (run / "style_domains.json").write_text(json.dumps(domains))
    assert report_on([run]).runs[0].seen == ("2 of 3 style images in camvid/val's folder",)
    (run / "style_domains.json").write_text('{"kind": 1}')
    with pytest.raises(UnreadableFileError, match="no list of style domains"):
        report_on([run])


def test_another_validation_is_not_called_a_sources(write_run):
    (run,) = report_on([write_run("a", sources=[{**ARCADE, "root": "studio"}])]).runs
    assert run.chosen_by == "best on validation gta5/all:holdout"


def test_a_target_must_not_choose(write_run):
    validation = {**CAMVID, "split": "train", "name": "holdout"}
    run = write_run("a", validation=validation, curves={**CURVES, "holdout": [0, 1, 2]})
    with pytest.raises(ConfigurationError, match="a: chosen by a target's labels: validation holdout and a target"):
        report_on([run])


def test_the_order_of_targets_plays_no_role(write_run):
    report = report_on([write_run("a"), write_run("b", seed=3, name="other", targets=(CAMVID, STREET))])
    assert [target.title for target in report.targets] == ["street", "camvid/val"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": (STREET,)}, "/a is judged on street, camvid/val; .*/b: lacks camvid/val. Report"),
        (
            {"targets": (CAMVID,), "changed": {"num_frames": 5}},
            "/b: camvid/val has num_frames 5, not 4, lacks street. Report",
        ),
        (
            {"changed": {"confusion": row(CAMVID, 0.0, pixels=[4] * 11)["confusion"]}},
            "/b: camvid/val has other labels, street has other labels",
        ),
    ],
)
def test_runs_with_other_targets_are_refused(write_run, options, message):
    with pytest.raises(ConfigurationError, match=f"targets differ.*{message}"):
        report_on([write_run("a"), write_run("b", name="other", **options)])


def test_runs_without_targets_are_refused_by_name(write_run):
    runs = [write_run("a"), write_run("b", targets=()), write_run("c", targets=())]
    with pytest.raises(ConfigurationError, match=f"judged on no target: {runs[1]}, {runs[2]}"):
        report_on(runs)


def test_the_same_seed_twice_is_no_spread(write_run):
    with pytest.raises(ConfigurationError, match=r"/a and .*/b are both seed 1 of random.*--set name=…"):
        report_on([write_run("a"), write_run("b")])


def test_what_is_no_finished_run_is_refused(write_run, tmp_path):
    with pytest.raises(ConfigurationError, match="no run named"):
        report_on([])
    with pytest.raises(ConfigurationError, match="nowhere: no run here"):
        report_on([tmp_path / "nowhere"])
    with pytest.raises(ConfigurationError, match="/a: unfinished: the last evaluation of 30 steps is missing"):
        report_on([write_run("a", steps=30)])
    with pytest.raises(ConfigurationError, match="/b: no mIoU on street"):
        report_on([write_run("b", curves={**CURVES, "street": [None] * 3})])


def test_a_damaged_history_is_refused(write_run):
    run = write_run("a")
    history = run / "history.jsonl"
    lines = history.read_text().splitlines()
    wrong = {
        "street at step 0": lines[:2] + lines[3:],
        "camvid/val at step 20": [*lines, lines[-1]],
        "street, whose frames changed within the run": [
            line.replace('"num_frames": 4', '"num_frames": 5') if '"street"' in line and '"step": 0' in line else line
            for line in lines
        ],
        "a row is cut off or damaged": [*lines, '{"step": 2'],
        "0.mode": [re.sub(r'"mode": "whole", ', "", line) for line in lines],
    }
    for message, changed in wrong.items():
        history.write_text("\n".join(changed))
        with pytest.raises(UnreadableFileError, match=message):
            report_on([run])


def test_reading_histories_needs_no_torch():
    code = "import sys, isthmus.training.generalisation; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_tree_is_json(write_run):
    tree = report_on([write_run("a")]).to_tree()
    assert json.loads(json.dumps(tree))["targets"][0]["num_occurring"] == 17
