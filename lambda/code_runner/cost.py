"""Estimates what runs cost at list prices.

AgentCore bills the processor time that a session uses, and its peak memory from its start to its end. Neither is known
here, so the estimate assumes one processor while the program runs, and one gigabyte. S3, logs and traces are not
included.
"""

from __future__ import annotations

import os
import platform

from sandpiper_contract.prices import LIST_PRICES

ASSUMED_VCPUS, ASSUMED_GB = 1, 1
DEFAULT_MEMORY_MB = "512"


def estimated_usd(
    *, execution_seconds: float, session_seconds: float, function_seconds: float, state_transitions: int
) -> float:
    """Returns the estimated cost in US dollars, for an execution environment like the present one.

    Args:
        execution_seconds: How long programs ran.
        session_seconds: How long sessions were live.
        function_seconds: How long the session function ran.
        state_transitions: The state transitions of standard workflows.
    """
    architecture = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    function_gb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", DEFAULT_MEMORY_MB)) / 1024
    cost = (
        execution_seconds / 3600 * ASSUMED_VCPUS * LIST_PRICES.vcpu_hour
        + session_seconds / 3600 * ASSUMED_GB * LIST_PRICES.gb_hour
        + function_seconds * function_gb * LIST_PRICES.lambda_gb_second[architecture]
        + state_transitions * LIST_PRICES.state_transition
    )
    return round(cost, 9)
