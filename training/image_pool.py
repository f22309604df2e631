"""A history of translated images, so that discriminators do not forget what generators did before."""

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Gives back fresh images or, half of the time, older ones in their place (Shrivastava et al., arXiv:1612.07828).

    Has a random state of its own, so that neither the number of pools nor a resumed run changes another draw.
    Images wait in half precision, which keeps more than an 8-bit file does.

    Args:
        capacity: Images to hold; 0 always gives the fresh ones.
        seed: Of the pool's own random state.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        assert capacity >= 0
        self.capacity = capacity
        self._images: list[Tensor] = []
        self._generator = torch.Generator().manual_seed(seed)

    def exchange(self, images: Tensor) -> Tensor:
        """As many images as came, some of them from the past.

        Args:
            images: [B,3,H,W]; detached here.

        Returns:
            [B,3,H,W] of the same dtype and on the same device.
        """
        images = images.detach()
        if self.capacity == 0:
            return images
        given = []
        for image in images:
            if len(self._images) < self.capacity:
                self._images.append(image.half())
                given.append(image)
            elif self._draw(2) == 0:
                place = self._draw(len(self._images))
                given.append(self._images[place].to(image.device, image.dtype))
                self._images[place] = image.half()
            else:
                given.append(image)
        return torch.stack(given)

    def _draw(self, bound: int) -> int:
        return int(torch.randint(bound, (), generator=self._generator))

    def state_dict(self) -> dict[str, Any]:
        """The images and the random state."""
        return {"images": [image.cpu() for image in self._images], "random": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; images move to the device of the next ones that come."""
        self._images = list(state["images"])
        self._generator.set_state(state["random"])
