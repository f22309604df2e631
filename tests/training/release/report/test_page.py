"""The page's text: what stands on it, in which order, and that nothing on it comes from or goes to elsewhere."""

import base64
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from isthmus.artifact import CardDataset
from isthmus.errors import ContractError
from isthmus.gate_report import Forced
from isthmus.training.gate.evidence import Judgement

LARGEST_PAGE = 3_000_000
LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects the words of a page, what it refers to, and whether its tags close."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.html = page.read_text(encoding="utf-8")
        self.references: list[str] = []
        self.open: list[str] = []
        self.images: list[dict] = []
        self.words: list[str] = []
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.references += [value for key, value in attrs if key in LOADING]
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.references += [value for key, value in attrs if key in LOADING]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_refusal_stands_first_with_what_to_do(draw, gate_examples):
    text = Page(draw(gate_examples.example_judgement(passed=False))).text
    assert "✕ refused Of 3 rules 1 failed and 1 could not be measured. Compared with version 2, the champion." in text
    order = [text.index(words) for words in ("mIoU floor", "estimated mIoU", "All 3 rules", "label space")]
    assert order == sorted(order)
    _, _, table = text.partition("All 3 rules")
    order = [table.index(words) for words in ("✕ failed", "? missing", "✓ passed")]
    assert order == sorted(order)
    assert "50.00 %; required: at least 60.00 %" in text
    assert "Train on, or look at the worst frames." in text
    assert "Name source frames to fit on." in text


def test_pass_names_no_refusal(draw, gate_examples):
    text = Page(draw(gate_examples.example_judgement())).text
    assert "✓ passed All 3 rules passed." in text
    assert "failed and missing ones first" in text
    assert "✕" not in text


def test_numbers_are_the_evidence(draw, gate_examples):
    text = Page(draw(gate_examples.example_judgement())).text
    # 0.8 right gives IoU 800 / 1200, 0.7 gives 700 / 1300.
    assert "66.7 % mIoU on camvid/val +12.8 points to the champion" in text
    assert "pedestrian 66.7 +12.8 53.8 9.1" in text
    assert "sky building 20.0 30.0" in text
    assert "true are 66.7 % mIoU and 80.0 % accuracy" in text
    assert "21.0 ms a frame of 64 × 96, median; champion 20.0 ms" in text
    assert "val/b.png : challenger 61.7 %, champion 50.0 % mIoU on this frame" in text.replace("png:", "png :")
    assert "gta5/train source 2 0.500" in text
    assert "0123abcd" in text


def test_page_needs_nothing_from_elsewhere(draw, gate_examples):
    path = draw(gate_examples.example_judgement())
    page = Page(path)
    assert path.stat().st_size < LARGEST_PAGE
    assert page.references
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert len(page.images) == 10
    assert all(image["alt"] and image["src"].startswith("data:image/webp;base64,") for image in page.images)


def test_policy_lets_no_other_script_run(draw, gate_examples):
    html = draw(gate_examples.example_judgement()).read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert unescape(policy[1]) == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def test_names_from_elsewhere_are_text(draw, gate_examples, card):
    hostile = '"><script>alert(1)</script>'
    judgement = gate_examples.example_judgement(passed=False)
    report = replace(judgement.report, note=hostile, forced=Forced(by=hostile, reason=hostile))
    dataset = CardDataset(role="source", dataset=hostile, split=hostile, num_frames=1, digest="d" * 64)
    page = Page(
        draw(
            replace(judgement, report=report),
            card=card.model_copy(update={"datasets": (dataset,)}),
            lineage={hostile: hostile},
        )
    )
    assert page.html.count("<script>") == 1
    assert page.text.count(hostile) == 7


def test_first_promotion_compares_with_nobody(draw, gate_examples, pictures):
    judgement = gate_examples.example_judgement(with_champion=False)
    alone = {title: [replace(one, champion=None) for one in frames] for title, frames in pictures.items()}
    page = Page(draw(judgement, frames=alone))
    assert "There was no champion to compare it with." in page.text
    assert "class challenger pixels sky" in page.text
    assert [image["alt"].partition(" ")[0] for image in page.images[:4]] == ["Frame", "Classes", "Wrong", "True"]


def test_the_page_says_what_the_version_was_judged_for_and_against(draw, gate_examples):
    judgement = gate_examples.example_judgement()
    staged = Page(draw(replace(judgement, report=replace(judgement.report, alias="staging"))))
    assert "Compared with version 2, the staging. Judged for staging by the gate example" in staged.text
    note = "version 2, which cannot be opened"
    lost = replace(judgement.report, note=note, champion_sha256=None)
    page = Page(draw(replace(judgement, report=lost, champion=None)))
    assert "Judged against version 2, which cannot be opened. Judged by the gate example" in page.text
    assert "models:/street-segmenter/2, SHA-256 unknown" in page.text


def test_source_only_is_a_third_bar_on_the_same_frames_only(draw, gate_examples):
    third = gate_examples.example_evidence(version=1, sha256="1" * 64, right=0.6)
    judgement = gate_examples.example_judgement()
    # 0.6 right gives IoU 600 / 1400.
    assert "pedestrian 66.7 +12.8 53.8 42.9 9.1" in Page(draw(judgement, source_only=third)).text
    elsewhere = replace(
        third, targets=tuple(replace(target, frame_indices=(1, 2), digest="b" * 64) for target in third.targets)
    )
    assert "pedestrian 66.7 +12.8 53.8 9.1" in Page(draw(judgement, source_only=elsewhere)).text
    champion = judgement.champion
    assert "pedestrian 66.7 +12.8 53.8 9.1" in Page(draw(judgement, source_only=champion)).text


def test_promotion_by_hand_is_said(draw, gate_examples):
    judgement = gate_examples.example_judgement(passed=False)
    forced = replace(judgement.report, forced=Forced(by="ada", reason="the old one is worse in rain"))
    text = Page(draw(replace(judgement, report=forced))).text
    assert "! refused, promoted by hand" in text
    assert "Promoted against the gate by ada: the old one is worse in rain" in text


def test_page_without_frames_and_measurements(draw, gate_examples):
    judgement: Judgement = gate_examples.example_judgement(passed=False)
    bare = replace(judgement, challenger=replace(judgement.challenger, targets=(), latency=None), champion=None)
    text = Page(draw(bare, frames=None, domain_gap=None)).text
    assert "Nothing was measured on frames" in text
    assert "Domain gap" not in text


def test_worst_frames_are_named_without_pictures(draw, gate_examples):
    page = Page(draw(gate_examples.example_judgement(), frames=None))
    assert page.images == []
    assert "val/b.png: challenger 61.7 %, champion 50.0 % mIoU" in page.text


def test_card_of_another_model_is_refused(draw, gate_examples, card):
    other = card.model_copy(update={"step": 7})
    with pytest.raises(ContractError, match=r"step 1000 of method madan; the card of street-segmenter, step 7"):
        draw(gate_examples.example_judgement(), card=other)
