"""What the swap needs of the pipeline."""

from typing import Protocol

from isthmus.serving.model import LoadedModel


class Slots(Protocol):
    """The models that can answer."""

    @property
    def current(self) -> LoadedModel | None:
        """The one that answers where no version is named."""
        ...

    def serve(self, model: LoadedModel) -> LoadedModel | None:
        """Let `model` answer from the next batch on; gives the one before."""
        ...

    def also(self, model: LoadedModel) -> None:
        """Let `model` answer where its version is named."""
        ...

    def forget(self, model: LoadedModel) -> None:
        """End what `also` began."""
        ...

    async def drained(self, model: LoadedModel) -> None:
        """Return when no batch of `model` runs any more."""
        ...
