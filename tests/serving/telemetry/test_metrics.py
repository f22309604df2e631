"""What each event adds to which metric."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from isthmus.serving.events import Change, Events, ModelChanged, RpcDone
from isthmus.serving.metric_list import METRICS, Kind
from isthmus.serving.metrics import MAX_LABEL_VALUES, Metrics


@pytest.fixture
def load(tiny):
    model = SimpleNamespace(
        name="street", version="file", sha256="ab" * 32, provider="CPUExecutionProvider",
        provider_fallback=False, from_cache=False, card=tiny.make_card(),
    )  # fmt: skip
    return SimpleNamespace(current=model, in_flight=3, queue_depth=2)


@pytest.fixture
def clock():
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def metrics(load, clock):
    return Metrics(load, lambda: {"StreamSegment": 5}, has_registry=True, clock=lambda: clock.now)


def value(metrics, series, **labels):
    return metrics.registry.get_sample_value(series, labels)


def test_every_metric_of_the_list_is_exported_as_the_list_says(metrics):
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name]
        assert (family.type, metric.of_process or family.documentation == metric.help) == (metric.kind, True)
    assert {name for name in families if name.startswith("isthmus")} == {
        metric.name.removesuffix("_total") for metric in METRICS if not metric.of_process
    }


def test_no_label_tells_who_sends(metrics, told):
    assert not {"vehicle", "camera", "peer"} & {label for metric in METRICS for label in metric.labels}
    metrics.heard(told.frame())
    metrics.heard(told.dropped("failed"))
    assert b"car-17" not in generate_latest(metrics.registry)


def test_a_segmented_frame(metrics, told):
    metrics.heard(told.frame())
    count = {"rpc": "StreamSegment", "service_class": "live"}
    assert value(metrics, "isthmus_frames_total", **count, verdict="segmented") == 1
    assert value(metrics, "isthmus_frame_seconds_sum", **count) == 0.03
    assert value(metrics, "isthmus_frame_seconds_bucket", **count, le="0.035") == 1
    assert value(metrics, "isthmus_frame_seconds_bucket", **count, le="0.02") == 0
    for stage, seconds in (("decode", 0.004), ("queue", 0.003), ("encode", 0.001)):
        assert value(metrics, f"isthmus_{stage}_seconds_sum") == seconds
    assert value(metrics, "isthmus_deadline_slack_seconds_bucket", le="0.05") == 0
    assert value(metrics, "isthmus_deadline_slack_seconds_bucket", le="0.1") == 1
    assert value(metrics, "isthmus_confidence_mean_sum") == 0.8
    assert value(metrics, "isthmus_class_fraction_sum", **{"class": "red"}) == 0.25
    assert value(metrics, "isthmus_class_fraction_sum", **{"class": "other"}) == 0.5


def test_frames_without_a_mask_are_counted_by_reason_and_not_as_fast_ones(metrics, told):
    metrics.heard(told.dropped("overloaded", reason_code="QUOTA_EXCEEDED", decode_s=None, queue_s=None))
    metrics.heard(told.dropped("superseded", slack_s=float("inf")))
    metrics.heard(told.dropped("expired", slack_s=-0.02))
    for reason in ("QUOTA_EXCEEDED", "SUPERSEDED", "EXPIRED"):
        assert value(metrics, "isthmus_frames_dropped_total", reason=reason) == 1
    assert value(metrics, "isthmus_frame_seconds_count", rpc="StreamSegment", service_class="live") is None
    assert value(metrics, "isthmus_queue_seconds_count") == 2
    assert value(metrics, "isthmus_deadline_slack_seconds_count") == 2  # one frame has no deadline
    assert value(metrics, "isthmus_deadline_slack_seconds_bucket", le="0.0") == 1
    assert value(metrics, "isthmus_confidence_mean_count") == 0


def test_class_fractions_are_the_served_model_s(metrics, told, load, tiny):
    metrics.heard(told.frame(model_version="7", class_fractions=(1.0,)))
    assert value(metrics, "isthmus_class_fraction_count", **{"class": "red"}) is None
    metrics.heard(told.frame())
    card = load.current.card
    load.current.card = SimpleNamespace(
        label_space=SimpleNamespace(
            id_hash="new", classes=(SimpleNamespace(name="road"), *card.label_space.classes[1:])
        )
    )
    metrics.heard(told.frame(class_fractions=(0.9, 0.1)))
    assert value(metrics, "isthmus_class_fraction_sum", **{"class": "road"}) == 0.9
    assert value(metrics, "isthmus_class_fraction_sum", **{"class": "other"}) == 0.1  # the old space's is gone
    assert value(metrics, "isthmus_class_fraction_sum", **{"class": "red"}) is None


def test_batches(metrics, told):
    metrics.heard(told.batch())
    metrics.heard(told.batch(prediction=None, num_frames=1, padded_to=1, infer_s=9.0, error=RuntimeError("no")))
    assert value(metrics, "isthmus_batches_total", result="ok") == 1
    assert value(metrics, "isthmus_batches_total", result="failed") == 1
    assert value(metrics, "isthmus_batch_frames_sum") == 4
    assert value(metrics, "isthmus_batch_padding_total") == 1
    assert value(metrics, "isthmus_infer_seconds_sum", provider="CPUExecutionProvider") == 0.02


def test_changes_start_at_zero_so_that_alerts_see_the_first(metrics):
    assert [value(metrics, "isthmus_model_changes_total", result=change) for change in Change] == [0, 0, 0]
    metrics.heard(ModelChanged(change=Change.ROLLED_BACK, model_version="3", seconds=4.0))
    assert value(metrics, "isthmus_model_changes_total", result="rolled_back") == 1
    assert value(metrics, "isthmus_model_change_seconds_sum", result="rolled_back") == 4.0


def test_calls(metrics):
    metrics.heard(RpcDone(rpc="Segment", code="OK", seconds=0.1))
    assert value(metrics, "isthmus_rpcs_total", rpc="Segment", code="OK") == 1
    assert value(metrics, "isthmus_rpc_seconds_sum", rpc="Segment") == 0.1


def test_a_label_stops_at_its_bound(metrics):
    for number in range(MAX_LABEL_VALUES + 10):
        metrics.heard(RpcDone(rpc=f"M{number}", code="OK", seconds=0.0))
    assert value(metrics, "isthmus_rpcs_total", rpc="other", code="OK") == 10
    assert value(metrics, "isthmus_rpcs_total", rpc=f"M{MAX_LABEL_VALUES}", code="OK") is None


def test_gauges_are_read_when_somebody_asks(metrics, load, clock):
    assert value(metrics, "isthmus_in_flight") == 3
    assert value(metrics, "isthmus_queue_depth") == 2
    assert value(metrics, "isthmus_streams", rpc="StreamSegment") == 5
    digest = {"name": "street", "version": "file", "digest": "ab" * 32, "provider": "CPUExecutionProvider"}
    assert value(metrics, "isthmus_model_info", **digest) == 1
    load.current.provider_fallback = load.current.from_cache = True
    assert value(metrics, "isthmus_provider_fallback") == value(metrics, "isthmus_model_from_cache") == 1
    load.current = None
    assert value(metrics, "isthmus_model_loaded") == 0
    assert value(metrics, "isthmus_model_info", **digest) is None


def test_ages(metrics, load, clock):
    clock.now += 50
    assert value(metrics, "isthmus_registry_age_seconds") == 50  # it has never answered
    metrics.registry_answered()
    clock.now += 5
    assert value(metrics, "isthmus_registry_age_seconds") == 5
    assert value(metrics, "isthmus_certificate_expiry_seconds") is None
    ends = clock.now + 3000
    without = Metrics(load, dict, has_registry=False, certificate_ends=lambda: ends, clock=clock)
    assert value(without, "isthmus_certificate_expiry_seconds") == 3000
    assert value(without, "isthmus_registry_age_seconds") is None


@dataclass(frozen=True, kw_only=True)
class ShadowCompared:
    champion_version: str
    challenger_version: str
    agreement: float


def test_a_shadow_s_comparisons_are_heard_and_only_the_latest_challenger_is_kept(metrics, caplog):
    events = Events()
    events.subscribe(metrics)
    for agreement in (0.9, 1.0):
        events.tell(ShadowCompared(champion_version="1", challenger_version="2", agreement=agreement))
    assert value(metrics, "isthmus_shadow_agreement_sum", challenger_version="2") == pytest.approx(1.9)
    events.tell(ShadowCompared(champion_version="1", challenger_version="3", agreement=0.5))
    assert value(metrics, "isthmus_shadow_agreement_count", challenger_version="2") is None
    assert value(metrics, "isthmus_shadow_agreement_count", challenger_version="3") == 1
    assert not caplog.records
