"""The models that can answer now: the champion, and others that are addressable by their version."""

from collections.abc import Callable, Iterator

from isthmus.errors import ModelNotLoadedError, NoModelError
from isthmus.serving.config import ServerConfig
from isthmus.serving.model import LoadedModel
from isthmus.serving.scheduling.batching import BatchRules
from isthmus.serving.scheduling.latency import Latency


class ModelSlot:
    """A model, how batches are made for it, and how long they take.

    Args:
        model: It.
        rules: Sizes of its batches.
        warm_start: Seconds by batch size of the model before it, where nothing was measured for this one.
    """

    def __init__(self, model: LoadedModel, rules: BatchRules, warm_start: Latency | None) -> None:
        self.model = model
        self.rules = rules
        before = warm_start.medians if warm_start is not None else {}
        self.latency = Latency(model.batch_seconds or before)


class ModelSlots:
    """Which models can answer.

    Args:
        config: Sizes of batches.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._champion: ModelSlot | None = None
        self._others: dict[str, ModelSlot] = {}
        self._before: LoadedModel | None = None
        self.shadowed: Callable[[], LoadedModel | None] = lambda: None
        """Gives the model that sees frames and never answers."""

    def __iter__(self) -> Iterator[LoadedModel]:
        """All of them, the champion first."""
        if self._champion is not None:
            yield self._champion.model
        for slot in self._others.values():
            yield slot.model

    @property
    def champion(self) -> ModelSlot | None:
        """The one that answers where no version is named."""
        return self._champion

    @property
    def previous(self) -> LoadedModel | None:
        """The champion before, as long as it is kept."""
        model = self._before
        return model if model is not None and self._holds(model) else None

    def serve(self, model: LoadedModel) -> LoadedModel | None:
        """Make `model` the champion; the one before, which is kept only if `keep` is called for it."""
        before = self._champion
        kept = self._others.pop(model.version, None)
        if kept is not None and kept.model is model:
            self._champion = kept
        else:
            self._champion = self._slot(model, before)
        self._before = before.model if before is not None else None
        return self._before

    def keep(self, model: LoadedModel) -> None:
        """Let `model` answer where its version is named."""
        self._others[model.version] = self._slot(model, self._champion)

    def forget(self, model: LoadedModel) -> None:
        """End what `keep` began; nothing happens where it is not kept."""
        if self._holds(model):
            del self._others[model.version]

    def find(self, name: str | None = None, version: str = "") -> ModelSlot:
        """The slot for a request.

        Args:
            name: Refuse any other model; None takes whichever is there.
            version: The version that is insisted on; empty for the champion.

        Raises:
            NoModelError: Nothing has been promoted yet.
            ModelNotLoadedError: Another model or version is loaded.
        """
        champion = self._champion
        if champion is None:
            raise NoModelError(
                "this server has no model yet", remedy="Promote one with `isthmus promote`; the server's log says more."
            )
        slot = champion if version in ("", champion.model.version) else self._others.get(version)
        if slot is None or name not in (None, slot.model.name):
            model = champion.model
            raise ModelNotLoadedError(
                f"model {model.name if name is None else name!r}{version and f' version {version}'} is not loaded",
                remedy=f"This server has {model.name!r} version {', '.join(each.version for each in self)}.",
            )
        return slot

    def _holds(self, model: LoadedModel) -> bool:
        slot = self._others.get(model.version)
        return slot is not None and slot.model is model

    def _slot(self, model: LoadedModel, before: ModelSlot | None) -> ModelSlot:
        limits = self._config.limits
        rules = BatchRules.of(self._config.scheduler, model.provider, limits.max_batch_size)
        return ModelSlot(model, rules, before.latency if before is not None else None)
