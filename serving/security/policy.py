"""The policy: which caller may ask for what, and how much of the server is theirs.

    rules:
      - identities: ["spiffe://fleet.example/vehicle/*"]
        grant:
          allow: [frames, model_info, watch]
          max_frames_per_s: 60
    others: { allow: [model_info] }

An exact identity goes before patterns; among patterns the first that fits counts. `*` stands for any characters but a
slash. Whoever has a certificate that no rule names is one of `others`; whoever has none is `anonymous`.
"""

import functools
import math
import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from isthmus.configuration import config
from isthmus.serving.identity import is_named

_IDENTITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_REMEMBERED_CALLERS = 4096


class RpcGroup(StrEnum):
    """Calls that are allowed or refused together."""

    FRAMES = "frames"
    """Segment, StreamSegment, ModelInfer, ModelStreamInfer."""

    MODEL_INFO = "model_info"
    """GetModelInfo and OIP's questions about server and model; reflection where it is on."""

    WATCH = "watch"
    """WatchModel."""

    REPOSITORY = "repository"
    """OIP's RepositoryIndex."""


ServiceClass = Literal["live", "bulk"]


@config
class Grant:
    """What a caller may do."""

    allow: tuple[RpcGroup, ...]
    """Groups of calls; an empty list refuses all. Health is always answered."""
    service_classes: Annotated[tuple[ServiceClass, ...], Field(min_length=1)] = ("live", "bulk")
    """What its frames may be for."""
    max_frames_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Frames (or batches) a second in the long run; null for no bound."""
    burst_frames: Annotated[int, Field(gt=0)] | None = None
    """Frames that may come at once after a pause; by default those of one second, at least one."""
    max_in_flight: Annotated[int, Field(gt=0)] | None = None
    """Frames that may be in the server at once; null for no bound of its own."""
    max_streams: Annotated[int, Field(gt=0)] | None = 64
    """Streams that may be open at once, WatchModel's among them; null for no bound of its own."""
    weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Its share of a busy server, compared with the weights of others."""

    def __post_init__(self) -> None:
        if self.burst_frames is not None and self.max_frames_per_s is None:
            raise ValueError("burst_frames needs max_frames_per_s")
        if RpcGroup.FRAMES not in self.allow and (self.max_frames_per_s, self.max_in_flight) != (None, None):
            raise ValueError("bounds on frames, but `frames` is not allowed")

    @property
    def burst(self) -> float:
        """Size of the token bucket, frames."""
        assert self.max_frames_per_s is not None, "no bucket without a rate"
        return float(self.burst_frames or max(1, math.ceil(self.max_frames_per_s)))


NOTHING = Grant(allow=())
EVERYTHING = Grant(allow=tuple(RpcGroup))
OPEN_HOUSE = Grant(allow=tuple(RpcGroup), max_streams=None)
"""Where nobody is asked who they are: behind one address there may be a whole fleet and its proxy."""


@config
class Rule:
    """What the callers of certain identities may do."""

    identities: Annotated[tuple[str, ...], Field(min_length=1)]
    """URIs as certificates hold them, in which `*` stands for any characters but a slash."""
    grant: Grant
    """What they may do, each of them for itself."""

    def __post_init__(self) -> None:
        for identity in self.identities:
            scheme = identity.partition(":")[0]
            if not _IDENTITY.fullmatch(identity) or "*" in scheme or not is_named(identity):
                raise ValueError(f"{identity!r} is no URI with a scheme of its own, like spiffe://fleet.example/*")


@config
class Policy:
    """The whole file."""

    rules: tuple[Rule, ...] = ()
    """Rules for identities."""
    others: Grant = NOTHING
    """For callers with a certificate that no rule names."""
    anonymous: Grant = NOTHING
    """For callers without a certificate. They share one bucket and one cap of each kind for each host that they come
    from."""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for identity in (identity for rule in self.rules for identity in rule.identities):
            if identity in seen:
                raise ValueError(f"{identity!r} stands in two places")
            seen.add(identity)


class Rulebook:
    """A policy, ready to be asked.

    Args:
        policy: What the file says.
        sha256: Of the file, hex; empty where there is none.
    """

    def __init__(self, policy: Policy, sha256: str = "") -> None:
        self.policy = policy
        self.sha256 = sha256
        named = [(identity, rule.grant) for rule in policy.rules for identity in rule.identities]
        self._exact = {identity: grant for identity, grant in named if "*" not in identity}
        self._patterns = [(_pattern(identity), grant) for identity, grant in named if "*" in identity]
        self._remembered = functools.lru_cache(_REMEMBERED_CALLERS)(self._find)

    def grant_of(self, vehicle: str) -> Grant:
        """What `vehicle`, as `identity.vehicle_of` names it, may do."""
        return self._remembered(vehicle) if is_named(vehicle) else self.policy.anonymous

    def _find(self, vehicle: str) -> Grant:
        exact = self._exact.get(vehicle)
        if exact is not None:
            return exact
        fitting = (grant for pattern, grant in self._patterns if pattern.fullmatch(vehicle))
        return next(fitting, self.policy.others)


def _pattern(identity: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(re.escape(part) for part in identity.split("*")))
