"""A shard's bytes from a local file or over HTTP, whole or with one clear error.

webdataset's own opener starts `curl` (and, for other schemes, whatever command the address names) and waits a minute
and more for a server that is not there. Here bytes come in this process, a broken connection goes on where it broke,
and no redirection leaves HTTP.
"""

import http.client
import io
import os
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from isthmus.errors import DataError, DataMissingError, UnreadableFileError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT_S: Final = 30.0
"""Longest silence of a server."""
ATTEMPTS: Final = 4
"""Tries for the same bytes before a fault is an error."""
PAUSE_S = 0.5
"""Pause after a fault, doubled after each further one."""

_FILE_SCHEME: Final = "file://"
_REFUSALS: Final = frozenset({401, 403, 404, 410})
"""Answers that another try does not change."""
_PARTIAL_CONTENT: Final = 206
_CHUNK_BYTES: Final = 1 << 20


def location_of(root: Path, base_url: str | None, name: str) -> str:
    """The path or address of a shard.

    Args:
        root: The index's folder.
        base_url: The index's; see `index.check_base_url`.
        name: The shard's.
    """
    if base_url is None:
        return str(root / name)
    if base_url.startswith(_FILE_SCHEME):
        return str(Path(base_url.removeprefix(_FILE_SCHEME)) / name)
    return f"{base_url.rstrip('/')}/{name}"


def open_shard(location: str, num_bytes: int) -> IO[bytes]:
    """A shard's bytes from the start; over HTTP, what is wrong shows when they are read.

    Args:
        location: See `location_of`.
        num_bytes: Its size according to the index.

    Raises:
        DataMissingError: There is no such shard, or the server refuses it.
        UnreadableFileError: It is of another size.
        DataError: It cannot be opened, or the server cannot be reached.
    """
    if location.startswith(("http://", "https://")):
        return io.BufferedReader(_HttpShard(location, num_bytes), buffer_size=_CHUNK_BYTES)
    try:
        stream = Path(location).open("rb")  # noqa: SIM115 - the caller closes it
    except FileNotFoundError as error:
        raise DataMissingError("no such shard", where=location, remedy="Fetch it, or pack the split again.") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=location) from error
    there = os.fstat(stream.fileno()).st_size
    if there != num_bytes:
        stream.close()
        raise _wrong_size(there, num_bytes, location)
    return stream


def _wrong_size(there: int, num_bytes: int, location: str) -> UnreadableFileError:
    return UnreadableFileError(
        f"has {there} bytes but {num_bytes} according to the index: truncated, or of another packing",
        where=location,
        remedy="Fetch it again, or pack the split again.",
    )


class _HttpShard(io.RawIOBase):
    """A shard over HTTP that outlives faults: it connects again and goes on at the byte that is due."""

    def __init__(self, url: str, num_bytes: int) -> None:
        self._url, self._num_bytes = url, num_bytes
        self._position = 0
        self._answer: http.client.HTTPResponse | None = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._hang_up()
        super().close()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._num_bytes - self._position)
        faults = 0
        while wanted:
            try:
                content = self._connected().read(wanted)
                if content:
                    view[: len(content)] = content
                    self._position += len(content)
                    return len(content)
                fault: Exception = ConnectionError(f"closed after {self._position} of {self._num_bytes} bytes")
            except (OSError, http.client.HTTPException) as error:
                fault = error
            self._hang_up()
            faults += 1
            self._judge(fault, faults)
            time.sleep(PAUSE_S * 2 ** (faults - 1))
        return 0

    def _connected(self) -> http.client.HTTPResponse:
        if self._answer is None:
            request = urllib.request.Request(self._url)  # noqa: S310 - the index allows http and https only
            if self._position:
                request.add_header("Range", f"bytes={self._position}-")
            answer: http.client.HTTPResponse = _opener().open(request, timeout=TIMEOUT_S)
            self._answer = answer
            self._check_size(answer)
            if self._position and answer.status != _PARTIAL_CONTENT:  # a server without ranges starts anew
                left = self._position
                while left and (skipped := len(answer.read(min(left, _CHUNK_BYTES)))):
                    left -= skipped
        return self._answer

    def _check_size(self, answer: http.client.HTTPResponse) -> None:
        whole = (
            answer.headers.get("Content-Range", "").rpartition("/")[2]
            if answer.status == _PARTIAL_CONTENT
            else answer.headers.get("Content-Length", "")
        )
        if whole.isdigit() and int(whole) != self._num_bytes:
            raise _wrong_size(int(whole), self._num_bytes, self._url)

    def _hang_up(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()

    def _judge(self, fault: Exception, faults: int) -> None:
        """Raise what another try does not mend."""
        what = str(fault.reason if isinstance(fault, urllib.error.URLError) else fault)
        if isinstance(fault, urllib.error.HTTPError):
            fault.close()
            what = f"the server answers {fault.code} ({fault.reason})"
            if fault.code in _REFUSALS:
                raise DataMissingError(
                    what, where=self._url, remedy="Check the index's base_url, and that the shard was uploaded."
                ) from fault
        if faults >= ATTEMPTS:
            raise DataError(
                f"cannot be fetched, tried {faults} times: {what}",
                where=self._url,
                remedy="Check the connection to the server, then resume.",
            ) from fault


@cache
def _opener() -> urllib.request.OpenerDirector:
    """An opener that knows HTTP and nothing else: urllib's own would follow a redirection to FTP as well."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
