"""Estimates a batch of any size: simulates as many items as show its steady state, and extrapolates the rest.

The rate of the steady state is that of the items between the first 30 % and the last 20 % of the simulated ones. Each
further item adds the inverse of this rate to the duration. Counts are proportional to the items, except rejected
calls: many are rejected when all sessions start at the same time, so that further items have those of the steady state.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from sandpiper.capacity.simulation import BatchSimulation

if TYPE_CHECKING:
    from sandpiper.capacity.figures import Figures
    from sandpiper.capacity.model import Scenario

MIN_ITEMS, MAX_ITEMS = 5_000, 100_000
"""Limits of the number of simulated items."""
CHILDREN_OF_WORKER = 3
"""Child executions that each concurrent one simulates, so that sessions start and end at different times."""


def estimate(scenario: Scenario, *, min_items: int = MIN_ITEMS) -> Figures:
    """Returns the figures of a batch.

    Args:
        scenario: The batch.
        min_items: The number of items up to which a batch is simulated completely.
    """
    items, limits = scenario.items_of_region, replace(scenario.limits, regions=1)
    regions = scenario.limits.regions
    scenario = replace(scenario, items=items, limits=limits)
    window = min(CHILDREN_OF_WORKER * limits.workers * scenario.job.items_per_child, MAX_ITEMS)
    simulated = min(items, max(min_items, window))
    figures = replace(
        _simulated(replace(scenario, items=simulated)),
        prepare_seconds=scenario.prepare_seconds,
        finish_seconds=scenario.finish_seconds,
        finish_invocations=scenario.finish_invocations,
    )
    if simulated < items:
        rest = items - simulated
        throttled = figures.counts.throttled + round(rest * figures.throttled_per_item)
        figures = replace(
            figures,
            counts=replace(figures.counts.scaled(items / simulated), throttled=throttled),
            run_seconds=figures.run_seconds + rest / figures.items_per_second,
        )
    return figures.in_regions(regions)


@lru_cache(maxsize=256)
def _simulated(window: Scenario) -> Figures:
    """Returns the figures of the simulated items, which are the same for any larger batch."""
    return BatchSimulation(window, window.items).run()
