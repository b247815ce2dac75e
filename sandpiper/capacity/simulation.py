"""A discrete-event simulation of a batch: each concurrent child execution is a process, and quotas are token buckets.

It follows `run-batch` and `code_runner.batches`: pacing, retries of throttled calls, sessions that end with their
invocation, and the time limit of the function.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import simpy

from code_runner.agentcore.tool_invoker import RETRY_DELAYS_SECONDS
from code_runner.batches.item_runner import DEFAULT_ITEM_SECONDS, RESERVE_SECONDS
from sandpiper.capacity.figures import (
    CHILD_EVENTS,
    CHILD_STATES,
    EVENTS_OF_FURTHER_INVOCATION,
    EVENTS_OF_RETRY,
    STATES_OF_FURTHER_INVOCATION,
    Counts,
    Figures,
)
from sandpiper.capacity.model import Span
from sandpiper_contract.workflows import TASK_RETRY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator

    from sandpiper.capacity.model import Duration, Scenario

    Process = Generator[simpy.Event, object, None]
    Sending = Generator[simpy.Event, object, bool]

BURST_SECONDS = 1.0
"""Burst of a quota as seconds of its rate, as the emulator assumes (`throttle_burst_seconds`)."""
BOTOCORE_ATTEMPTS = 3
"""Attempts of starts and stops, with up to 1 s and 2 s between them."""
WRITES_OF_RECORD, WRITES_BEFORE_CODE = 3, 1
"""Writes of an item's record: acquired, accepted (before the code is sent), completed."""
WARM_UP, COOL_DOWN = 0.3, 0.8
"""The steady state is between these shares of the simulated items."""


class TokenBucket:
    """A quota of a number of calls per second.

    Args:
        rate: Calls per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = self._capacity = max(rate * BURST_SECONDS, 1)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Takes a token, and returns whether there was one."""
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def delay(self, now: float, tokens: int) -> float:
        """Takes tokens and returns how long their caller has to wait, in seconds."""
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate) - tokens
        self._at = now
        return max(-self._tokens / self._rate, 0)


@dataclass
class _Invocation:
    """An invocation of the function.

    Attributes:
        began: When it began.
        next_call_at: The earliest time of the next call.
        session_began: When the session was ready; None without a session.
    """

    began: float
    next_call_at: float
    session_began: float | None = None


