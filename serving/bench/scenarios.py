"""Scenarios of one server and good clients: how fast, how much, how late."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from isthmus.errors import ServingError
from isthmus.serving.bench import disturbances, endurance
from isthmus.serving.bench.config import Scenario
from isthmus.serving.bench.laboratory import Laboratory
from isthmus.serving.bench.limit import BareLoop, EngineUnderTest
from isthmus.serving.bench.load import Wire
from isthmus.serving.bench.peers.catalogue import Peer, peers_for
from isthmus.serving.bench.pictures import Kind
from isthmus.serving.bench.rows import Figure, Row, failed
from isthmus.serving.bench.tally import together
from isthmus.serving.bench.targets import Target, isthmus_server

SHARES: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Of the capacity, that the sweep offers."""

OVERLOAD: Final = 2.0
_CONSTANT: Final = 0.6
_MIXED: Final = 0.4
_BURST: Final = 5
_BURSTS: Final = 0.5
_SWEEP_S: Final = 3.0
_KINDS: Final[tuple[Kind, ...]] = ("raw", "jpeg")


def saturation(lab: Laboratory) -> Iterator[Row]:
    """Closed loop through streams as a share of the bare loop, which is measured in turn with it."""
    for kind in _KINDS:
        row = _saturation(lab, kind, lab.server, lab.bare_loop, "isthmus")
        if kind == "jpeg":
            lab.capacity_fps = float(str(row.figures["throughput_fps"]))
        yield row
    if lab.config.model_file is not None and lab.config.fake_engine_ms is not None:
        fake = EngineUnderTest(None, lab.config.fake_engine_ms, lab.config.num_threads)
        name = f"isthmus, engine of {fake.fake_ms:g} ms"
        with isthmus_server(fake) as target, BareLoop(fake) as bare_loop:
            for kind in _KINDS:
                yield _saturation(lab, kind, target, bare_loop, name)


def _saturation(lab: Laboratory, kind: Kind, target: Target, bare_loop: BareLoop, name: str) -> Row:
    seconds = lab.config.seconds / 2
    fleet = lab.saturating(kind)
    lab.drive(target, (fleet,), seconds=1.0, tells_budget=False)  # both have learned and warmed up then
    limits, runs, cpu_s = [], [], 0.0
    for each in range(lab.config.rounds):
        lab.say(f"saturation, {kind}, {name}: round {each + 1} of {lab.config.rounds}")
        limits.append(bare_loop.frames_per_second(fleet.pictures[0], seconds))
        driven, spent = lab.drive(target, (fleet,), seconds=seconds, tells_budget=False)
        runs.append(driven.groups["all"])
        cpu_s += float(str(spent["server_cpu_s"]))
    shares = [run.throughput / limit for run, limit in zip(runs, limits, strict=True)]
    outcome = together(runs)
    return Row(
        Scenario.SATURATION,
        f"{name}, {kind}",
        outcome,
        {
            "limit_fps": statistics.median(limits),
            "throughput_fps": statistics.median(run.throughput for run in runs),
            "share_of_limit": statistics.median(shares),
            "shares": shares,
            "server_cpu_s": cpu_s,
            "server_cpu_ms_per_frame": 1e3 * cpu_s / outcome.masks if outcome.masks else None,
        },
        note=f"{statistics.median(shares):.1%} of the bare loop's {statistics.median(limits):.1f}/s",
    )


def single_stream(lab: Laboratory) -> Iterator[Row]:
    """One camera, the next frame as soon as the one before is answered."""
    driven, figures = lab.drive(lab.server, (lab.saturating("jpeg", vehicles=1),), tells_budget=False)
    yield Row(Scenario.SINGLE_STREAM, "isthmus", driven.groups["all"], figures)


def constant_stream(lab: Laboratory) -> Iterator[Row]:
    """Several cameras at a steady rate below capacity."""
    driven, figures = lab.drive(lab.server, (lab.paced(_CONSTANT),))
    yield Row(Scenario.CONSTANT_STREAM, "isthmus", driven.groups["all"], figures, note=f"{_CONSTANT:.0%} of capacity")


def burst(lab: Laboratory) -> Iterator[Row]:
    """Each camera's frames come five at once: the newest is worth an answer, the others need a verdict."""
    driven, figures = lab.drive(lab.server, (lab.paced(_BURSTS, burst=_BURST),))
    yield Row(Scenario.BURST, "isthmus", driven.groups["all"], figures, note=f"{_BURST} frames at once")


