"""Estimates what a run costs at list prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from code_runner.cost import ASSUMED_GB, ASSUMED_VCPUS
from sandpiper_contract.prices import LIST_PRICES
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from sandpiper.runs.executions import Execution
    from sandpiper_contract.prices import Prices

SECONDS_AN_HOUR = 3_600
MS_AN_HOUR = 3_600_000


def estimated_usd(execution: Execution, prices: Prices = LIST_PRICES) -> float | None:
    """Returns the estimated cost of the sessions of a run in US dollars; None as long as it has no result.

    The estimate has the assumptions of a batch's: one processor while programs run, and one gigabyte until the run
    ends or the longest lifetime of a session is over. For a batch, it is that of its summary.

    Args:
        execution: the execution, with its results.
        prices: the prices in US dollars.
    """
    if execution.summary is not None and "estimatedUsd" in execution.summary:
        return float(execution.summary["estimatedUsd"])
    if execution.is_running or not execution.results:
        return None
    program_hours = sum(one.result.get("executionTimeMs") or 0 for one in execution.results) / MS_AN_HOUR
    session_hours = min(execution.seconds, SESSION_TIMEOUT_SECONDS[1]) / SECONDS_AN_HOUR
    processors, memory = ASSUMED_VCPUS * prices.vcpu_hour, ASSUMED_GB * prices.gb_hour
    return round(program_hours * processors + session_hours * memory, 6)
