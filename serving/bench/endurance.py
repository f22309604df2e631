"""Scenarios of a server's life: swaps under load, the end by SIGTERM, and ten minutes of memory."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from isthmus.serving.bench.config import Scenario
from isthmus.serving.bench.disturbances import NEIGHBOURS, OTHERS
from isthmus.serving.bench.laboratory import Laboratory, costs
from isthmus.serving.bench.load import Driven, Manner
from isthmus.serving.bench.own_server import CHANGED
from isthmus.serving.bench.rows import Figure, Row, slope
from isthmus.serving.bench.tally import LOST, Outcome
from isthmus.serving.bench.targets import isthmus_server
from isthmus.serving.events import Change

_SHARE: Final = 0.5
_DRAIN_AFTER: Final = 0.4
_SAMPLE_S: Final = 1.0
_WARM_UP: Final = 0.2
"""Share of a soak that is left out of the slope: caches and arenas still fill."""


def swap(lab: Laboratory) -> Iterator[Row]:
    """The same load with and without a new model every few seconds."""
    still, _ = _swapping(lab, 0.0)
    swapped, changes = _swapping(lab, lab.config.swap_every_s)
    calm, moved = still.groups["all"], swapped.groups["all"]
    figures: dict[str, Figure] = {
        "swaps": changes[Change.SWAPPED.value],
        "refused": changes[Change.REFUSED.value],
        "rolled_back": changes[Change.ROLLED_BACK.value],
        "errors": _errors(moved) + swapped.stream_errors,
        "late_frames": moved.late,
        "late_frames_without_swaps": calm.late,
        "longest_gap_ms": moved.longest_gap_s * 1e3,
        "longest_gap_without_swaps_ms": calm.longest_gap_s * 1e3,
    }
    gap, calm_gap = (f"longest gap {each.longest_gap_s * 1e3:.0f} ms" for each in (moved, calm))
    yield Row(Scenario.SWAP, "isthmus, no swaps", calm, note=calm_gap)
    note = (
        f"{figures['swaps']} swaps, {figures['refused']} refused, {figures['rolled_back']} taken back; "
        f"{figures['errors']} errors, {moved.late} late frames against {calm.late}, {gap}"
    )
    yield Row(Scenario.SWAP, f"isthmus, a swap every {lab.config.swap_every_s:g} s", moved, figures, note)


def _swapping(lab: Laboratory, every_s: float) -> tuple[Driven, Counter[str]]:
    lab.say(f"swap: {lab.config.swap_seconds:g} s with {f'a swap every {every_s:g} s' if every_s else 'no swap'}")
    fleets = (lab.paced(_SHARE),)
    with isthmus_server(lab.config.engine, swap_every_s=every_s) as target:
        driven, _ = lab.drive(target, fleets, seconds=lab.config.swap_seconds)
        return driven, Counter(re.findall(rf"^{CHANGED} (\w+)", target.output(), re.MULTILINE))


def _errors(outcome: Outcome) -> int:
    return sum(outcome.verdicts.get(verdict, 0) for verdict in ("FAILED", "INVALID", LOST)) + outcome.stray


def drain(lab: Laboratory) -> Iterator[Row]:
    """SIGTERM under load: what was taken is answered, clients are sent away, and the process ends with 0."""
    fleets = (lab.paced(_SHARE),)
    with isthmus_server(lab.config.engine) as target:
        load = lab.load(target, fleets)
        before = target.cpu_s()
        lab.generator.begin(load)
        time.sleep(load.seconds * _DRAIN_AFTER)
        spent = target.cpu_s() - before
        code, seconds = target.terminate()
        driven = lab.generator.end()
    outcome = driven.groups["all"]
    figures = costs(driven, spent) | {"exit_code": code, "seconds_to_exit": seconds}
    note = f"exit code {code} after {seconds:.2f} s; {outcome.verdicts.get('FAILED', 0)} frames sent elsewhere"
    yield Row(Scenario.DRAIN, "isthmus, SIGTERM", outcome, figures, note)


def soak(lab: Laboratory) -> Iterator[Row]:
    """Good and flapping clients for minutes, while the server's memory is watched."""
    good = lab.paced(_SHARE * 0.7, group=NEIGHBOURS)
    bad = replace(lab.paced(_SHARE * 0.3, group=OTHERS, vehicles=2), manner=Manner.FLAPPING)
    with isthmus_server(lab.config.engine) as target:
        load = lab.load(target, (good, bad), seconds=lab.config.soak_seconds)
        before = target.cpu_s()
        lab.generator.begin(load)
        samples = []
        started = time.monotonic()
        while (passed := time.monotonic() - started) < load.seconds:
            samples.append((passed, target.memory_mib()))
            lab.say(f"soak: {passed:.0f} of {load.seconds:.0f} s, {samples[-1][1]:.0f} MiB")
            time.sleep(_SAMPLE_S)
        driven = lab.generator.end()
        spent = target.cpu_s() - before
    warm = [(at / 60, mib) for at, mib in samples if at >= _WARM_UP * load.seconds]
    growth = slope(warm) if len(warm) > 1 else None
    figures: dict[str, Figure] = {
        **costs(driven, spent),
        "memory_slope_mib_per_min": growth,
        "memory_mib": [round(mib, 2) for _, mib in samples],
    }
    note = "too short for a slope" if growth is None else f"{growth:+.3f} MiB/min, at the end {samples[-1][1]:.0f} MiB"
    yield Row(Scenario.SOAK, "isthmus, good clients", driven.groups[NEIGHBOURS], figures, note)
    yield Row(Scenario.SOAK, "isthmus, flapping clients", driven.groups[OTHERS])
