"""The cost of a simulated batch at list prices.

AgentCore bills the processor time that a session uses, and its peak memory from its start to its end. Storage, logs,
metrics, traces and data transfer are not included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.prices import LIST_PRICES

if TYPE_CHECKING:
    from sandpiper.capacity.figures import Figures
    from sandpiper.capacity.model import Scenario
    from sandpiper_contract.prices import Prices

SECONDS_AN_HOUR = 3_600
MIB_A_GB = 1_024
COST_NAMES = {
    "agentcore_cpu": "AgentCore processors",
    "agentcore_memory": "AgentCore memory",
    "function": "Lambda",
    "step_functions": "Step Functions",
    "s3": "S3 requests",
}
"""The text for each attribute of a cost."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a batch in US dollars, by service."""

    agentcore_cpu: float
    agentcore_memory: float
    function: float
    step_functions: float
    s3: float

    @property
    def total(self) -> float:
        """The sum."""
        return self.agentcore_cpu + self.agentcore_memory + self.function + self.step_functions + self.s3


def cost_of(
    scenario: Scenario,
    figures: Figures,
    *,
    vcpus: float = LIST_PRICES.assumed_vcpus,
    gb: float = LIST_PRICES.assumed_gb,
    prices: Prices = LIST_PRICES,
) -> Cost:
    """Returns the cost of a batch.

    Args:
        scenario: The batch.
        figures: Its figures.
        vcpus: Processors that a program uses while it runs.
        gb: Peak memory of a session in gigabytes.
        prices: The prices in US dollars.
    """
    counts, limits = figures.counts, scenario.limits
    program_hours = counts.items * scenario.job.program_seconds / SECONDS_AN_HOUR
    function_gb_seconds = figures.function_seconds * limits.memory_mib / MIB_A_GB
    invocations = counts.invocations + (1 + figures.finish_invocations) * figures.regions
    return Cost(
        agentcore_cpu=program_hours * vcpus * prices.vcpu_hour,
        agentcore_memory=counts.session_seconds / SECONDS_AN_HOUR * gb * prices.gb_hour,
        function=function_gb_seconds * prices.lambda_gb_second[limits.architecture]
        + invocations * prices.lambda_request,
        step_functions=figures.transitions * prices.state_transition,
        s3=counts.s3_writes * prices.s3_write + counts.s3_reads * prices.s3_read,
    )
