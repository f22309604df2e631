"""The file that tells a script which port a server has taken: there only while the server listens."""

import os
from pathlib import Path

from isthmus.errors import ConfigurationError


class PortFile:
    """A file with one line, or nothing at all.

    Args:
        path: Where it is written; None writes none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def clear(self) -> None:
        """Take away what another server left, and see that a file can be written.

        Raises:
            ConfigurationError: None can be written there.
        """
        if self._path is None:
            return
        folder = self._path.parent
        if not folder.is_dir() or self._path.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigurationError("cannot be written", where=self._path, remedy="Name another --port-file.")
        self._path.unlink(missing_ok=True)

    def write(self, port: int) -> None:
        """Tell the port; a reader sees all of it or no file."""
        if self._path is None:
            return
        scratch = self._path.with_name(f".{self._path.name}.tmp")
        scratch.write_text(f"{port}\n", encoding="utf-8")
        scratch.replace(self._path)

    def remove(self) -> None:
        """Nobody listens any more."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
