"""Looks at the registry for as long as the server lives, and decides what is tried when.

At each look, one thing after the other: the champion, if its alias has moved; the challenger, if one is to be shadowed;
what is to be written into the registry. Whatever goes wrong there, the model that serves goes on.
"""

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from isthmus.errors import (
    BackendUnavailableError,
    ContractError,
    EngineLostError,
    IsthmusError,
    ModelRefusedError,
    NoModelError,
    ProviderError,
    RegistryError,
)
from isthmus.serving.config import LimitsConfig, ServerConfig
from isthmus.serving.events import Change, Events, ModelChanged
from isthmus.serving.model import LoadedModel
from isthmus.serving.model_cache import Avoided
from isthmus.serving.model_store import CHALLENGER, CHAMPION, ModelStore
from isthmus.serving.off_loop import BACKGROUND, in_thread
from isthmus.serving.session import CPU
from isthmus.serving.swap.checks import check_speed, warm_up
from isthmus.serving.swap.refusals import Refusals
from isthmus.serving.swap.shadow import Shadow
from isthmus.serving.swap.slots import Slots
from isthmus.serving.swap.switch import Return, Switch

logger = logging.getLogger(__name__)

MAY_PASS: Final = (NoModelError, RegistryError, ContractError, ModelRefusedError, BackendUnavailableError)
"""What another version in the registry, or a registry or a back end that is up again, can mend."""
_REFUSED: Final = (ContractError, ModelRefusedError, ProviderError)
_MAX_PAUSE_S: Final = 60.0
_JITTER: Final = 0.2


