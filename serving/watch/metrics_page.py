"""What a server's metrics page says of its frames."""

import http.client
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from isthmus.errors import ConfigurationError, ServingError

_PREFIX: Final = "isthmus_"
_FRAMES: Final = "isthmus_frames_total"
_CHANGES: Final = "isthmus_model_changes_total"
_GAUGES: Final = {"isthmus_in_flight": "in flight", "isthmus_queue_depth": "waiting", "isthmus_streams": "streams"}
_TIMEOUT_S: Final = 3.0
_MOST_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class MetricsPage:
    """One reading.

    Args:
        frames: Frames so far, by verdict.
        gauges: Numbers of this moment, by their name for people; only those that the page has.
        changes: New versions so far, by what became of them: swapped, refused or rolled_back.
    """

    frames: Mapping[str, float] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, float] = field(default_factory=dict)


def check_url(url: str) -> None:
    """Refuse what is no address of a metrics page.

    Raises:
        ConfigurationError: It is no http or https address.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{url!r} is no http or https address", where="--metrics", remedy="Try http://HOST:PORT/metrics."
        )


def read_metrics(url: str) -> MetricsPage:
    """Fetch a page and read it; waits up to three seconds.

    Args:
        url: For example `http://127.0.0.1:9464/metrics`.

    Raises:
        ConfigurationError: It is no http or https address.
        ServingError: Nobody answers, or what comes is no metrics page.
    """
    check_url(url)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked above
            text = answer.read(_MOST_BYTES).decode()
    except http.client.HTTPException as error:  # the gRPC port answers, but in HTTP/2; or the page breaks off
        raise ServingError(
            f"does not speak HTTP as a metrics page does ({type(error).__name__})",
            where=url,
            remedy="Give the port that the server was started with as --metrics-port, not the one for frames.",
        ) from error
    except (OSError, ValueError) as error:  # URLError is an OSError; a page that is not UTF-8 a ValueError
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ServingError(f"no metrics to be had: {reason}", where=url) from error
    return parse_metrics(text, where=url)


def parse_metrics(text: str, *, where: str) -> MetricsPage:
    """Read a page in Prometheus' text format; what is not ours is passed over.

    Raises:
        ServingError: It is not in that format, or another program's.
    """
    from prometheus_client.parser import text_string_to_metric_families

    frames: dict[str, float] = defaultdict(float)
    gauges: dict[str, float] = defaultdict(float)
    changes: dict[str, float] = defaultdict(float)
    ours = False
    try:
        for family in text_string_to_metric_families(text):
            ours |= family.name.startswith(_PREFIX)
            for sample in family.samples:
                if sample.name == _FRAMES:
                    frames[sample.labels.get("verdict", "?")] += sample.value
                elif sample.name == _CHANGES:
                    changes[sample.labels.get("result", "?")] += sample.value
                elif sample.name in _GAUGES:
                    gauges[_GAUGES[sample.name]] += sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise ServingError(f"is no metrics page: {error}", where=where) from error
    if not ours:
        raise ServingError(
            "is no metrics page of isthmus: nothing on it begins with isthmus_",
            where=where,
            remedy="Give the port that the server was started with as --metrics-port.",
        )
    return MetricsPage(dict(frames), dict(gauges), dict(changes))
