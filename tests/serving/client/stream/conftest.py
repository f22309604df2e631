"""Settings of a stream that tries again at once, and patience for its reports."""

import asyncio

import pytest

from isthmus.serving.client import RetryConfig, StreamConfig

QUICK = RetryConfig(first_pause_s=0.01, longest_pause_s=0.05, failures_to_open=1000, open_s=0.05)


@pytest.fixture
def config():
    """Makes configurations of streams."""
    return lambda **fields: StreamConfig(**{"retry": QUICK, **fields})


@pytest.fixture
def report_of():
    """Waits for a stream's next report, for a bounded time."""

    async def wait(stream):
        return await asyncio.wait_for(anext(stream), 30)

    return wait
