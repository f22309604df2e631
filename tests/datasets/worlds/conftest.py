"""One small renderer for all tests of the worlds: compiling its shaders is the dear part."""

from collections.abc import Iterator

import pytest

from isthmus.datasets.worlds import Renderer

SIZE_HW = (64, 128)


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    with Renderer(SIZE_HW) as renderer:
        yield renderer
