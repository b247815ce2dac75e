"""The estimated cost of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper_contract.costs import session_usd
from sandpiper_contract.prices import LIST_PRICES
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from sandpiper.runs.executions import Execution
    from sandpiper_contract.prices import Prices


def estimated_usd(execution: Execution, prices: Prices = LIST_PRICES) -> float | None:
    """Returns the estimated cost of a run in US dollars; None as long as it has no result.

    A batch states it in its summary, and a program with its own session in `usage` of its result. Other runs have
    programs that share a session, or results of an older release: their cost is that of a session that is live as long
    as the run, up to the longest lifetime.

    Args:
        execution: the execution, with its results.
        prices: the prices and the assumptions, for runs that do not state their cost.
    """
    if execution.summary is not None and "estimatedUsd" in execution.summary:
        return float(execution.summary["estimatedUsd"])
    if execution.is_running or not execution.results:
        return None
    usages = [one.result.get("usage") for one in execution.results]
    if all(usage is not None and usage["sessionSeconds"] > 0 for usage in usages):
        return round(sum(usage["estimatedUsd"] for usage in usages if usage is not None), 6)
    usd = session_usd(
        execution_seconds=sum(one.result.get("executionTimeMs") or 0 for one in execution.results) / 1000,
        session_seconds=min(execution.seconds, SESSION_TIMEOUT_SECONDS[1]),
        prices=prices,
    )
    return round(usd, 6)
