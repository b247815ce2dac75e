"""Prints the maximum cost of an environment, and which limits stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import Line, count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.plan.model import CostLimit, Costs, TenantCost


def cost_lines(costs: Costs) -> Iterator[Line]:
    """Yields the lines of the report."""
    yield Line(
        f"Maximum cost on AWS of sessions and functions that are busy without a pause (list prices of {costs.as_of})",
        tone="head",
    )
    yield from (Line(_tenant(one), 1) for one in costs.tenants)
    sessions = f"{count_of(costs.sessions, 'concurrent session')}"
    yield Line(f"all tenants: {_usd(costs.hour_usd, costs.month_usd)} ({sessions})", 1)
    open_sessions = _usd(costs.open_sessions_hour_usd, costs.open_sessions_month_usd)
    yield Line(
        f"workflows that open sessions (open_session, start_command) are limited by the session quota only: "
        f"{open_sessions} ({count_of(costs.open_sessions, 'concurrent session')})",
        1,
    )
    yield Line(f"stopped by: {_limits(costs.stopped_by)}", 1)
    yield Line(f"only notify: {_limits(costs.notified_by)}", 1)


def _tenant(one: TenantCost) -> str:
    longest = f"a session of {one.longest_session_seconds:,} s costs at most ${one.session_usd:,.2f}"
    last = f"sessions that are live when no more start cost at most ${one.live_sessions_usd:,.2f}"
    sessions = f"{count_of(one.sessions, 'concurrent session')}, limited by {one.limited_by}"
    return f"tenant {one.tenant}: {_usd(one.hour_usd, one.month_usd)} ({sessions}); {longest}, and {last}"


def _usd(hour: float, month: float) -> str:
    return f"${hour:,.2f} per hour, ${month:,.0f} per month"


def _limits(limits: Iterable[CostLimit]) -> str:
    return ", ".join(f"{f'{one.tenant}: ' if one.tenant else ''}{one.limit} {one.value:,}" for one in limits)
