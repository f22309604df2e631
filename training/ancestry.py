"""What reached a run by way of other runs: the data sets behind weights, generators and adapted sources.

`ancestry.json` in a run's folder and each checkpoint hold it, so that a model card and a report can tell of a data set
that the run's own configuration does not name. No torch in here: reports read it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from isthmus.artifact import INHERITED_ROLE, INHERITED_TARGET_ROLE, CardDataset
from isthmus.datasets.layout import write_bytes
from isthmus.errors import UnreadableFileError

ANCESTRY_FILE: Final = "ancestry.json"
"""In a run's folder: a list of `Ancestor`, empty where the run stands alone."""
ADAPTED_FILE: Final = "adapted.json"
"""In the folder of a data set that `isthmus adapt` wrote: its manifest, with the `ancestry` of the generator."""

_CARD_ROLES: Final = {"source": INHERITED_ROLE, "target": INHERITED_TARGET_ROLE}


class Ancestor(BaseModel):
    """A data set, or a folder of style images, that reached a run through something that was trained before."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    role: Literal["source", "target", "validation", "style"] = Field(
        description="Labels taught; frames without labels; labels chose the checkpoint; images lent their looks"
    )
    dataset: str
    split: str = ""
    root: str = Field(description="Its folder as the configuration named it; empty where it is not known")
    num_frames: int = 0
    digest: str = Field(default="", description="As in a card; empty for style images")
    through: str = Field(default="", description="What brought it, in words; empty for a run's own sets")

    @property
    def title(self) -> str:
        """For example `camvid/train`."""
        return f"{self.dataset}/{self.split}" if self.split else self.dataset

    def brought_by(self, link: str) -> "Ancestor":
        """The same one generation later.

        Args:
            link: In words, what the younger run took.
        """
        through = f"{link}, itself through {self.through}" if self.through else link
        return self.model_copy(update={"through": through})


ANCESTORS: Final = TypeAdapter(tuple[Ancestor, ...])


def inherited_cards(ancestry: Sequence[Ancestor]) -> tuple[CardDataset, ...]:
    """What a model card lists of an ancestry: the sets that taught, with labels or without, each once."""
    cards = {
        (one.digest, role): CardDataset(
            role=role, dataset=one.dataset, split=one.split, num_frames=one.num_frames, digest=one.digest
        )
        for one in reversed(ancestry)  # of two through which a set came, the first stays
        if (role := _CARD_ROLES.get(one.role)) is not None
    }
    return tuple(reversed(cards.values()))


def write_ancestry(folder: Path, ancestry: Sequence[Ancestor]) -> Path:
    """Write `ancestry.json` in a run's folder, whole or not at all."""
    path = folder / ANCESTRY_FILE
    write_bytes(path, (json.dumps([one.model_dump() for one in ancestry], indent=2) + "\n").encode())
    return path


def read_ancestry(folder: Path) -> tuple[Ancestor, ...] | None:
    """What a run's folder tells of its ancestry; None of a run from before it was written down.

    Raises:
        UnreadableFileError: The file is damaged.
    """
    path = folder / ANCESTRY_FILE
    if not path.is_file():
        return None
    try:
        return ANCESTORS.validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        raise UnreadableFileError(
            "no list of ancestors", where=path, remedy="Put the run's own file back, or go on with `--resume`."
        ) from error
