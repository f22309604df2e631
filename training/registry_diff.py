"""What sets two versions of a model apart, in groups: what they are, what they saw, how well they do, how it was done.

Scores stand there twice: those on a model's card were taken by the run that trained it; those of the gate were
measured by `isthmus promote`, with the graph that would serve.
"""

import json
from dataclasses import dataclass
from typing import Final

from isthmus.gate_report import GateReport
from isthmus.training.mlflow_store import connect
from isthmus.training.registry_details import Verdict, VersionDetails, details_of
from isthmus.training.version_files import evaluation_title

VERSION: Final = "version"
DATA: Final = "data sets"
CARD: Final = "scores on the cards, by the runs that trained them"
GATE: Final = "judged by the gate"
CONFIG: Final = "configuration"
COUNTED_GROUPS: Final = (CARD, GATE, CONFIG)
"""Where lines that only one version has are many and say little: readers may count them instead."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which two versions differ."""

    group: str
    """One of this module's groups; of the gate with the alias, as in `judged by the gate for champion`."""
    what: str
    first: str | None
    """None where the version has nothing of the sort."""
    second: str | None

    @property
    def only_one_has(self) -> bool:
        """Whether there is nothing to compare."""
        return self.first is None or self.second is None


Rows = dict[tuple[str, str], str]
"""Everything worth comparing, by group and name, in the order in which it is shown."""


def diff(name: str, first: int | str, second: int | str, *, tracking_uri: str | None = None) -> tuple[Difference, ...]:
    """In what two versions of a model differ.

    Args:
        name: The registered model.
        first: A number or an alias.
        second: A number or an alias.
        tracking_uri: See `mlflow_store.resolve_tracking_uri`.

    Returns:
        Group by group; in each, what both versions have comes first.

    Raises:
        ContractError: A model card cannot be read.
        NotRegisteredError: No such model, version or alias.
        RegistryError: The registry cannot be reached.
    """
    with connect(tracking_uri) as store:
        sides = [_comparable(details_of(store, name, version, None)) for version in (first, second)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    rows = [Difference(*key, sides[0].get(key), sides[1].get(key)) for key in keys]
    differing = [row for row in rows if row.first != row.second]
    groups = sorted(dict.fromkeys(row.group for row in rows), key=_place)  # stable: aliases stay in their order
    return tuple(sorted(differing, key=lambda row: (groups.index(row.group), row.only_one_has)))


def _place(group: str) -> int:
    return next(place for place, known in enumerate((VERSION, DATA, CARD, GATE, CONFIG)) if group.startswith(known))


def _comparable(details: VersionDetails) -> Rows:
    version, card = details.version, details.card
    facts = {"version": str(version.version), "aliases": ", ".join(version.aliases), "sha256": version.sha256[:12]}
    facts |= {key: str(getattr(card, key)) for key in ("name", "method", "decoder", "encoder", "step", "git_commit")}
    facts["network_size_hw"] = "x".join(map(str, card.network_size_hw))
    facts["label_space"] = card.label_space.id_hash
    facts["lock_hash"] = card.lock_hash[:12]
    rows = {(VERSION, what): fact for what, fact in facts.items()}
    for one in card.datasets:
        rows[DATA, f"{one.role} {one.dataset}/{one.split}"] = f"{one.num_frames} frames, {one.digest[:12]}"
    for item in card.evaluations:
        title = evaluation_title(item)
        scores = {"mIoU": item.miou, "pixel accuracy": item.pixel_accuracy, **item.iou_per_class}
        rows |= {(CARD, f"{title} {score} %"): _percent(value) for score, value in scores.items()}
    for verdict in details.verdicts:
        rows |= {(f"{GATE} for {verdict.alias}", what): said for what, said in _judged(verdict).items()}
    return rows | {(CONFIG, key): json.dumps(value) for key, value in details.config.items()}


def _judged(verdict: Verdict) -> dict[str, str]:
    """The verdict and what it measured, but for what it compared with another version, each with its own."""
    report = verdict.report
    rows = {"verdict": _verdict_words(verdict)}
    if report is None:
        return rows
    rows["rules"] = f"{report.gate}, {report.gate_sha256[:12]}"
    for target in report.targets:
        rows[f"frames of {target.title}"] = f"{target.num_frames}, of {target.digest[:12]}"
    comparing = f" the {report.alias or 'champion'}"
    for result in report.results:
        if result.value is not None and not result.rule.endswith(comparing):
            what = result.rule.replace(" floor of ", " of ").removesuffix(" floor")  # the score, not its limit
            rows[f"{result.target} {what}".strip()] = result.measured
    return rows


def _verdict_words(verdict: Verdict) -> str:
    report: GateReport | None = verdict.report
    if report is None:
        return verdict.standing
    if report.passed:
        return "passed"
    refused = ", ".join(dict.fromkeys(result.rule for result in report.refusals))
    return f"refused ({refused})" if report.forced is None else f"forced ({refused})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
