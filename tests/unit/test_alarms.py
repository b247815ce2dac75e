"""Functions that are called later: order, cancellation, and the end of a call in progress."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from functools import partial
from queue import Queue

import pytest

from code_runner.agentcore.alarms import Alarms

PATIENCE_SECONDS = 30


def test_an_alarm_is_called_although_the_thread_waits_for_a_later_one() -> None:
    alarms, called = Alarms(), Queue[str]()
    later = alarms.call_after(600, partial(called.put, "later"))
    alarms.call_after(0.05, partial(called.put, "earlier"))
    assert called.get(timeout=PATIENCE_SECONDS) == "earlier"
    later.cancel()


def test_a_cancelled_alarm_is_not_called_and_the_next_one_is() -> None:
    alarms, called = Alarms(), Queue[str]()
    cancelled = alarms.call_after(0.2, partial(called.put, "cancelled"))
    alarms.call_after(0.4, partial(called.put, "called"))
    cancelled.cancel()
    assert called.get(timeout=PATIENCE_SECONDS) == "called"


def test_one_thread_waits_for_all_alarms() -> None:
    alarms, before = Alarms(), threading.active_count()
    pending = [alarms.call_after(600, time.time) for _ in range(10)]
    assert threading.active_count() == before + 1
    for alarm in pending:
        alarm.cancel()


def test_a_cancellation_waits_for_the_end_of_a_call_in_progress() -> None:
    started, events = threading.Event(), list[str]()

    def call() -> None:
        started.set()
        time.sleep(0.2)
        events.append("end of the call")

    alarm = Alarms().call_after(0, call)
    assert started.wait(PATIENCE_SECONDS)
    alarm.cancel()
    events.append("cancelled")
    assert events == ["end of the call", "cancelled"]


def test_a_call_that_fails_or_lasts_does_not_affect_other_alarms() -> None:
    alarms, released, called = Alarms(), threading.Event(), Queue[str]()
    waiting = alarms.call_after(0, partial(released.wait, PATIENCE_SECONDS))
    alarms.call_after(0.1, partial(called.put, "called"))
    assert called.get(timeout=PATIENCE_SECONDS) == "called"
    released.set()
    waiting.cancel()


def test_a_cancelled_alarm_keeps_no_object() -> None:
    class Session:
        def stop(self) -> None: ...

    alarms, session = Alarms(), Session()
    alarms.call_after(600, session.stop).cancel()
    reference = weakref.ref(session)
    del session
    gc.collect()
    assert reference() is None


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_alarms_work_in_a_fork() -> None:
    alarms = Alarms()
    alarms.call_after(600, time.time)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        alarms.call_after(0, partial(os.write, writing, b"called"))
        time.sleep(PATIENCE_SECONDS)
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 10) == b"called"
    os.close(reading)
    os.kill(child, 9)
    os.waitpid(child, 0)
