"""What a worker does beside sending: piece after piece, rest after each, whatever fails."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from fhirsvc.services.chores import GIVE_WAY, REST_S, Chores


class Watch:
    """A clock that a piece of work moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="watch")
def _watch() -> Watch:
    return Watch()


def test_a_chore_rests_as_long_as_it_worked(watch):
    """At most a second; where nothing was to be done, until the next look."""
    left = [0.25, 7.0]

    def piece() -> bool:
        if not left:
            return False
        watch.now += left.pop(0)
        return True

    chores = Chores({"one": piece}, watch, 5.0)
    assert [chores.once("one") for _ in range(3)] == [0.25, REST_S, 5.0]


def test_a_chore_gives_way_while_there_is_something_to_send(watch):
    """It rests longer than it worked; with nothing to send, or nothing to do, as ever."""
    busy = [True, True, False]
    left = [0.25, 7.0, 0.25]

    def piece() -> bool:
        if not left:
            return False
        watch.now += left.pop(0)
        return True

    chores = Chores({"one": piece}, watch, 5.0, lambda: busy.pop(0), ["one"])
    rests = [chores.once("one") for _ in range(4)]
    assert rests == [GIVE_WAY * 0.25, GIVE_WAY * REST_S, 0.25, 5.0]


def test_a_chore_that_is_not_heavy_gives_way_to_nothing(watch):
    """Partners are told as soon while much is sent."""

    def piece() -> bool:
        watch.now += 0.25
        return True

    chores = Chores({"tell": piece}, watch, 5.0, lambda: True, ["other"])
    assert chores.once("tell") == 0.25


def test_idle_is_when_each_has_found_nothing(watch):
    """Not before the first look, nor while one still has something."""
    more = {"one": False, "two": True}
    chores = Chores({"one": lambda: more["one"], "two": lambda: more["two"]}, watch, 1.0)
    seen = [chores.are_idle]
    for name in ("one", "two"):
        chores.once(name)
        seen.append(chores.are_idle)
    more["two"] = False
    chores.once("two")
    seen.append(chores.are_idle)
    more["one"] = True
    chores.once("one")
    assert [*seen, chores.are_idle] == [False, False, False, True, False]


def test_a_chore_that_breaks_is_tried_again(watch):
    """Its text is not logged: it may hold values."""

    def piece() -> bool:
        raise ValueError("Jane Example")

    chores = Chores({"one": piece}, watch, 5.0)
    with capture_logs() as logs:
        assert chores.once("one") == 5.0
    assert logs == [
        {"chore": "one", "error": "ValueError", "event": "chore_failed", "log_level": "error"}
    ]
    assert not chores.are_idle


def test_chores_run_until_they_are_stopped(watch):
    """Each in a thread of its own: one that takes long keeps nobody up."""
    slow, done = threading.Event(), threading.Event()

    def wait() -> bool:
        slow.wait(30)
        return False

    def work() -> bool:
        done.set()
        return False

    chores = Chores({"slow": wait, "quick": work}, watch, 0.01)
    chores.start()
    assert done.wait(30)
    slow.set()
    chores.stop()
    assert threading.active_count() == 1 or not [
        one for one in threading.enumerate() if one.name.startswith("chore-")
    ]
