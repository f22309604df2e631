"""When a refused version is tried again, and what is news."""

from isthmus.serving.swap.refusals import MAX_PAUSE_S, Refusals


def test_pauses_double_up_to_ten_minutes(fakes):
    clock = fakes.Clock()
    refusals = Refusals(2.0, clock)
    pauses = []
    for _ in range(12):
        assert refusals.may_try("2", "")
        refusals.note("2", "", "bad")
        started = clock.now
        while not refusals.may_try("2", ""):
            clock.now += 1.0
        pauses.append(clock.now - started)
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses[-1] == MAX_PAUSE_S


def test_another_verdict_is_reason_enough(fakes):
    refusals = Refusals(2.0, fakes.Clock())
    refusals.note("2", "", "no gate has judged it")
    assert not refusals.may_try("2", "")
    assert refusals.may_try("2", '{"folder": "gate/…"}')


def test_another_measurement_is_no_news(fakes):
    refusals = Refusals(2.0, fakes.Clock())
    assert refusals.note("2", "", "takes 15.1 ms, 10 allowed")
    assert not refusals.note("2", "", "takes 16.2 ms, 10 allowed")
    assert refusals.note("2", "", "another label space")


def test_what_was_refused_tells_its_pause(fakes):
    refusals = Refusals(2.0, fakes.Clock())
    assert not refusals.is_known("2")
    for pause_s in (2.0, 4.0):
        refusals.note("2", "", "bad")
        assert refusals.is_known("2")
        assert refusals.pause_s("2") == pause_s


def test_an_alias_that_moves_forgets(fakes):
    refusals = Refusals(2.0, fakes.Clock())
    refusals.note("2", "", "bad")
    refusals.keep_only("3")
    assert refusals.may_try("2", "")
    assert refusals.note("2", "", "bad")
