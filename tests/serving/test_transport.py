"""gRPC's settings."""

import pytest

from isthmus.serving.config import LimitsConfig
from isthmus.serving.scheduling.config import SchedulerConfig
from isthmus.serving.transport import server_options


@pytest.mark.parametrize("scheduler", [None, SchedulerConfig(max_stream_age_s=3600.0, reconnect_grace_s=30.0)])
def test_an_old_connection_outlives_the_streams_on_it(scheduler):
    ages = scheduler or SchedulerConfig()
    grace_ms = dict(server_options(LimitsConfig(), scheduler))["grpc.max_connection_age_grace_ms"]
    assert grace_ms >= 1000 * (ages.max_stream_age_s + ages.reconnect_grace_s)
