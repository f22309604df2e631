"""What the watcher does when things happen at once; store, models and pipeline are fakes."""

import logging

import pytest

from isthmus.errors import ContractError
from isthmus.serving.config import ServerConfig
from isthmus.serving.events import Change, Events, ModelChanged
from isthmus.serving.swap import watcher as watching
from isthmus.serving.swap.watcher import Watcher


class FakeStore:
    """A registry whose champion is version 3, and what is remembered on disk."""

    def __init__(self, fakes):
        self.fakes, self.fetched, self.remembered = fakes, [], []

    def look(self):
        return {"champion": "3"}

    def verdict_named(self, version):
        return ""

    def fetch(self, version):
        self.fetched.append(self.fakes.model(version))
        return self.fetched[-1]

    def check_label_space(self, model, before):
        pass

    def remember(self, model, *, keep=(), avoided=None):
        self.remembered.append((model.version, avoided and avoided.version))

    def say(self, version, state):
        pass


@pytest.mark.parametrize("error", [None, ContractError("the engine is closed")])
async def test_a_way_back_during_a_check_starts_the_check_anew(fakes, monkeypatch, error):
    store, slots, events, told = FakeStore(fakes), fakes.Slots(), Events(), fakes.Listener()
    events.subscribe(told)
    config = ServerConfig(model_name="street", tracking_uri="sqlite:///none")
    watcher = Watcher(config, store, slots, events, on_first=lambda: None)
    watcher._switch.begin(fakes.model("1"))
    watcher._switch.swap(fakes.model("2"), seconds=0)
    turns = []

    async def check_speed(*_):
        turns.append(slots.current.version)
        if len(turns) == 1:
            await watcher.roll_back("the operator says so")
            if error is not None:
                raise error

    monkeypatch.setattr(watching, "check_speed", check_speed)
    await watcher._look()
    assert slots.current.version == "1"
    assert store.fetched[0].engine.closed
    assert watcher._hurry.is_set()
    await watcher._look()
    assert turns == ["2", "1"]
    assert slots.current.version == "3"
    assert store.remembered == [("1", "2"), ("3", None)]  # a restart begins with 3
    changes = [event.change for event in told.events if isinstance(event, ModelChanged)]
    assert changes == [Change.SWAPPED, Change.ROLLED_BACK, Change.SWAPPED]
    await watcher.stop()


async def test_a_version_that_stays_refused_is_told_in_one_line_a_look(fakes, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="isthmus")
    slots = fakes.Slots()
    config = ServerConfig(model_name="street", tracking_uri="sqlite:///none", poll_interval_s=5.0)
    watcher = Watcher(config, FakeStore(fakes), slots, Events(), on_first=lambda: None)
    watcher._switch.begin(fakes.model("2"))

    async def check_speed(*_):
        raise ContractError("too slow")

    monkeypatch.setattr(watching, "check_speed", check_speed)
    await watcher._look()
    assert [line for line in caplog.messages if "looked at" in line] == [
        "version 3 has the alias champion and is looked at"
    ]
    caplog.clear()
    monkeypatch.setattr(watcher._refusals, "may_try", lambda *_: True)
    await watcher._look()
    assert caplog.messages == ["version 3 is still refused; it is looked at again in 10 s"]
    await watcher.stop()


async def test_what_is_refused_is_known_until_it_serves_or_the_alias_moves(fakes, monkeypatch):
    slots, store = fakes.Slots(), FakeStore(fakes)
    config = ServerConfig(model_name="street", tracking_uri="sqlite:///none")
    watcher = Watcher(config, store, slots, Events(), on_first=lambda: None)
    watcher._switch.begin(fakes.model("2"))
    assert watcher.refused == {}
    refusal = [ContractError("too slow")]

    async def check_speed(*_):
        for error in refusal:
            raise error

    monkeypatch.setattr(watching, "check_speed", check_speed)
    monkeypatch.setattr(watcher._refusals, "may_try", lambda *_: True)
    await watcher._look()
    assert watcher.refused == {"3": "too slow"}
    refusal.clear()
    await watcher._look()
    assert slots.current.version == "3"
    assert watcher.refused == {}
    await watcher.roll_back("sees no cyclists")
    assert watcher.refused == {"3": "rolled back, sees no cyclists"}
    monkeypatch.setattr(store, "look", lambda: {"champion": "2"})
    await watcher._look()
    assert watcher.refused == {}
    await watcher.stop()
