"""MODEL_CARD.md: a front matter that Hugging Face's hub can read, and text that names cannot break."""

from itertools import pairwise

import yaml

from isthmus.artifact import CardDataset
from isthmus.training.report import model_card_markdown


def front_matter(text: str) -> dict:
    """The YAML between the first two lines of dashes."""
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def test_front_matter_holds_the_gates_scores(card, gate_examples):
    front = front_matter(model_card_markdown(card, gate_examples.example_judgement()))
    assert front["pipeline_tag"] == "image-segmentation"
    assert front["datasets"] == ["gta5"]
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert result["dataset"] == {"name": "camvid/val", "type": "camvid/val"}
    assert result["metrics"][0] == {"type": "mean_iou", "name": "mIoU", "value": 0.666667}
    assert {"type": "iou", "name": "IoU of pedestrian", "value": 0.666667} in result["metrics"]


def test_model_that_was_not_judged_brings_its_own_scores(card):
    text = model_card_markdown(card, None)
    (model,) = front_matter(text)["model-index"]
    assert model["results"][0]["dataset"] == {"name": "cityscapes/val", "type": "cityscapes"}
    assert model["results"][0]["metrics"][0]["value"] == 0.5
    assert "It has not been put before a gate" in text
    assert "| cityscapes/val | unknown | 3 | 50.0 % | 55.0 % | 75.0 % |" in text


def test_refusal_is_said(card, gate_examples):
    text = model_card_markdown(card, gate_examples.example_judgement(passed=False))
    assert (
        "street-segmenter, version 3: **refused by** the gate example on 2026-01-02, compared with version 2." in text
    )
    lines = text.splitlines()
    assert "| **failed** | mIoU floor | camvid/val | 50.00 % | at least 60.00 % |" in lines
    assert "| **missing** | estimated mIoU | street | not measured | at least 40.00 % |" in lines
    assert next(line for line in lines if line.startswith("| passed")).startswith(
        "| passed | label space | the model |"
    )


def test_tables_are_whole_and_names_are_text(card):
    hostile = CardDataset(role="source", dataset="a|b\n# <x> *y*", split="s", num_frames=1, digest="d" * 64)
    text = model_card_markdown(card.model_copy(update={"datasets": (hostile,)}), None)
    assert r"| source | a\|b # \<x\> \*y\* | s | 1 | `dddddddddddddddd` |" in text.splitlines()
    assert front_matter(text)["datasets"] == ["a|b\n# <x> *y*"]
    lines = text.splitlines()
    for before, line in pairwise(lines):
        if line.startswith("|---"):  # a table's head has as many cells as its rule
            assert before.replace(r"\|", "").count("|") == line.count("|")
