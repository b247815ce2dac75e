"""The estimated cost of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper import deployment
from sandpiper_contract.costs import session_usd
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.runs.executions import Execution


def with_prices(executions: Sequence[Execution], environment: str | None) -> list[Execution]:
    """Returns executions with the prices of their environment.

    Its file is read only if an execution does not state its cost, because that takes longer than the rest of a command.

    Args:
        executions: the executions, with their results.
        environment: the name or the file of the environment. Default: `local`.

    Raises:
        CliError: the file is needed and invalid.
    """
    if all(each.is_running or not each.results or _stated_usd(each) is not None for each in executions):
        return [*executions]
    prices = deployment.prices_of(environment or "local")
    return [replace(each, prices=prices) for each in executions]


def estimated_usd(execution: Execution) -> float | None:
    """Returns the estimated cost of a run in US dollars; None as long as it has no result.

    A batch states it in its summary, and a program with its own session in `usage` of its result. Other runs have
    programs that share a session, or results of an older release: their cost is that of a session that is live as long
    as the run, up to the longest lifetime.

    Args:
        execution: the execution, with its results and the prices for runs that do not state their cost.
    """
    stated = _stated_usd(execution)
    if stated is not None:
        return stated
    if execution.is_running or not execution.results:
        return None
    usd = session_usd(
        execution_seconds=sum(one.result.get("executionTimeMs") or 0 for one in execution.results) / 1000,
        session_seconds=min(execution.seconds, SESSION_TIMEOUT_SECONDS[1]),
        prices=execution.prices,
    )
    return round(usd, 6)


def _stated_usd(execution: Execution) -> float | None:
    """Returns the cost that the summary of a batch, or the results of a run, state."""
    if execution.summary is not None and "estimatedUsd" in execution.summary:
        return float(execution.summary["estimatedUsd"])
    usages = [one.result.get("usage") for one in execution.results]
    if execution.is_running or not usages:
        return None
    if all(usage is not None and usage["sessionSeconds"] > 0 for usage in usages):
        return round(sum(usage["estimatedUsd"] for usage in usages if usage is not None), 6)
    return None
