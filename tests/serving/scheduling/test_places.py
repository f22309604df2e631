"""How much may be in the server at once."""

import contextlib

import pytest

from isthmus.errors import OverloadedError
from isthmus.serving.scheduling.places import Places
from isthmus.serving.scheduling.work import ServiceClass

LIVE, BULK = ServiceClass


def test_requests_are_bounded_and_given_back():
    places = Places(2, 1, 100)
    with places.request(LIVE), places.request(LIVE), pytest.raises(OverloadedError, match="2 requests"):
        places.request(LIVE).__enter__()
    assert places.requests == 0
    with places.request(LIVE), contextlib.suppress(ZeroDivisionError), places.request(LIVE):
        _ = 1 / 0
    assert places.requests == 0


def test_bulk_leaves_half_to_live():
    places = Places(4, 1, 100)
    with places.request(BULK), places.request(BULK):
        with pytest.raises(OverloadedError):
            places.request(BULK).__enter__()
        with places.request(LIVE), places.request(LIVE), pytest.raises(OverloadedError):
            places.request(LIVE).__enter__()
    with contextlib.ExitStack() as held:
        for _ in range(4):
            held.enter_context(places.request(LIVE))
        with pytest.raises(OverloadedError):
            held.enter_context(places.request(BULK))


def test_streams_are_bounded():
    places = Places(1, 1, 100)
    with places.stream(), pytest.raises(OverloadedError, match="1 streams"):
        places.stream().__enter__()
    assert places.streams == 0


def test_masks_that_wait_for_readers_leave_half_of_the_bytes_to_frames():
    places = Places(1, 1, 100)
    first, second = places.keep_mask(30), places.keep_mask(20)
    with pytest.raises(OverloadedError, match="masks of 50 bytes wait"):
        places.keep_mask(1)
    with places.memory(50), pytest.raises(OverloadedError, match="frames and masks of 100 bytes"):
        places.memory(1).__enter__()
    first()
    second()
    assert places.bytes == 0
    places.keep_mask(101)()
    assert places.bytes == 0


def test_bytes_are_bounded_but_one_frame_always_fits():
    places = Places(1, 1, 100)
    with places.memory(101), pytest.raises(OverloadedError, match="101 bytes"):
        places.memory(1).__enter__()
    with places.memory(60), places.memory(40), pytest.raises(OverloadedError):
        places.memory(1).__enter__()
    assert places.bytes == 0
