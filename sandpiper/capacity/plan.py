"""Plans a batch: its figures, its cost, the quota that limits it, and what makes it faster."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sandpiper.capacity.cost import cost_of
from sandpiper.capacity.estimate import estimate
from sandpiper.capacity.gains import MAX_THROTTLED_PERCENT, gains, limiting, sufficient_concurrency
from sandpiper.capacity.model import Scenario
from sandpiper_contract.prices import LIST_PRICES
from sandpiper_contract.workflows import MAX_BATCH_SECONDS

if TYPE_CHECKING:
    from sandpiper.capacity.cost import Cost
    from sandpiper.capacity.figures import Figures
    from sandpiper.capacity.gains import Gain
    from sandpiper.capacity.model import Limits
    from sandpiper.capacity.profile import Profile

MAX_EVENTS = 25_000
"""Events of the history of an execution.
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


@dataclass(frozen=True, kw_only=True)
class CapacityPlan:
    """A simulated batch with what it means for its user.

    Attributes:
        scenario: The batch.
        figures: Its figures.
        cost: Its cost.
        gains: How much faster it is after each change.
        limit: The key of the quota that limits it.
        warnings: What would fail.
    """

    scenario: Scenario
    figures: Figures
    cost: Cost
    gains: tuple[Gain, ...]
    limit: str
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as JSON."""
        figures, counts = self.figures, self.figures.counts
        return {
            "simulated": True,
            "items": self.scenario.items,
            "job": asdict(self.scenario.job),
            "limits": asdict(self.scenario.limits),
            "seconds": round(figures.seconds, 1),
            "prepareSeconds": round(figures.prepare_seconds, 1),
            "runSeconds": round(figures.run_seconds, 1),
            "finishSeconds": round(figures.finish_seconds, 1),
            "itemsPerSecond": round(figures.throughput, 3),
            "sessions": counts.starts,
            "concurrentSessions": self.scenario.limits.workers * figures.regions,
            "sessionSeconds": round(counts.session_seconds),
            "calls": counts.calls,
            "throttledPercent": round(figures.throttled_percent, 2),
            "childExecutions": counts.children,
            "stateTransitions": figures.transitions,
            "historyEvents": figures.events,
            "lambdaSeconds": round(figures.function_seconds),
            "s3Requests": counts.s3_writes + counts.s3_reads,
            "usd": {**{name: round(value, 2) for name, value in asdict(self.cost).items()}, "total": self.usd},
            "pricesAsOf": LIST_PRICES.as_of,
            "limit": self.limit,
            "gains": [
                {"change": gain.change.key, "text": gain.change.text, "timesFaster": round(gain.ratio, 2)}
                for gain in self.gains
            ],
            "warnings": list(self.warnings),
        }

    @property
    def usd(self) -> float:
        """The total cost in US dollars."""
        return round(self.cost.total, 2)


def plan(items: int, profile: Profile, limits: Limits, *, concurrency: int | None = None) -> CapacityPlan:
    """Returns the plan of a batch.

    Args:
        items: The number of items.
        profile: The job and what its sessions use.
        limits: The quotas.
        concurrency: Reserved concurrency of the session function. Default: as much as the batch can use.
    """
    scenario = Scenario(items=items, job=profile.job, limits=limits)
    reserved = sufficient_concurrency(scenario) if concurrency is None else concurrency
    scenario = replace(scenario, limits=replace(limits, reserved_concurrency=reserved))
    figures = estimate(scenario)
    found = gains(scenario)
    return CapacityPlan(
        scenario=scenario,
        figures=figures,
        cost=cost_of(scenario, figures, vcpus=profile.vcpus, gb=profile.memory_gb),
        gains=found,
        limit=limiting(scenario, figures),
        warnings=tuple(_warnings(scenario, figures)),
    )


def _warnings(scenario: Scenario, figures: Figures) -> list[str]:
    limits = scenario.limits
    days = MAX_BATCH_SECONDS // 86_400
    found = {
        f"the batch takes longer than {days} days, after which it times out: raise quotas, or split it": (
            figures.seconds > MAX_BATCH_SECONDS
        ),
        f"more than {MAX_THROTTLED_PERCENT} % of the calls are throttled: use a smaller reserved concurrency": (
            figures.throttled_percent > MAX_THROTTLED_PERCENT
        ),
        "the items cannot be prepared within one invocation: give the function more memory, or split the batch": (
            figures.prepare_seconds > limits.function_seconds
        ),
        f"the history of the batch exceeds {MAX_EVENTS:,} events: split the batch": figures.parent_events > MAX_EVENTS,
        f"the reserved concurrency exceeds {limits.max_concurrency}, which the quotas of live sessions and of Lambda "
        "allow": limits.reserved_concurrency > limits.max_concurrency,
    }
    return [text for text, is_true in found.items() if is_true]
