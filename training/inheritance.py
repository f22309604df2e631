"""Gathering a new run's ancestry, from the checkpoints and adapted sources that its configuration names."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from isthmus.artifact import INHERITED_ROLE, INHERITED_TARGET_ROLE, CardDataset
from isthmus.datasets.catalogue import DatasetConfig
from isthmus.errors import CheckpointError, UnreadableFileError
from isthmus.training.ancestry import ADAPTED_FILE, ANCESTORS, Ancestor
from isthmus.training.beginnings import earlier_runs
from isthmus.training.checkpoint import CheckpointInfo, read_info, resolve
from isthmus.training.config import TrainingConfig
from isthmus.training.madan.config import MadanConfig
from isthmus.training.randomization.config import RandomizationConfig
from isthmus.training.randomization.styles.config import IMAGE_KINDS

INHERITED_ROLES: Final = {INHERITED_ROLE: "source", INHERITED_TARGET_ROLE: "target"}
"""Roles of a card's inherited sets, and what they were where they trained."""
_OWN_ROLES: Final = frozenset({"source", "target", "validation"})


def ancestry_of(config: TrainingConfig) -> tuple[Ancestor, ...]:
    """All that stands behind a new run beside its own data sets, as far as checkpoints and manifests hold it.

    Args:
        config: The run's.

    Raises:
        CheckpointError: A run that it begins with cannot be read. Generators are refused where they are opened.
        UnreadableFileError: The manifest of an adapted source is damaged.
    """
    earlier_runs(config)  # refuses those that are missing or of another network, and names the key
    found: dict[Ancestor, None] = {}
    method = config.method
    if method.start_from is not None:
        found |= dict.fromkeys(_behind(method.start_from, "method.start_from"))
    if isinstance(method, MadanConfig):
        for path in method.source_checkpoints:
            if path is not None:
                found |= dict.fromkeys(_behind(path, "method.source_checkpoints"))
    if isinstance(method, RandomizationConfig):
        used = method.styles.kinds.count("translation")
        for path in method.styles.translation.checkpoints[:used]:
            with suppress(CheckpointError):  # the stylist refuses it and names the key
                found |= dict.fromkeys(_behind(path, "the generators of"))
    for source in config.sources:
        manifest = read_manifest(source)
        ancestors = () if manifest is None else manifest_ancestry(manifest) or ()
        found |= dict.fromkeys(one.brought_by(f"the adapted source {source.root}") for one in ancestors)
    return tuple(found)


def untold_sources(sources: Sequence[DatasetConfig]) -> list[DatasetConfig]:
    """Adapted sources whose manifests are from before the ancestry stood in them."""
    manifests = ((source, read_manifest(source)) for source in sources)
    return [one for one, manifest in manifests if manifest is not None and manifest_ancestry(manifest) is None]


def ancestors_in(info: CheckpointInfo) -> tuple[Ancestor, ...]:
    """What a checkpoint hands on: its run's own sets that taught or chose it, its style images, and its ancestry."""
    own = [card for card in info.datasets if card.role not in INHERITED_ROLES]
    named = zip(own, _roots(info.config), strict=False)  # in the order of `TrainingConfig.roles`
    handed = [_ancestor(card, card.role, root) for card, root in named if card.role in _OWN_ROLES]
    handed += _style_images(info.config)
    # Checkpoints from before there was an ancestry know its labelled sets alone, and not where they lay.
    ancestry = info.ancestry or ()
    told = {(one.digest, one.role) for one in ancestry}
    cards = ((card, INHERITED_ROLES[card.role]) for card in info.datasets if card.role in INHERITED_ROLES)
    older = [_ancestor(card, role, "") for card, role in cards if (card.digest, role) not in told]
    return (*handed, *ancestry, *older)


def read_manifest(dataset: DatasetConfig) -> dict[str, Any] | None:
    """The manifest of an adapted set; None of any other.

    Raises:
        UnreadableFileError: The file is damaged.
    """
    path = dataset.root / ADAPTED_FILE
    if not path.is_file():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        manifest_ancestry(manifest)
    except (ValueError, AttributeError) as error:  # no JSON, no object, or no ancestors
        raise UnreadableFileError(
            "damaged manifest", where=path, remedy="Remove the folder and adapt the source again."
        ) from error
    return manifest


def manifest_ancestry(manifest: Mapping[str, Any]) -> tuple[Ancestor, ...] | None:
    """What an adapted set carries on; None where its manifest is from before that.

    Raises:
        ValidationError: It holds something else.
    """
    if "ancestry" not in manifest:
        return None
    return ANCESTORS.validate_json(json.dumps(manifest["ancestry"]), strict=True)


def _behind(checkpoint: Path, link: str) -> Iterator[Ancestor]:
    for one in ancestors_in(read_info(resolve(checkpoint))):
        yield one.brought_by(f"{link} {checkpoint}")


def _ancestor(card: CardDataset, role: Any, root: str) -> Ancestor:
    return Ancestor(
        role=role, dataset=card.dataset, split=card.split, root=root, num_frames=card.num_frames, digest=card.digest
    )


def _roots(tree: Mapping[str, Any]) -> list[str]:
    """Folders of a configuration's data sets, in the order of its roles."""
    named = [*tree["sources"], tree.get("target"), tree.get("validation"), *tree.get("evaluated_on", ())]
    return [str(one["root"]) for one in named if one is not None]


def _style_images(tree: Mapping[str, Any]) -> list[Ancestor]:
    styles = tree["method"].get("styles") or {}
    used = styles.get("views", 1) > 1 and any(styles["weights"].get(kind) for kind in IMAGE_KINDS)
    if not used or styles.get("images") is None:
        return []
    return [Ancestor(role="style", dataset="style images", root=str(styles["images"]))]
