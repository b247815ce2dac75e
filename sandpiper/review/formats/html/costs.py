"""The maximum cost of an environment, and what limits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.costs import maximum_costs

if TYPE_CHECKING:
    from sandpiper.plan.model import Costs
    from sandpiper.review.report import Report


def costs_of(report: Report) -> Costs | None:
    """Returns the maximum cost; None without an environment file, which has the quotas of the account."""
    return None if report.source is None else maximum_costs(report.source.environment)
