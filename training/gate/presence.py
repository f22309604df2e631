"""Whether a gate's data is on this machine at all: asked before anything is judged.

A wrong variable or folder says nothing about a model, so it is an error of whoever judges, and no verdict. What is
found missing later, a slice that no frame belongs to or a file that cannot be read, is a missing rule, which refuses.
"""

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from isthmus.configuration import variables_in
from isthmus.datasets.catalogue import build_dataset
from isthmus.errors import DataError, DataMissingError
from isthmus.training.gate.config import FramesConfig, GateConfig, TargetConfig

NOTHING_WRITTEN: Final[Mapping[str, str]] = MappingProxyType({})


def check_data_is_here(gate: GateConfig, as_written: Mapping[str, str] = NOTHING_WRITTEN) -> None:
    """Open every data set that a gate names, and say at once which are not here.

    Args:
        gate: Names them.
        as_written: Values of its file before variables were filled in, by dotted key, see
            `configuration.values_with_variables`; so that an error can name the variable.

    Raises:
        DataMissingError: A folder, a split or its frames are not there.
    """
    lines: list[str] = []
    variables: dict[str, None] = {}
    for key, frames in _frames(gate):
        problem = _missing(frames)
        if problem is None:
            continue
        written = as_written.get(f"{key}.data.root", "")
        named = variables_in(written)
        variables |= dict.fromkeys(named)
        unset = [name for name in named if name not in os.environ]
        origin = f"; root is written {written}" if named else ""
        origin += f", and {' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set" if unset else ""
        lines.append(f"  {frames.title}: {problem}{origin}")
    if not lines:
        return
    remedy = f"Set {' and '.join(variables)}" if variables else "Write where it lies as `root` in the gate's file"
    raise DataMissingError(
        "the gate's data is not all on this machine, so nothing was judged:\n" + "\n".join(lines),
        where=f"gate {gate.title!r}",
        remedy=f"\n{remedy}. No verdict was written, no alias has moved.",
    )


def _frames(gate: GateConfig) -> Iterator[tuple[str, FramesConfig]]:
    """All frames with their key in the gate's file."""
    if gate.source is not None:
        yield "source", gate.source
    for key in ("targets", "unlabelled"):
        configs: tuple[FramesConfig, ...] = getattr(gate, key)
        yield from ((f"{key}.{number}", config) for number, config in enumerate(configs))


def _missing(frames: FramesConfig) -> str | None:
    """What is not there; None where a data set can be opened, or is there and broken, which its rules will say."""
    try:
        labelled = isinstance(frames, TargetConfig)
        build_dataset(frames.data, collect=[], labelled=labelled)  # collect: warnings follow when it is judged on
    except DataMissingError as error:
        return f"{error.where or frames.data.root}: {error.problem}"
    except DataError:
        pass
    return None
