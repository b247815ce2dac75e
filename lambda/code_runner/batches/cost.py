"""Estimates what a batch costs at list prices.

AgentCore bills the processor time that a session uses, and its peak memory from its start to its end. Neither is known
here, so the estimate assumes one processor while the program runs, and one gigabyte. S3, logs and traces are not
included.
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from sandpiper_contract.prices import LIST_PRICES

if TYPE_CHECKING:
    from code_runner.batches.summary import SummaryCounter

ASSUMED_VCPUS, ASSUMED_GB = 1, 1
CHILD_STATES = 3
"""State transitions of a child execution that needs one invocation."""
DEFAULT_MEMORY_MB = "512"


def estimated_usd(counter: SummaryCounter, children: int) -> float:
    """Returns the estimated cost of a batch in US dollars, for an execution environment like the present one.

    Args:
        counter: The usage of the batch.
        children: The number of child executions.
    """
    architecture = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    function_gb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", DEFAULT_MEMORY_MB)) / 1024
    session_hours = counter.session_seconds / 3600
    cost = (
        counter.execution_seconds / 3600 * ASSUMED_VCPUS * LIST_PRICES.vcpu_hour
        + session_hours * ASSUMED_GB * LIST_PRICES.gb_hour
        + counter.session_seconds * function_gb * LIST_PRICES.lambda_gb_second[architecture]
        + children * CHILD_STATES * LIST_PRICES.state_transition
    )
    return round(cost, 6)