def mixed_sizes(lab: Laboratory) -> Iterator[Row]:
    """Cameras of three sizes, raw and JPEG."""
    height, width = lab.size_hw
    fleets = []
    for size_hw in ((height // 2, width // 2), (height, width), (height * 3 // 2, width * 3 // 2)):
        for kind in _KINDS:
            fleet = lab.paced(_MIXED / 6, vehicles=1, kind=kind)
            fleets.append(replace(fleet, pictures=lab.pictures(kind, size_hw)))
    driven, figures = lab.drive(lab.server, fleets)
    yield Row(Scenario.MIXED_SIZES, "isthmus", driven.groups["all"], figures, note=f"{_MIXED:.0%} of capacity")


def overload(lab: Laboratory) -> Iterator[Row]:
    """Twice what each server can do, measured just before: masks within the budget against that capacity."""
    yield _overload(lab, lab.server, "isthmus", rounds=lab.config.rounds, tells_budget=True)
    for peer in peers_for(lab.config):
        lab.say(f"overload-2x: starting {peer.name}")
        yield from _overload_of(lab, peer)


def _overload_of(lab: Laboratory, peer: Peer) -> Iterator[Row]:
    try:
        with peer.start(lab.config) as target:
            lab.drive(target, (lab.saturating("jpeg"),), tells_budget=False, seconds=1.0)  # it is warm then
            for tells_budget in (False, True):
                yield _overload(lab, target, peer.name, rounds=1, tells_budget=tells_budget)
    except (ServingError, OSError) as error:
        yield failed(Scenario.OVERLOAD, peer.name, error)


def _overload(lab: Laboratory, target: Target, name: str, *, rounds: int, tells_budget: bool) -> Row:
    if target.wire is not Wire.STREAM:
        name += ", clients give up at the budget" if tells_budget else ", clients wait"
    capacities, runs = [], []
    figures: dict[str, Figure] = {}
    for each in range(rounds):
        lab.say(f"overload-2x: {name}, {each + 1} of {rounds}")
        closed, _ = lab.drive(target, (lab.saturating("jpeg"),), tells_budget=False, seconds=lab.config.seconds / 2)
        capacity_fps = closed.groups["all"].throughput
        if not capacity_fps:
            return Row(Scenario.OVERLOAD, name, None, note=f"it answered nothing: {'; '.join(closed.problems)}")
        fleet = replace(lab.paced(OVERLOAD), fps=OVERLOAD * capacity_fps / lab.config.vehicles)
        driven, figures = lab.drive(target, (fleet,), tells_budget=tells_budget)
        capacities.append(capacity_fps)
        runs.append(driven.groups["all"])
    shares = [run.goodput / capacity for run, capacity in zip(runs, capacities, strict=True)]
    share, capacity_fps = statistics.median(shares), statistics.median(capacities)
    figures |= {"capacity_fps": capacity_fps, "goodput_of_capacity": share, "shares": shares}
    note = f"goodput {share:.1%} of its capacity {capacity_fps:.1f}/s"
    return Row(Scenario.OVERLOAD, name, together(runs), figures, note)


def sweep(lab: Laboratory) -> Iterator[Row]:
    """Goodput against offered load, for the plot."""
    yield from _sweep(lab, lab.server, "isthmus", tells_budget=True)
    for peer in peers_for(lab.config):
        try:
            with peer.start(lab.config) as target:
                fleet = lab.saturating("jpeg")
                lab.drive(target, (fleet,), tells_budget=False, seconds=1.0)
                yield from _sweep(lab, target, peer.name, tells_budget=True)
        except (ServingError, OSError) as error:
            yield failed(Scenario.SWEEP, peer.name, error)


def _sweep(lab: Laboratory, target: Target, name: str, *, tells_budget: bool) -> Iterator[Row]:
    seconds = min(_SWEEP_S, lab.config.seconds)
    for share in SHARES:
        lab.say(f"sweep: {name} at {share:g} times the capacity")
        driven, figures = lab.drive(target, (lab.paced(share),), seconds=seconds, tells_budget=tells_budget)
        yield Row(Scenario.SWEEP, name, driven.groups["all"], figures | {"share_of_capacity": share})


SCENARIOS: Final[Mapping[Scenario, Callable[[Laboratory], Iterator[Row]]]] = {
    Scenario.SATURATION: saturation,
    Scenario.SINGLE_STREAM: single_stream,
    Scenario.CONSTANT_STREAM: constant_stream,
    Scenario.OVERLOAD: overload,
    Scenario.BURST: burst,
    Scenario.MIXED_SIZES: mixed_sizes,
    Scenario.SLOW_READER: disturbances.slow_reader,
    Scenario.FLAPPING: disturbances.flapping,
    Scenario.IDLE_STREAMS: disturbances.idle_streams,
    Scenario.HOSTILE: disturbances.hostile_frames,
    Scenario.SWAP: endurance.swap,
    Scenario.DRAIN: endurance.drain,
    Scenario.SWEEP: sweep,
    Scenario.SOAK: endurance.soak,
}


def measure(lab: Laboratory) -> Iterator[Row]:
    """All chosen scenarios; one that fails is a row that says why, and the next one goes on."""
    for scenario, run in SCENARIOS.items():
        if scenario not in lab.config.scenarios:
            continue
        lab.say(str(scenario))
        try:
            yield from run(lab)
        except ServingError as error:
            yield failed(scenario, "isthmus", error)
