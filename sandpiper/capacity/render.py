"""The lines of a plan, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.capacity.cost import COST_NAMES
from sandpiper.capacity.gains import LIMIT_TEXTS
from sandpiper_contract.prices import LIST_PRICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.capacity.plan import CapacityPlan

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def human_duration(seconds: float) -> str:
    """Returns a duration in its two largest units.

    Example:
        >>> human_duration(93_600)
        '1 d 2 h'
    """
    for unit, name, part, part_name in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} {int(seconds % unit // part)} {part_name}"
    return f"{seconds:.1f} s"


def human_usd(usd: float) -> str:
    """Returns dollars as text, with cents below 1,000."""
    return f"${usd:,.2f}" if usd < 1_000 else f"${usd:,.0f}"


def lines(plan: CapacityPlan) -> Iterator[str]:
    """Yields the lines of a plan."""
    figures, counts, limits = plan.figures, plan.figures.counts, plan.scenario.limits
    yield f"batch of {plan.scenario.items:,} items, simulated"
    yield f"  duration          {human_duration(figures.seconds)}, {figures.throughput:,.2f} items per second"
    phases = (figures.prepare_seconds, figures.run_seconds, figures.finish_seconds)
    yield "  of which          {} to prepare, {} to run, {} to finish".format(*map(human_duration, phases))
    yield f"  sessions          {counts.starts:,}, {limits.workers * figures.regions:,} at a time"
    yield f"  calls             {counts.calls:,}, {figures.throttled_percent:.1f} % throttled"
    yield f"  Step Functions    {counts.children:,} child executions, {figures.transitions:,} state transitions"
    yield f"  Lambda            {human_duration(figures.function_seconds)} with {limits.memory_mib} MiB"
    yield f"  cost              {human_usd(plan.cost.total)} at list prices of us-east-1, {LIST_PRICES.as_of}"
    for name, text in COST_NAMES.items():
        yield f"    {text:21} {human_usd(getattr(plan.cost, name))}"
    yield f"  reserved concurrency  {limits.reserved_concurrency:,}" + (
        f" in each of {limits.regions} regions" if limits.regions > 1 else ""
    )
    yield f"  limited by            {LIMIT_TEXTS[plan.limit]}"
    yield "what would make it faster:"
    for gain in sorted(plan.gains, key=lambda gain: -gain.ratio):
        yield f"  {gain.ratio:5.2f} times  {gain.change.text}"
