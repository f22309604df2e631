"""A vehicle's share of the server: frames a second, and frames at once."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from isthmus.errors import NotAllowedError, QuotaExceededError
from isthmus.serving.identity import host_of, is_named
from isthmus.serving.security.access import refusal
from isthmus.serving.security.policy import Grant, RpcGroup, Rulebook

_SWEEP_FROM: Final = 1024
_IN_FLIGHT_RETRY_S: Final = 0.05  # about one frame's time in the engine
_ONE: Final = 1 - 1e-9  # sums of seconds are not exact, and a client that waits as told must not be told again


@dataclass(slots=True)
class _Share:
    tokens: float
    filled_at: float
    in_flight: int = 0

    def fill(self, rate: float, burst: float, now: float) -> None:
        self.tokens = min(burst, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now


class Quotas:
    """Counts what each vehicle uses, by the policy that is in force at that moment.

    A frame that another part of the server refuses later has cost its token all the same: tokens bound attempts.

    Args:
        rules: Gives the policy in force.
        clock: Seconds from any fixed moment.
    """

    def __init__(self, rules: Callable[[], Rulebook], clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._shares: dict[str, _Share] = {}
        self._sweep_at = _SWEEP_FROM

    @contextlib.contextmanager
    def admit(self, vehicle: str, service_class: str | None = None) -> Iterator[None]:
        """Count one frame, or one request with a batch of them, of `vehicle` until it is answered.

        Args:
            vehicle: As `identity.vehicle_of` names it.
            service_class: `live` or `bulk`; None where the frame does not say.

        Raises:
            NotAllowedError: The policy forbids it frames, or frames of this class.
            QuotaExceededError: Its share is used up.
            UnauthenticatedError: It has no certificate, and the policy forbids anonymous callers frames.
        """
        grant = self._rules().grant_of(vehicle)
        if RpcGroup.FRAMES not in grant.allow:
            raise refusal(vehicle, RpcGroup.FRAMES)
        if service_class is not None and service_class not in grant.service_classes:
            raise NotAllowedError(f"the policy does not allow frames of class {service_class}", where=vehicle)
        share = self._share_of(vehicle if is_named(vehicle) else host_of(vehicle), grant)
        self._take(share, grant, vehicle)
        share.in_flight += 1
        try:
            yield
        finally:
            share.in_flight -= 1

    def weight(self, vehicle: str) -> float:
        """How much of a busy server is the vehicle's, compared with the weights of others; above 0."""
        return self._rules().grant_of(vehicle).weight

    def _take(self, share: _Share, grant: Grant, vehicle: str) -> None:
        if grant.max_in_flight is not None and share.in_flight >= grant.max_in_flight:
            raise QuotaExceededError(
                f"{share.in_flight} frames are in flight, and {grant.max_in_flight} is this vehicle's share",
                where=vehicle,
                remedy="Wait for answers.",
                retry_after_s=_IN_FLIGHT_RETRY_S,
            )
        rate = grant.max_frames_per_s
        if rate is None:
            return
        share.fill(rate, grant.burst, self._clock())
        if share.tokens < _ONE:
            raise QuotaExceededError(
                f"{rate:g} frames a second are this vehicle's share, and it has sent more",
                where=vehicle,
                remedy="Send fewer.",
                retry_after_s=(1 - share.tokens) / rate,
            )
        share.tokens -= 1

    def _share_of(self, key: str, grant: Grant) -> _Share:
        share = self._shares.get(key)
        if share is None:
            if len(self._shares) >= self._sweep_at:
                self._sweep()
            full = grant.burst if grant.max_frames_per_s is not None else 0.0
            share = self._shares[key] = _Share(full, self._clock())
        return share

    def _sweep(self) -> None:
        """Forget those who would get a full bucket again anyway."""
        now, rules = self._clock(), self._rules()
        for key, share in list(self._shares.items()):
            grant = rules.grant_of(key)
            rate = grant.max_frames_per_s
            if share.in_flight == 0 and (rate is None or share.tokens + (now - share.filled_at) * rate >= grant.burst):
                del self._shares[key]
        self._sweep_at = max(_SWEEP_FROM, 2 * len(self._shares))
