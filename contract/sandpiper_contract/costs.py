"""Estimates what runs cost. docs/costs.md states the formula and its assumptions.

AgentCore bills the processor time that a session uses, and its peak memory from its start to its end. A run knows
neither, so the estimate assumes `assumed_vcpus` while a program runs and `assumed_gb` while its session is live. S3,
logs, traces and data transfer are not included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper_contract.prices import LIST_PRICES

if TYPE_CHECKING:
    from sandpiper_contract.prices import Prices

SECONDS_AN_HOUR = 3_600


def session_usd(*, execution_seconds: float, session_seconds: float, prices: Prices = LIST_PRICES) -> float:
    """Returns the estimated cost of sessions in US dollars.

    Args:
        execution_seconds: How long programs ran.
        session_seconds: How long sessions were live.
        prices: The prices and the assumptions.
    """
    return usage_usd(
        vcpu_hours=execution_seconds / SECONDS_AN_HOUR * prices.assumed_vcpus,
        gb_hours=session_seconds / SECONDS_AN_HOUR * prices.assumed_gb,
        prices=prices,
    )


def usage_usd(*, vcpu_hours: float, gb_hours: float, prices: Prices = LIST_PRICES) -> float:
    """Returns the cost of billed usage of sessions in US dollars.

    Args:
        vcpu_hours: Processor time in hours, such as the metric `CPUUsed-vCPUHours`.
        gb_hours: Memory times its time, such as the metric `MemoryUsed-GBHours`.
        prices: The prices.
    """
    return vcpu_hours * prices.vcpu_hour + gb_hours * prices.gb_hour


def invocation_usd(
    *,
    seconds: float,
    memory_mib: int,
    architecture: str,
    invocations: int,
    state_transitions: int,
    prices: Prices = LIST_PRICES,
) -> float:
    """Returns the cost of invocations of the session function and of the states that invoke it, in US dollars.

    Args:
        seconds: How long the function ran.
        memory_mib: Its memory in MiB.
        architecture: Its architecture, a key of `Prices.lambda_gb_second`.
        invocations: The number of invocations.
        state_transitions: The state transitions of standard workflows.
        prices: The prices.
    """
    return (
        seconds * memory_mib / 1024 * prices.lambda_gb_second[architecture]
        + invocations * prices.lambda_request
        + state_transitions * prices.state_transition
    )
