"""The model that serves, its changes, and what it sees."""

from typing import Final

from isthmus.serving.metric_list.kinds import Alert, Kind, Metric, Panel
from isthmus.serving.metric_list.promql import mean

_CHANGE_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0)
_SHARES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
_AGREEMENTS: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)

MODEL: Final[tuple[Metric, ...]] = (
    Metric(
        name="isthmus_model_info",
        kind=Kind.GAUGE,
        labels=("name", "version", "digest", "provider"),
        unit="1",
        help="Always 1; its labels tell which model serves: registered name, version, SHA-256, execution provider.",
        panel=Panel(title="Models", row="Model", queries=(("isthmus_model_info", ""),), unit="none", draw="table"),
    ),
    Metric(
        name="isthmus_model_loaded",
        kind=Kind.GAUGE,
        unit="1",
        help="1 while a model serves, else 0.",
        alerts=(
            Alert(
                name="IsthmusNoModel",
                expr="isthmus_model_loaded == 0",
                wait="2m",
                severity="critical",
                summary="{{ $labels.instance }} has no model and answers no frame.",
                action="The log says why, once, as `no model: …`. Without a champion run `isthmus promote`; a refused "
                "one must be exported and registered again; a registry that does not answer must be brought up.",
            ),
        ),
    ),
    Metric(
        name="isthmus_provider_fallback",
        kind=Kind.GAUGE,
        unit="1",
        help="1 while the model runs on the CPU although a GPU is preferred, else 0; absent without a model.",
        alerts=(
            Alert(
                name="IsthmusRunsOnCpu",
                expr="isthmus_provider_fallback == 1",
                wait="1m",
                severity="critical",
                summary="{{ $labels.instance }} runs its model on the CPU although a GPU is preferred.",
                action="The log's line `RUNS ON THE CPU` holds onnxruntime's reason. Check the driver with "
                "`nvidia-smi` and that isthmus[serve,gpu] is installed, then restart the server.",
            ),
        ),
    ),
    Metric(
        name="isthmus_model_from_cache",
        kind=Kind.GAUGE,
        unit="1",
        help="1 while the last good model serves from this machine's disk because the champion could not, else 0; "
        "absent without a model.",
        alerts=(
            Alert(
                name="IsthmusServesFromCache",
                expr="isthmus_model_from_cache == 1",
                wait="15m",
                severity="warning",
                summary="{{ $labels.instance }} serves the last good model from its disk.",
                action="Vehicles are served, maybe by an older version. The log's line `SERVING FROM THE CACHE` says "
                "whether the registry did not answer or its champion was refused.",
            ),
        ),
    ),
    Metric(
        name="isthmus_model_changes_total",
        kind=Kind.COUNTER,
        labels=("result",),
        unit="changes",
        help="New versions seen: `swapped`, `refused`, and `rolled_back` for returns to the one before.",
        panel=Panel(
            title="Swaps",
            row="Model",
            queries=(("sum by (result) (increase(isthmus_model_changes_total[$__rate_interval]))", "{{result}}"),),
            unit="none",
        ),
        alerts=(
            Alert(
                name="IsthmusRolledBack",
                expr='increase(isthmus_model_changes_total{result="rolled_back"}[30m]) > 0',
                wait="0m",
                severity="warning",
                summary="{{ $labels.instance }} went back to the model before by itself.",
                action="Vehicles are served by the version before. The log names what tripped the guard: errors, "
                "latency or confidence. Run `isthmus rollback` so that new servers do not start with the bad version.",
            ),
            Alert(
                name="IsthmusVersionRefused",
                expr='increase(isthmus_model_changes_total{result="refused"}[30m]) > 0',
                wait="0m",
                severity="warning",
                summary="{{ $labels.instance }} refused a promoted version; the old one goes on.",
                action="The log and the version's tag serving_state name the check that failed: digest, signature, "
                "contract, label space, golden frame or latency. Mend that, register it again, promote it.",
            ),
        ),
    ),
    Metric(
        name="isthmus_model_change_seconds",
        kind=Kind.HISTOGRAM,
        labels=("result",),
        unit="seconds",
        help="From the sight of a new version to its swap or refusal.",
        buckets=_CHANGE_S,
        panel=Panel(
            title="Time to swap",
            row="Model",
            queries=((mean("isthmus_model_change_seconds", by="result"), "mean {{result}}"),),
            unit="s",
        ),
    ),
    Metric(
        name="isthmus_registry_age_seconds",
        kind=Kind.GAUGE,
        unit="seconds",
        help="Time since the registry last answered, or since the start if it never did; absent without a registry.",
        panel=Panel(
            title="Registry answered … ago",
            row="Model",
            queries=(("isthmus_registry_age_seconds", "{{instance}}"),),
            unit="s",
        ),
        alerts=(
            Alert(
                name="IsthmusRegistryUnreachable",
                expr="isthmus_registry_age_seconds > 120",
                wait="3m",
                severity="warning",
                summary="{{ $labels.instance }} has had no answer of the registry for {{ $value | humanizeDuration }}.",
                action="Vehicles are served, but no promotion and no rollback reaches this server. Check the address "
                "in MLFLOW_TRACKING_URI and that MLflow and its database are up.",
            ),
        ),
    ),
    Metric(
        name="isthmus_confidence_mean",
        kind=Kind.HISTOGRAM,
        unit="1",
        help="Mean of a mask's confidence map, in [0, 1].",
        buckets=_SHARES,
        panel=Panel(
            title="Confidence",
            row="Model",
            queries=((mean("isthmus_confidence_mean"), "mean {{instance}}"),),
            unit="percentunit",
        ),
        alerts=(
            Alert(
                name="IsthmusConfidenceDrifts",
                expr=f"abs({mean('isthmus_confidence_mean', '15m')} - ({mean('isthmus_confidence_mean', '1d')})) > 0.1",
                wait="15m",
                severity="warning",
                summary="The confidence at {{ $labels.instance }} is {{ $value | humanizePercentage }} away from its "
                "day's mean.",
                action="Look at frames of now: night, rain, a dirty or turned camera. Compare class fractions with "
                "yesterday's. If it began with a new model version, run `isthmus rollback`.",
            ),
        ),
    ),
    Metric(
        name="isthmus_class_fraction",
        kind=Kind.SUMMARY,
        labels=("class",),
        unit="1",
        help="Share of each class of the served label space in a mask; sum by count is the mean.",
        panel=Panel(
            title="Class fractions",
            row="Model",
            queries=((mean("isthmus_class_fraction", by="class"), "{{class}}"),),
            unit="percentunit",
        ),
    ),
    Metric(
        name="isthmus_shadow_agreement",
        kind=Kind.HISTOGRAM,
        labels=("challenger_version",),
        unit="1",
        help="Share of a frame's pixels that the latest challenger labels as the champion does.",
        buckets=_AGREEMENTS,
        panel=Panel(
            title="Challenger agrees",
            row="Model",
            queries=(
                (mean("isthmus_shadow_agreement", by="challenger_version"), "mean, version {{challenger_version}}"),
            ),
            unit="percentunit",
        ),
    ),
)
