"""Which quota limits a batch, and how much faster it is with another one: each change is simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandpiper.capacity.estimate import estimate
from sandpiper.capacity.model import MIB_PER_VCPU
from sandpiper.environment.batch_limits import CALLS_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.capacity.figures import Figures
    from sandpiper.capacity.model import Limits, Scenario

FACTOR = 2
SHARED_ITEMS = 50
USED_UP = 0.9
"""A quota of which this share is used limits the batch."""
GAIN_ITEMS = 3_000
"""Simulated items of a change: fewer than of the batch itself, because only the ratio of two durations is shown."""
MAX_SHARE_OF_CONCURRENCY = 0.9
"""A concurrency is sufficient if it reaches this share of the highest throughput."""


@dataclass(frozen=True)
class Change:
    """A change of a quota, of the function or of the request.

    Attributes:
        key: Identifies the change.
        text: What to change, for a person.
        apply: Returns the changed scenario; None if the change is not possible.
    """

    key: str
    text: str
    apply: Callable[[Scenario], Scenario | None]


@dataclass(frozen=True)
class Gain:
    """How much faster a batch is after a change: the ratio of the durations."""

    change: Change
    ratio: float


def _with_limits(**changes: Callable[[Limits], float]) -> Callable[[Scenario], Scenario]:
    def apply(scenario: Scenario) -> Scenario:
        limits = scenario.limits
        return replace(scenario, limits=replace(limits, **{name: new(limits) for name, new in changes.items()}))

    return apply


def _with_shared_sessions(scenario: Scenario) -> Scenario | None:
    items = scenario.job.items_per_session or 1
    return (
        None if items >= SHARED_ITEMS else replace(scenario, job=replace(scenario.job, items_per_session=SHARED_ITEMS))
    )


def _without_files(scenario: Scenario) -> Scenario | None:
    if not scenario.job.collects_files:
        return None
    return replace(scenario, job=replace(scenario.job, collects_files=False))


def _with_full_processor(scenario: Scenario) -> Scenario | None:
    if scenario.limits.vcpus == 1:
        return None
    return replace(scenario, limits=replace(scenario.limits, memory_mib=MIB_PER_VCPU))


CHANGES = (
    Change(
        "calls_per_second",
        "twice the quota of calls per second",
        _with_limits(calls_per_second=lambda limits: limits.calls_per_second * FACTOR),
    ),
    Change(
        "concurrency",
        "twice the reserved concurrency, and the quotas that it needs",
        _with_limits(
            reserved_concurrency=lambda limits: limits.reserved_concurrency * FACTOR,
            live_sessions=lambda limits: max(limits.live_sessions, limits.reserved_concurrency * FACTOR),
        ),
    ),
    Change(
        "calls_and_concurrency",
        "twice both",
        _with_limits(
            calls_per_second=lambda limits: limits.calls_per_second * FACTOR,
            reserved_concurrency=lambda limits: limits.reserved_concurrency * FACTOR,
            live_sessions=lambda limits: max(limits.live_sessions, limits.reserved_concurrency * FACTOR),
        ),
    ),
    Change(
        "transitions_per_second",
        "twice the quota of state transitions per second",
        _with_limits(transitions_per_second=lambda limits: limits.transitions_per_second * FACTOR),
    ),
    Change("region", "a second region", _with_limits(regions=lambda limits: limits.regions * FACTOR)),
    Change("items_per_session", f"itemsPerSession: {SHARED_ITEMS}", _with_shared_sessions),
    Change("outputs", "outputs.paths: [], so that no files are collected", _without_files),
    Change("memory_mib", f"memory_mib: {MIB_PER_VCPU}, one processor for the function", _with_full_processor),
)
"""What can make a batch faster."""


def gains(scenario: Scenario) -> tuple[Gain, ...]:
    """Returns the gain of each possible change, in the order of `CHANGES`."""
    before = estimate(scenario, min_items=GAIN_ITEMS).seconds
    changed = ((change, change.apply(scenario)) for change in CHANGES)
    return tuple(
        Gain(change, before / estimate(after, min_items=GAIN_ITEMS).seconds) for change, after in changed if after
    )


def limiting(scenario: Scenario, figures: Figures) -> str:
    """Returns the key of the quota that is used most, or `concurrency` if all others have a reserve."""
    counts, limits = figures.counts, scenario.limits
    of_item = figures.items_per_second / counts.items
    used = {
        "calls_per_second": max(
            counts.calls * of_item / (limits.calls_per_second * CALLS_SHARE),
            counts.starts * of_item / limits.calls_per_second,
        ),
        "transitions_per_second": counts.transitions * of_item / limits.transitions_per_second,
    }
    key = max(used, key=lambda each: used[each])
    return key if used[key] >= USED_UP else "concurrency"


def sufficient_concurrency(scenario: Scenario) -> int:
    """Returns the smallest of some reserved concurrencies that reaches 90 % of the best throughput of all of them.

    A larger concurrency only makes sessions wait for each other, which costs money, and at last throttles calls.
    """
    possible = [each for each in CONCURRENCIES if each <= scenario.limits.max_concurrency] or [CONCURRENCIES[0]]
    rates: dict[int, float] = {}
    for concurrency in possible:
        limits = replace(scenario.limits, reserved_concurrency=concurrency, regions=1)
        figures: Figures = estimate(replace(scenario, limits=limits), min_items=GAIN_ITEMS)
        rates[concurrency] = figures.items_per_second if figures.throttled_percent < MAX_THROTTLED_PERCENT else 0.0
    best = max(rates.values())
    return next(each for each, rate in rates.items() if rate >= best * MAX_SHARE_OF_CONCURRENCY)


CONCURRENCIES = (10, 25, 50, 75, 100, 150, 200, 300, 400, 600, 900)
MAX_THROTTLED_PERCENT = 2
"""Target for batches."""
LIMIT_TEXTS = {
    "calls_per_second": "calls per second",
    "concurrency": "reserved concurrency",
    "transitions_per_second": "state transitions per second",
}
"""The text for each key of a limit."""