class Watcher:
    """Keeps a server on the registry's champion.

    Args:
        config: Registry, pauses, what a candidate must show.
        store: Finds and opens models.
        slots: The pipeline.
        events: Told of changes.
        on_first: Awaited when the first model serves.
        on_answer: Called when the registry has answered, whatever it said.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: ModelStore,
        slots: Slots,
        events: Events,
        *,
        on_first: Callable[[], Awaitable[None]],
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._store = store
        self._slots = slots
        self._events = events
        self._on_first = on_first
        self._on_answer = on_answer
        self._switch = Switch(slots, events, config.swap, self._went_back)
        self._shadow = Shadow(slots, events, config.swap.shadow_percent) if config.swap.shadow_percent else None
        self._refusals = Refusals(config.poll_interval_s)
        self._unfit_challengers = Refusals(config.poll_interval_s)
        self._avoided: Avoided | None = None
        self._to_note: Return | None = None
        self._states: dict[str, str] = {}
        self._said = ""
        self._num_failures = 0
        self._hurry = asyncio.Event()

    @property
    def previous(self) -> LoadedModel | None:
        """The model before the one that answers, as long as it is kept."""
        return self._switch.previous

    @property
    def challenger(self) -> LoadedModel | None:
        """The model that sees frames and never answers."""
        return None if self._shadow is None else self._shadow.model

    @property
    def refused(self) -> dict[str, str]:
        """Why versions that hold an alias do not serve here, by version."""
        current = self._slots.current
        reasons = {version: f"as challenger, {why}" for version, why in self._unfit_challengers.reasons().items()}
        reasons |= self._refusals.reasons()
        if self._avoided is not None:
            reasons[self._avoided.version] = f"rolled back, {self._avoided.reason}"
        taken = {model.version for model in (current, self.challenger) if model is not None}
        return {version: why for version, why in reasons.items() if version not in taken}

    @property
    def problem(self) -> str:
        """What went wrong at the last look, such as why there is no model; empty where all went well."""
        return self._said

    def prepare(self) -> None:
        """Make the cache, where one is needed; see `ModelStore.prepare`."""
        self._store.prepare()

    async def roll_back(self, reason: str) -> None:
        """Go back to the model before, because an operator says so; the version is not tried again.

        Raises:
            NoModelError: There is none that is still kept.
        """
        if not self._switch.go_back(reason):
            raise NoModelError("there is no previous model to go back to", remedy="See `isthmus admin state`.")

    async def first(self) -> None:
        """Load and serve the first model.

        Raises:
            IsthmusError: See `ModelStore.load`; of these, `MAY_PASS` can be mended while the server waits.
            EngineLostError: The execution provider failed for good.
        """
        try:
            model = await in_thread(lambda: self._store.load(self._warmed))
        except (NoModelError, ContractError, ModelRefusedError):
            self._on_answer()
            raise
        if not model.from_cache:
            self._on_answer()
        try:
            if model.from_cache:
                self._avoided = await in_thread(self._store.avoided)
        except BaseException:
            model.engine.close()
            raise
        self._switch.begin(model)
        await self._on_first()
        logger.info("serving %s version %s (%s) on %s", model.name, model.version, model.sha256[:12], model.provider)

    def _warmed(self, model: LoadedModel) -> LoadedModel:
        """On the loader's thread. A CPU has next to nothing to warm, and its first frames shall not wait for it."""
        if model.provider == CPU:
            return model
        return dataclasses.replace(model, batch_seconds=asyncio.run(warm_up(model, self._config.limits)))

    async def run(self, cause: IsthmusError | None = None) -> None:
        """Look again and again until cancelled.

        Args:
            cause: Why there is no model yet.

        Raises:
            EngineLostError: The execution provider failed for good.
            ProviderError: There is no model yet, and the first one cannot run here.
        """
        if cause is not None:
            self._say(cause)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._pause())
            self._hurry.clear()
            try:
                if self._slots.current is None:
                    await self.first()
                else:
                    await self._look()
            except MAY_PASS as error:
                self._say(error)
            except EngineLostError:
                raise
            except Exception as error:  # a full disk, a bug: not the serving model's fault
                if self._slots.current is None:
                    raise
                logger.exception("looking at the registry failed")
                self._say(error)
            else:
                self._num_failures, self._said = 0, ""

    async def stop(self) -> None:
        """Free what only the watcher holds."""
        if self._shadow is not None:
            await self._shadow.stop()
        await self._switch.stop()

    def _pause(self) -> float:
        pause = self._config.poll_interval_s
        if self._num_failures:
            pause = max(pause, min(pause * 2**self._num_failures, _MAX_PAUSE_S))
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # not all servers at the same moment

    def _say(self, error: Exception) -> None:
        """Log what is wrong whenever that changes; errors of the registry make the pauses grow."""
        self._num_failures = 0 if isinstance(error, NoModelError) else min(self._num_failures + 1, 16)
        if str(error) != self._said:
            self._said = str(error)
            level = logging.WARNING if isinstance(error, NoModelError) else logging.ERROR
            current = self._slots.current
            state = "no model" if current is None else f"version {current.version} goes on"
            logger.log(level, "%s: %s", state, error)

    async def _look(self) -> None:
        await self._note_return()
        aliases = await in_thread(self._store.look)
        self._on_answer()
        champion, challenger = aliases.get(CHAMPION), aliases.get(CHALLENGER)
        self._refusals.keep_only(champion)
        self._unfit_challengers.keep_only(challenger)
        await self._write_states()
        if champion is None:
            raise NoModelError(
                f"no version has the alias {CHAMPION!r} any more", remedy="Promote one with `isthmus promote`."
            )
        await self._follow_champion(champion)
        if self._shadow is not None:
            await self._follow_challenger(self._shadow, None if challenger == champion else challenger)

    # The champion.

    async def _follow_champion(self, version: str) -> None:
        current = self._slots.current
        assert current is not None
        if self._avoided is not None and self._avoided.version != version:
            self._avoided = None
        if version == current.version:
            if current.from_cache:
                self._switch.relabel(await in_thread(lambda: self._store.confirm(current)))
            return
        if self._avoided is not None:
            return
        verdict = await in_thread(lambda: self._store.verdict_named(version))
        if not self._refusals.may_try(version, verdict):
            return
        started = time.monotonic()
        try:
            model = await self._checked(version, current)
        except _REFUSED as error:
            if self._slots.current is current:
                await self._refuse(version, current, error, verdict, time.monotonic() - started)
            return  # else it was measured against a model that is gone, which `_went_back` looks again for
        await self._note_return()  # a note that came after the swap's would bring an older model back
        if self._slots.current is not current:
            model.engine.close()
            return
        self._states[version] = "serving"  # first: the way back may come while this waits for the registry
        self._switch.swap(model, seconds=time.monotonic() - started)
        await self._remember(model, None)
        await self._write_states()

    async def _checked(self, version: str, current: LoadedModel) -> LoadedModel:
        """A version that may serve.

        Raises:
            IsthmusError: It may not; see `ModelStore.fetch`, `check_label_space`, `warm_up` and `check_speed`.
        """
        level = logging.DEBUG if self._refusals.is_known(version) else logging.INFO
        logger.log(level, "version %s has the alias %s and is looked at", version, CHAMPION)
        self._switch.make_room()
        model = await in_thread(lambda: self._store.fetch(version))
        live = self._switch.live
        assert live is not None
        try:
            self._store.check_label_space(model, current.card.label_space.id_hash)
            seconds = await warm_up(model, self._config.limits, live)
            await check_speed(model, current, live, self._config.swap.max_slowdown)
        except BaseException:
            model.engine.close()
            raise
        return model if model.provider == CPU else dataclasses.replace(model, batch_seconds=seconds)

    async def _refuse(
        self, version: str, current: LoadedModel, error: IsthmusError, verdict: str, seconds: float
    ) -> None:
        if not self._refusals.note(version, verdict, str(error)):
            pause_s = self._refusals.pause_s(version)
            logger.info("version %s is still refused; it is looked at again in %.0f s", version, pause_s)
            return
        logger.error("REFUSED version %s, version %s goes on: %s", version, current.version, error)
        self._events.tell(
            ModelChanged(
                change=Change.REFUSED,
                model_version=current.version,
                reason=str(error),
                refused_version=version,
                seconds=seconds,
            )
        )
        self._states[version] = f"rejected: {error}"
        await self._write_states()

    def _went_back(self, event: Return) -> None:
        self._avoided = Avoided(event.gave_up.version, event.reason)
        self._states[event.gave_up.version] = f"rejected: rolled back, {event.reason}"
        self._to_note = event
        self._hurry.set()  # the cache must know before this process can die

    async def _note_return(self) -> None:
        if self._to_note is not None:
            event, self._to_note = self._to_note, None
            await self._remember(event.back_to, Avoided(event.gave_up.version, event.reason))

    async def _remember(self, model: LoadedModel, avoided: Avoided | None) -> None:
        keep = [other.sha256 for other in (self.previous, self.challenger) if other is not None]
        try:
            await in_thread(lambda: self._store.remember(model, keep=keep, avoided=avoided))
        except OSError as error:
            logger.error(  # noqa: TRY400 - the disk's trouble needs no traceback
                "version %s serves, but a restart without the registry would not know it: %s", model.version, error
            )

    async def _write_states(self) -> None:
        await self._note_return()
        while self._states:
            version, state = self._states.popitem()
            await in_thread(lambda version=version, state=state: self._store.say(version, state))  # type: ignore[misc]

    # The challenger.

    async def _follow_challenger(self, shadow: Shadow, version: str | None) -> None:
        now = None if shadow.model is None else shadow.model.version
        if version == now:
            return
        if now is not None:
            await shadow.show_to(None)
        if version is None or version == shadow.gave_up or not self._unfit_challengers.may_try(version, ""):
            return
        try:
            model = await in_thread(lambda: self._open_challenger(version), nice=BACKGROUND)
        except _REFUSED as error:
            if self._unfit_challengers.note(version, "", str(error)):
                logger.warning("challenger %s is not shadowed: %s", version, error)
            return
        await shadow.show_to(model)
        logger.info("challenger %s sees %g %% of the frames", version, self._config.swap.shadow_percent)

    def _open_challenger(self, version: str) -> LoadedModel:
        """On a thread of low priority, which its engine's threads take from it: they are started here."""
        model = self._store.fetch(version, CHALLENGER, num_threads=1)
        current = self._slots.current
        assert current is not None
        try:
            _check_comparable(model, current)
            asyncio.run(warm_up(model, LimitsConfig(max_batch_size=1)))
        except BaseException:
            model.engine.close()
            raise
        return model


def _check_comparable(challenger: LoadedModel, champion: LoadedModel) -> None:
    if challenger.card.label_space.id_hash != champion.card.label_space.id_hash:
        raise ModelRefusedError(
            f"its masks cannot be compared: version {champion.version}, the champion, has another label space",
            where=f"models:/{challenger.name}/{challenger.version}",
        )
