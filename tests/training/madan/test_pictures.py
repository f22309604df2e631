"""What the pictures of a step show."""

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.training.madan.pictures import Shown, draw
from isthmus.training.madan.pixel import Frames, Translated
from isthmus.training.segmenters import NUM_CLASSES
from isthmus.training.tensor_pictures import fitted


class Road(nn.Module):
    """A segmenter that sees road everywhere."""

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(len(image), NUM_CLASSES, *image.shape[-2:])
        logits[:, 0] = 1.0
        return logits


def grey(level: float, height: int, width: int) -> Tensor:
    return torch.full((2, 3, height, width), level)


def test_whole_frames_stand_beside_their_crops_as_the_segmenter_sees_them() -> None:
    crops = Frames([grey(0.2, 72, 144)] * 2, [torch.zeros(2, 72, 144, dtype=torch.long)] * 2, grey(0.2, 72, 144))
    translated = Translated(crops.target, crops.target, crops.target, {})
    whole = (grey(0.4, 144, 144), grey(0.6, 36, 144))
    segmenters = [Road(), Road()]
    shown = Shown(crops, (translated,) * 2, segmenters, Road(), whole=whole, adapt=lambda image, i: image - 0.2 * i)
    picture = draw(shown.kept())["adaptation"]
    assert picture.shape == (18 + 2 * 72, 8 * 144, 3)
    first, second = picture[18 : 18 + 72, 6 * 144 :, 0], picture[18 + 72 :, 6 * 144 :, 0]
    assert first[36, [0, 35, 36, 107, 108, 143]].tolist() == [255, 255, 102, 102, 255, 255]  # 72 wide in 144
    assert first[36, 144 + 72] == 102
    assert second[[0, 17, 18, 53, 54, 71], 72].tolist() == [255, 255, 153, 153, 255, 255]  # 36 high in 72
    assert second[36, 144 + 72] == 102
    assert draw(Shown(crops, (translated,) * 2, segmenters, Road()))["adaptation"].shape[1] == 6 * 144


def test_a_fitted_picture_is_shrunk_by_its_means() -> None:
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, ::2] = 200
    assert fitted(picture, 2, 4).tolist() == np.full((2, 4, 3), 100).tolist()
