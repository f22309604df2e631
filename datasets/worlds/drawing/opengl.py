"""Opening OpenGL without a window, on a GPU's driver or on Mesa's software rasteriser.

EGL lists a machine's devices, GPUs before the software rasteriser, and the first one is taken. Set
`GLCONTEXT_DEVICE_INDEX` to take another, e.g. the second GPU, or the software whose pixels a manifest asks for.
"""

import importlib.util
from typing import Any

from isthmus.errors import ConfigurationError, EnvironmentMissingError


def create_context() -> Any:
    """A windowless OpenGL context.

    Raises:
        EnvironmentMissingError: moderngl or an EGL driver is missing.
    """
    try:
        import moderngl
    except ImportError as error:
        raise EnvironmentMissingError(
            "the package moderngl is missing, so no world can be rendered", remedy='Run `pip install "isthmus[train]"`.'
        ) from error
    _load_triton_first()
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)  # type: ignore[arg-type]  # as its manual says
    except Exception as error:  # the binding raises bare Exceptions of several kinds
        raise EnvironmentMissingError(
            f"no OpenGL context through EGL ({error})",
            remedy="Run `sudo apt-get install -y libegl1 libgl1-mesa-dri` (a GPU's own EGL driver serves too).",
        ) from error


def context_for(size_hw: tuple[int, int]) -> Any:
    """A context that can draw frames of this size."""
    context = create_context()
    largest = min(context.info["GL_MAX_RENDERBUFFER_SIZE"], *context.info["GL_MAX_VIEWPORT_DIMS"])
    if max(size_hw) > largest:
        context.release()
        raise ConfigurationError(
            f"size {size_hw[0]}x{size_hw[1]} is more than this OpenGL driver can draw",
            remedy=f"Use sides of at most {largest}.",
        )
    return context


def _load_triton_first() -> None:
    """Let torch's compiler into the process before Mesa.

    Both bring an LLVM of their own. Loaded after Mesa's software rasteriser, triton's crashes the process (seen with
    Mesa 22.3 and triton 3.9), and torch loads it at times that nobody expects; in this order both work.
    """
    if importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton._C.libtriton")
