"""Scenarios with troublesome clients: what their neighbours notice.

Neighbours are measured in turn with the troublemakers behaving well (or absent) and with them making trouble.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from isthmus.serving.bench.config import Scenario
from isthmus.serving.bench.laboratory import Laboratory
from isthmus.serving.bench.load import Fleet, Manner
from isthmus.serving.bench.pictures import hostile
from isthmus.serving.bench.rows import Figure, Row
from isthmus.serving.bench.tally import Outcome, together

NEIGHBOURS: Final = "neighbours"
OTHERS: Final = "others"

_SHARE: Final = 0.5
"""Of the capacity, that all vehicles together offer."""
_GOOD: Final = 7
_TROUBLE: Final = 3
_HOSTILE_FPS: Final = 10.0


def slow_reader(lab: Laboratory) -> Iterator[Row]:
    """Three of ten cameras read their answers seldom."""
    good, trouble = _seven_and_three(lab)
    yield from _compare(lab, Scenario.SLOW_READER, (good, trouble), (good, replace(trouble, manner=Manner.SLOW_READER)))


def flapping(lab: Laboratory) -> Iterator[Row]:
    """Three of ten clients cancel their calls and streams."""
    good, trouble = _seven_and_three(lab)
    yield from _compare(lab, Scenario.FLAPPING, (good, trouble), (good, replace(trouble, manner=Manner.FLAPPING)))


def idle_streams(lab: Laboratory) -> Iterator[Row]:
    """Streams without a frame beside one busy camera."""
    busy = lab.paced(_SHARE, group=NEIGHBOURS, vehicles=1)
    idle = Fleet(OTHERS, lab.config.idle_streams, (), manner=Manner.IDLE)
    yield from _compare(lab, Scenario.IDLE_STREAMS, (busy,), (busy, idle))


def hostile_frames(lab: Laboratory) -> Iterator[Row]:
    """Three clients that send JPEG bombs, cut files and frames of wrong sizes."""
    good = lab.paced(_SHARE, group=NEIGHBOURS)
    bad = Fleet(OTHERS, _TROUBLE, hostile(lab.size_hw), fps=_HOSTILE_FPS)
    yield from _compare(lab, Scenario.HOSTILE, (good,), (good, bad))


def _seven_and_three(lab: Laboratory) -> tuple[Fleet, Fleet]:
    all_of_them = _GOOD + _TROUBLE
    return (
        lab.paced(_SHARE * _GOOD / all_of_them, group=NEIGHBOURS, vehicles=_GOOD),
        lab.paced(_SHARE * _TROUBLE / all_of_them, group=OTHERS, vehicles=_TROUBLE),
    )


def _compare(lab: Laboratory, scenario: Scenario, calm: Sequence[Fleet], troubled: Sequence[Fleet]) -> Iterator[Row]:
    before: list[Outcome] = []
    during: list[Outcome] = []
    others: list[Outcome] = []
    figures: dict[str, Figure] = {}
    for each in range(lab.config.rounds):
        lab.say(f"{scenario}: round {each + 1} of {lab.config.rounds}")
        before.append(lab.drive(lab.server, calm)[0].groups[NEIGHBOURS])
        driven, figures = lab.drive(lab.server, troubled)
        during.append(driven.groups[NEIGHBOURS])
        others.append(driven.groups[OTHERS])
    quiet, loud, rest = together(before), together(during), together(others)
    ratio = _ratio(loud, quiet)
    yield Row(scenario, "neighbours, calm", quiet)
    note = "" if ratio is None else f"p99 {ratio:.2f} times that of the calm run"
    yield Row(scenario, "neighbours, troubled", loud, figures | {"p99_ratio": ratio}, note)
    if rest.due:
        yield Row(scenario, "the troublemakers", rest)


def _ratio(loud: Outcome, quiet: Outcome) -> float | None:
    after, before = loud.percentiles_ms(), quiet.percentiles_ms()
    return after["p99"] / before["p99"] if after and before else None
