"""The policy file: read at the start, and again whenever it changes."""

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from isthmus.configuration import parse_config
from isthmus.errors import ConfigurationError
from isthmus.serving.security.policy import EVERYTHING, NOTHING, OPEN_HOUSE, Policy, Rulebook

logger = logging.getLogger(__name__)

_MAX_BYTES: Final = 1 << 20


class PolicyFile:
    """Holds the policy in force. A changed file that is broken leaves it in force, and is told in the log.

    Args:
        path: The file; None lets every caller do everything whom the connection lets in.
        certificates_required: Whether every caller needs a certificate to connect.

    Raises:
        ConfigurationError: The file is broken.
    """

    def __init__(self, path: Path | None, *, certificates_required: bool) -> None:
        self._path = path
        self._text = ""
        self.loaded_at = datetime.now(UTC)
        """When the policy came into force."""
        self.problem = ""
        """Why a newer file was refused."""
        if path is None:
            nobody = NOTHING if certificates_required else OPEN_HOUSE
            self.rulebook = Rulebook(Policy(others=EVERYTHING, anonymous=nobody))
            """What is in force."""
        else:
            self._text = _read(path)
            self.rulebook = _parse(self._text, path)

    def refresh(self) -> None:
        """Put the file in force if it has changed; may be called on any thread."""
        if self._path is None:
            return
        try:
            text = _read(self._path)
            if text == self._text:
                self.problem = ""
                return
            rulebook = _parse(text, self._path)
        except ConfigurationError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                logger.error("the policy stays as it was: %s", error)  # noqa: TRY400 - the message says it all
            return
        self._text, self.rulebook, self.problem = text, rulebook, ""
        self.loaded_at = datetime.now(UTC)
        logger.warning("policy %s is in force (%s)", self._path, rulebook.sha256[:12])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigurationError(f"is larger than {_MAX_BYTES} bytes", where=path)
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the policy cannot be read ({error})", where=path, remedy="See docs/operations/security.md for one."
        ) from error


def _parse(text: str, path: Path) -> Rulebook:
    policy = parse_config(text, Policy, where=str(path))
    return Rulebook(policy, hashlib.sha256(text.encode()).hexdigest())
