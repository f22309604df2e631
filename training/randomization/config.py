"""Configuration of domain randomization and pyramid consistency."""

from dataclasses import field
from pathlib import Path
from typing import Literal

from isthmus.configuration import config
from isthmus.training.randomization.layers import LOGITS, is_layer
from isthmus.training.randomization.pyramid import Distance
from isthmus.training.randomization.styles.config import StylesConfig


@config
class ConsistencyConfig:
    """What must stay alike across styles and across crops. The paper's weights are not known to us: these are ours."""

    weight_pcd: float = 0.1
    """alpha of L_PCD, pyramid consistency across domains; 0 takes it out."""
    weight_pci: float = 0.1
    """alpha of L_PCI, pyramid consistency within an image; 0 takes it out, with the crops."""
    ramp: float = 0.1
    """Both weights grow from 0 to their whole values within so much of the run."""
    layers: dict[str, float] = field(default_factory=lambda: {"logits": 1.0, "encoder": 1.0})
    """lambda_l of each layer: `logits` are the class probabilities, `encoder` the encoder's last stage, `encoder_N` the
    N-th that it gives, from 0; a stage with no weight before it, such as the image itself, is refused."""
    distance: Distance = "l1"
    """`l1`, or `kl` where `logits` is the only layer."""
    levels: tuple[int, ...] = (1, 2, 4, 8)
    """Bins a side of each grid of the pyramid."""
    level_weights: tuple[float, ...] | None = None
    """How much each level counts; alike where left out."""
    crops: int = 2
    """Crops of each frame, of styles drawn at random; they play while `weight_pci` is above 0."""
    crop_scale: tuple[float, float] = (0.5, 0.8)
    """Smallest and largest side of a crop as a share of the image's."""

    def __post_init__(self) -> None:
        for name in ("weight_pcd", "weight_pci"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: write 0 or more")
        if not 0.0 <= self.ramp <= 1.0:
            raise ValueError(f"ramp is {self.ramp}: write a share of the run, from 0 to 1")
        if self.crops < 1:
            raise ValueError(f"crops is {self.crops}: write 1 or more; weight_pci: 0.0 takes crops out")
        if not 0.0 < self.crop_scale[0] <= self.crop_scale[1] <= 1.0:
            raise ValueError(f"crop_scale is {self.crop_scale}: write a smaller and a larger share, up to 1")
        self._check_layers()
        self._check_levels()

    def _check_layers(self) -> None:
        unknown = [name for name in self.layers if not is_layer(name)]
        if unknown:
            raise ValueError(f"layers names {', '.join(unknown)}: write logits, encoder or encoder_N")
        if not self.layers or any(weight <= 0 for weight in self.layers.values()):
            raise ValueError(f"layers is {self.layers}: name at least one, each with a number above 0")
        if self.distance == "kl" and set(self.layers) != {LOGITS}:
            raise ValueError("distance kl compares probabilities: name logits alone under layers, or write l1")

    def _check_levels(self) -> None:
        if not self.levels or min(self.levels) < 1 or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"levels is {self.levels}: write different numbers of bins, each 1 or more")
        if self.level_weights is None:
            return
        if len(self.level_weights) != len(self.levels):
            raise ValueError(f"level_weights names {len(self.level_weights)} for {len(self.levels)} levels")
        if min(self.level_weights) < 0 or sum(self.level_weights) == 0:
            raise ValueError(f"level_weights is {self.level_weights}: write 0 or more, not all 0")


@config
class RandomizationConfig:
    """Domain generalisation: each frame in several styles, and what is seen in them made alike; no target."""

    name: Literal["randomization"]
    """Marks this method."""
    styles: StylesConfig
    """Which styles there are, and how many views of a frame a step sees."""
    consistency: ConsistencyConfig = ConsistencyConfig()
    """What is made alike, and how strongly."""
    class_weights: Literal["none", "enet"] = "none"
    """Of the segmentation loss; see source_only."""
    running_statistics: Literal["views", "frames"] = "views"
    """Whose mean and deviation normalisation layers keep for use after training: those of all that the network learns
    from, or of the frames as they are, for which one more pass of theirs is paid. The paper's VGG16 keeps none."""
    views_per_pass: int | None = None
    """Views and crops of each frame that go through the network at once, to bound memory; null sends all together.
    Normalisation layers then see one pass at a time, and below `styles.views` consistency costs a second forward pass
    of the views."""
    start_from: Path | None = None
    """A run or checkpoint whose segmenter this one begins with; null begins with the encoder's weights alone, as the
    paper does."""

    def __post_init__(self) -> None:
        if self.views_per_pass is not None and self.views_per_pass < 1:
            raise ValueError(f"views_per_pass is {self.views_per_pass}: write 1 or more, or null")
        if self.styles.views == 1 and self.consistency.weight_pcd > 0:
            raise ValueError(
                "consistency.weight_pcd is above 0, but styles.views is 1, and one view agrees with itself: "
                "write weight_pcd: 0.0 or more views"
            )

    @property
    def images_per_frame(self) -> int:
        """Views and crops that one frame becomes in a step."""
        return self.styles.views + (self.consistency.crops if self.consistency.weight_pci > 0 else 0)

    @property
    def smallest_pass(self) -> int:
        """Views and crops of each frame in the smallest pass."""
        if self.views_per_pass is None:
            return self.images_per_frame
        return self.images_per_frame % self.views_per_pass or self.views_per_pass
