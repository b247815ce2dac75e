"""The estimated cost of invocations in the present execution environment. docs/costs.md states the formula."""

from __future__ import annotations

import json
import os
import platform

from sandpiper_contract import costs, settings
from sandpiper_contract.prices import Prices

DEFAULT_MEMORY_MIB = "512"


def configured_prices() -> Prices:
    """Returns the prices of the environment variable `SANDPIPER_PRICES`, and list prices for what it leaves out."""
    return Prices(**json.loads(os.environ.get(settings.PRICES, "{}")))


def function_usd(*, seconds: float, invocations: int, state_transitions: int, prices: Prices) -> float:
    """Returns the estimated cost of invocations of this function and of the states that invoke it, in US dollars.

    Args:
        seconds: How long the function ran.
        invocations: The number of invocations.
        state_transitions: The state transitions of standard workflows.
        prices: The prices.
    """
    return costs.invocation_usd(
        seconds=seconds,
        memory_mib=int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", DEFAULT_MEMORY_MIB)),
        architecture="arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        invocations=invocations,
        state_transitions=state_transitions,
        prices=prices,
    )
