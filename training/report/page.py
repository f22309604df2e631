"""The report page: everything that was measured about a version, in one HTML file that needs no network.

Styles, script and pictures lie inside; the page's own policy forbids it to load anything else. Pictures are kept small
enough for a page below 3 MB.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from isthmus.artifact import ModelCard
from isthmus.errors import ContractError
from isthmus.gate_report import GateReport, Outcome
from isthmus.training.gate.evidence import Evidence, Judgement
from isthmus.training.report import charts
from isthmus.training.report.domain_gap import DomainGap
from isthmus.training.report.frames import (
    BOTH_WRONG,
    ONLY_CHALLENGER,
    ONLY_CHAMPION,
    FramePictures,
    frame_rows,
)
from isthmus.training.report.model_card import LIMITS, card_facts, card_lineage
from isthmus.training.report.views import TargetView, target_views
from isthmus.training.version_files import PAGE_FILE, evaluation_title

_SIGNS: Final = {Outcome.PASSED: "✓", Outcome.FAILED: "✕", Outcome.MISSING: "?"}
_PANELS_WITH_CHAMPION: Final = 5


def write_report(
    folder: Path,
    judgement: Judgement,
    *,
    card: ModelCard,
    champion_card: ModelCard | None,
    frames: FramePictures | None,
    lineage: Mapping[str, str],
    source_only: Evidence | None = None,
    domain_gap: DomainGap | None = None,
) -> Path:
    """Write `report.html`.

    Args:
        folder: Made if missing; an earlier page in it is replaced.
        judgement: Verdict and evidence.
        card: The challenger's.
        champion_card: The champion's, if there is one: its lineage stands beside the challenger's.
        frames: Pictures of the worst frames, see `draw_worst_frames`; without them the frames are named only.
        lineage: Further facts by name, such as run, registry and signature, in the order in which they are shown.
        source_only: Evidence of a model of method source_only on the gate's frames, drawn as a third bar; left out
            for targets on which it was judged with other frames.
        domain_gap: See `checkpoint_domain_gap`.

    Returns:
        The page.

    Raises:
        ContractError: The judgement is another model's than the card.
    """
    _check_same_model(judgement, card)
    text = _render(
        judgement,
        card=card,
        champion_card=champion_card,
        frames=frames or {},
        lineage=lineage,
        source_only=source_only,
        domain_gap=domain_gap,
    )
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE_FILE
    page.write_text(text, encoding="utf-8")
    return page


def _render(
    judgement: Judgement,
    *,
    card: ModelCard,
    champion_card: ModelCard | None,
    frames: FramePictures,
    lineage: Mapping[str, str],
    source_only: Evidence | None,
    domain_gap: DomainGap | None,
) -> str:
    report = judgement.report
    spaces = {target.title: target.label_space for target in judgement.challenger.targets}
    models = [one.sha256 for one in (judgement.challenger, judgement.champion) if one is not None]
    third = None if source_only is None or source_only.sha256 in models else source_only
    views = target_views(judgement, third, frame_rows(frames, spaces))
    script = _beside("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    passed = [result for result in report.results if result.outcome is Outcome.PASSED]
    return str(
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            verdict=_verdict(report),
            cards=_cards(judgement, views),
            refusals=report.refusals,
            results=[*report.refusals, *passed],
            targets=views,
            gap=domain_gap,
            lineage=_lineage(judgement, card, champion_card, lineage),
            card=card,
            facts=card_facts(card),
            limits=LIMITS,
            style=Markup(_beside("page.css")),  # noqa: S704 - files of this package
            script=Markup(script),  # noqa: S704
            script_hash=f"sha256-{digest}",
        )
    )


def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        percent=lambda share: "–" if share is None else f"{100 * share:.1f} %",
        sign=_SIGNS.__getitem__,
        change=_change,
        day=_day,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
        sentence=lambda text: text if text.endswith((".", "!", "?")) else f"{text}.",
        series_marker=charts.series_marker,
        domain_chart=charts.domain_chart,
        domain_marker=charts.domain_marker,
        difference_legend=_difference_legend,
        evaluation_title=evaluation_title,
    )
    return environment


def _change(share: float) -> str:
    """In percentage points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def _day(moment: str) -> str:
    date = datetime.fromisoformat(moment)
    return f"{date.day} {date:%B %Y}"


