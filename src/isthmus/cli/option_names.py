"""How people type what the configurations of the verbs call their fields."""

from collections.abc import Mapping
from typing import Final

OTHER_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "BackendConfig": {
        "address": "backend",
        "model": "backend_model",
        "card": "backend_card",
        "timeout_s": "backend_timeout_s",
        "probe_interval_s": "backend_probe_interval_s",
        "ca_file": "backend_ca",
        "cert_file": "backend_cert",
        "key_file": "backend_key",
    },
    "BenchConfig": {},
    "EngineConfig": {},
    "GuardConfig": {
        "window_s": "guard_window_s",
        "min_frames": "guard_min_frames",
        "max_error_rate": "guard_max_error_rate",
        "max_p99_ratio": "guard_max_p99_ratio",
        "max_confidence_drift": "guard_max_confidence_drift",
    },
    "LimitsConfig": {},
    "SchedulerConfig": {"max_batch_size": "gather", "max_batch_wait_ms": "gather_wait_ms"},
    "SecurityConfig": {},
    "ServerConfig": {"model_name": "model", "provider_policy": "provider"},
    "SwapConfig": {"public_keys": "trust"},
    "TelemetryConfig": {},
    "VideoOptions": {"products": "only", "max_frames": "frames"},
}
"""Classes whose fields are options, each with those of its fields that the option does not share its name with."""


def option_of(kind: str, field: str) -> str:
    """A field of a class as an option; the field itself where the class is not filled from options.

    >>> option_of("SchedulerConfig", "max_batch_size"), option_of("ServerConfig", "poll_interval_s")
    ('--gather', '--poll-interval-s')
    >>> option_of("MadanConfig", "steps")
    'steps'
    """
    others = OTHER_NAMES.get(kind)
    return field if others is None else f"--{others.get(field, field).replace('_', '-')}"