class BatchSimulation:
    """A batch in one region.

    Args:
        scenario: The batch.
        items: The number of items to simulate.
        seed: Seed of the random durations. The same seed has the same result.
    """

    def __init__(self, scenario: Scenario, items: int, seed: int = 1) -> None:
        self._scenario = scenario
        self._job, self._limits, self._times = scenario.job, scenario.limits, scenario.times
        self._items = self._remaining = items
        self._random = Random(seed)  # noqa: S311 - no secret
        self._env = simpy.Environment()
        rate = scenario.limits.calls_per_second
        self._calls, self._starts, self._stops = TokenBucket(rate), TokenBucket(rate), TokenBucket(rate)
        self._transitions = TokenBucket(scenario.limits.transitions_per_second)
        self._interval = scenario.limits.pacing_seconds
        job, times = scenario.job, scenario.times
        transfer = Span.exactly(job.bytes_per_item / times.transfer_bytes_per_second)
        self._steps = (times.write, times.call, times.collect, transfer)[: job.calls]
        self._item_cpu = times.item_cpu / scenario.limits.vcpus
        self._item_reserve = (job.timeout_seconds or DEFAULT_ITEM_SECONDS) + RESERVE_SECONDS
        self.counts = Counts()
        self._completed: list[tuple[float, int]] = []  # when each item ended, and the rejected calls until then

    def run(self) -> Figures:
        """Runs the batch to its end."""
        for _ in range(self._limits.workers):
            self._env.process(self._worker())
        self._env.run()
        return Figures(
            counts=self.counts,
            prepare_seconds=self._scenario.prepare_seconds,
            run_seconds=self._env.now,
            finish_seconds=self._scenario.finish_seconds,
            finish_invocations=self._scenario.finish_invocations,
            regions=1,
            simulated_items=self._items,
            items_per_second=self._steady_rate(),
            throttled_per_item=self._steady_throttled(),
        )

    def _steady_rate(self) -> float:
        first, last = self._steady()
        seconds = self._completed[last][0] - self._completed[first][0]
        return (last - first) / seconds if seconds else self._items / self._env.now

    def _steady_throttled(self) -> float:
        first, last = self._steady()
        return (self._completed[last][1] - self._completed[first][1]) / max(last - first, 1)

    def _steady(self) -> tuple[int, int]:
        return int(self._items * WARM_UP), int(self._items * COOL_DOWN)

    def _worker(self) -> Process:
        """Runs child executions one after another, always with the same execution environment of the function."""
        cold_start = self._draw(self._times.cold_start)
        while self._remaining:
            size = min(self._job.items_per_child, self._remaining)
            self._remaining -= size
            yield from self._child(size, cold_start)
            cold_start = 0.0

    def _child(self, size: int, cold_start: float) -> Process:
        self.counts.children += 1
        self.counts.transitions += CHILD_STATES
        self.counts.events += CHILD_EVENTS
        delay = self._transitions.delay(self._env.now, CHILD_STATES)
        yield self._env.timeout(self._draw(self._times.child) + delay + cold_start)
        done = retries = 0
        while True:
            before = done
            done = yield from self._invocation(done, size)
            if done == size:
                return
            if done > before and self._ended_in_time:
                self.counts.transitions += STATES_OF_FURTHER_INVOCATION
                self.counts.events += EVENTS_OF_FURTHER_INVOCATION
            else:
                self.counts.retries += 1
                self.counts.events += EVENTS_OF_RETRY
                shortest, longest = TASK_RETRY_SECONDS
                backoff = min(shortest * 2**retries, longest)
                retries += 1
                yield self._env.timeout(self._random.random() * backoff)

    def _invocation(self, done: int, size: int) -> Generator[simpy.Event, object, int]:
        """Runs items after the first `done` ones of a child execution, and returns how many have ended."""
        env, counts = self._env, self.counts
        counts.invocations += 1
        counts.s3_writes += 1 + done  # a list for the request of the batch, and attempts to acquire ended items
        counts.s3_reads += 1 + done
        invocation = _Invocation(env.now, env.now + 2 * self._random.random() * self._interval)
        self._ended_in_time = True
        deadline = env.now + self._limits.function_seconds - self._item_reserve
        yield env.timeout(self._draw(self._times.invocation))
        first = done
        while done < size and (done == first or env.now <= deadline):
            completed = yield from self._item(invocation)
            if not completed:
                self._ended_in_time = False
                break
            done += 1
            if self._job.items_per_session is None:
                break
        yield from self._stop(invocation)
        counts.function_seconds += env.now - invocation.began
        return done

    def _item(self, invocation: _Invocation) -> Sending:
        """Runs an item. Returns whether it completed; if not, a call was throttled."""
        times, env = self._times, self._env
        self.counts.s3_writes += WRITES_OF_RECORD + self._job.stored_files
        yield env.timeout(self._draw(times.put) + self._item_cpu)
        if invocation.session_began is None and not (yield from self._start(invocation)):
            return False
        for position, step in enumerate(self._steps):
            before = self._draw(times.put) if position == WRITES_BEFORE_CODE else 0.0
            if not (yield from self._call(invocation, before)):
                return False
            program = self._job.program_seconds if position == 1 else 0.0
            yield env.timeout(self._draw(step) + program)
        stored = 0 if self._job.transfers_files else self._job.stored_files  # sandboxes send large files themselves
        yield env.timeout(sum(self._draw(times.put) for _ in range(1 + stored)))
        self.counts.items += 1
        self.counts.s3_reads += 1  # finish_batch reads the record
        self._completed.append((env.now, self.counts.throttled))
        return True

    def _call(self, invocation: _Invocation, before: float) -> Sending:
        """Sends a call when its pace allows it, and again after it was throttled. Returns whether it was accepted."""
        env = self._env
        ready_at = env.now + before
        for delay in (*RETRY_DELAYS_SECONDS, None):
            send_at = max(ready_at, invocation.next_call_at)
            self.counts.waited_seconds += send_at - ready_at
            yield env.timeout(send_at - env.now)
            invocation.next_call_at = env.now + self._interval
            if self._calls.take(env.now):
                self.counts.calls += 1
                return True
            self.counts.throttled += 1
            ready_at = env.now + self._draw(self._times.throttled)
            if delay is not None:
                ready_at += delay * (0.5 + self._random.random())
        return False

    def _start(self, invocation: _Invocation) -> Sending:
        if not (yield from self._send_with_botocore(self._starts)):
            return False
        self.counts.starts += 1
        yield self._env.timeout(self._draw(self._times.start))
        invocation.session_began = self._env.now
        return True

    def _stop(self, invocation: _Invocation) -> Process:
        if invocation.session_began is None:
            return
        if (yield from self._send_with_botocore(self._stops)):
            self.counts.stops += 1
        yield self._env.timeout(self._draw(self._times.stop))
        self.counts.session_seconds += self._env.now - invocation.session_began

    def _send_with_botocore(self, bucket: TokenBucket) -> Sending:
        for attempt in range(BOTOCORE_ATTEMPTS):
            if bucket.take(self._env.now):
                return True
            self.counts.throttled += 1
            backoff = self._random.random() * 2**attempt
            yield self._env.timeout(self._draw(self._times.throttled) + backoff)
        return False

    def _draw(self, duration: Duration) -> float:
        return duration.draw(self._random)