def _beside(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _check_same_model(judgement: Judgement, card: ModelCard) -> None:
    evidence = judgement.challenger
    if (evidence.method, evidence.step, evidence.name) != (card.method, card.step, card.name):
        raise ContractError(
            f"the judgement is of {evidence.name}, step {evidence.step} of method {evidence.method}; the card of "
            f"{card.name}, step {card.step} of method {card.method}",
            where=f"{judgement.report.name}, version {judgement.report.challenger}",
            remedy="Draw the report with the card of the model that was judged.",
        )


def _verdict(report: GateReport) -> dict[str, str]:
    number = len(report.results)
    counts = {outcome: sum(result.outcome is outcome for result in report.results) for outcome in Outcome}
    if report.passed:
        return {"kind": "passed", "sign": "✓", "title": "passed", "text": f"All {number} rules passed."}
    refused = [f"{counts[Outcome.FAILED]} failed"] if counts[Outcome.FAILED] else []
    refused += [f"{counts[Outcome.MISSING]} could not be measured"] if counts[Outcome.MISSING] else []
    text = f"Of {number} rules {' and '.join(refused)}." if refused else "No rule was asked, which shows nothing."
    if report.forced is not None:
        return {"kind": "forced", "sign": "!", "title": "refused, promoted by hand", "text": text}
    return {"kind": "failed", "sign": "✕", "title": "refused", "text": text}


def _cards(judgement: Judgement, views: list[TargetView]) -> list[dict[str, str]]:
    """The few numbers at the top."""
    own, other = judgement.challenger, judgement.champion
    cards = []
    for view in views:
        miou = view.challenger.miou
        if miou is None:
            continue
        before = None if view.champion is None else view.champion.miou
        change = None if before is None else miou - before
        cards.append(_card(f"{100 * miou:.1f} %", f"mIoU on {view.challenger.title}", change))
        if view.challenger.reliability is not None:
            error = view.challenger.reliability.ece
            cards.append(_card(f"{100 * error:.1f} %", f"calibration error on {view.challenger.title}"))
    cards.append(_card(f"{own.size_bytes / 1e6:.1f} MB", "size of model.onnx"))
    if own.latency is not None:
        beside = other.latency if other is not None else None
        against = "" if beside is None else f"; champion {beside.median_ms:.1f} ms"
        height, width = own.latency.frame_hw
        cards.append(_card(f"{own.latency.median_ms:.1f} ms", f"a frame of {height} × {width}, median{against}"))
    if own.golden_agreement is not None:
        cards.append(_card(f"{100 * own.golden_agreement:.2f} %", "of the golden frame as the card has it"))
    return cards


def _card(value: str, text: str, change: float | None = None) -> dict[str, str]:
    if change is None:
        return {"value": value, "text": text, "change": "", "kind": ""}
    kind = "up" if change >= 0 else "down"
    return {"value": value, "text": text, "change": f"{_change(change)} points to the champion", "kind": kind}


def _lineage(
    judgement: Judgement, card: ModelCard, champion_card: ModelCard | None, further: Mapping[str, str]
) -> list[tuple[str, str]]:
    report = judgement.report
    rows = [
        ("model", f"models:/{report.name}/{report.challenger}"),
        ("model.onnx, SHA-256", report.challenger_sha256),
        *further.items(),
        *card_lineage(card),
        ("gate", f"{report.gate}, configuration {report.gate_sha256}"),
        ("judged", f"{report.created_at} by isthmus {report.isthmus_version}"),
    ]
    if report.champion is not None:
        rows.append(
            ("champion", f"models:/{report.name}/{report.champion}, SHA-256 {report.champion_sha256 or 'unknown'}")
        )
    if champion_card is not None:
        rows.append(("champion's commit", f"{champion_card.git_commit}, configuration {champion_card.config_hash}"))
    return rows


def _difference_legend(panels: int) -> list[tuple[tuple[int, int, int], str]]:
    """What the colours of the difference mean, by the number of panels."""
    if panels < _PANELS_WITH_CHAMPION:
        return [(ONLY_CHAMPION, "wrong")]
    return [
        (ONLY_CHALLENGER, "only the challenger is right"),
        (ONLY_CHAMPION, "only the champion is right"),
        (BOTH_WRONG, "they differ, neither is right or nobody knows"),
    ]
