"""List prices of the services that a run uses, and what estimates assume about sessions.

On-demand prices in US dollars of us-east-1, November 2026, without free tier, discounts and taxes. Other regions can
differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices in US dollars, and assumptions.

    Attributes:
        vcpu_hour: an hour of a processor of a session. AgentCore bills what a session uses, by the second.
        gb_hour: an hour of a gigabyte of memory of a session, by its peak.
        lambda_gb_second: a second of a gigabyte of memory of a function, by architecture. First tier.
        lambda_request: an invocation of a function.
        state_transition: a state transition of a standard workflow.
        s3_write: a request of S3 Standard that writes or lists.
        s3_read: a request of S3 Standard that reads.
        assumed_vcpus: the processors that a program is assumed to use while it runs.
        assumed_gb: the memory that a session is assumed to use while it is live, in gigabytes.
        as_of: the month of the prices.
        sources: the pages of the prices.
    """

    vcpu_hour: float = 0.0895
    gb_hour: float = 0.00945
    lambda_gb_second: Mapping[str, float] = field(
        default_factory=lambda: {"arm64": 0.0000133334, "x86_64": 0.0000166667}
    )
    lambda_request: float = 0.0000002
    state_transition: float = 0.000025
    s3_write: float = 0.000005
    s3_read: float = 0.0000004
    assumed_vcpus: float = 1.0
    assumed_gb: float = 1.0
    as_of: str = "2026-11"
    sources: tuple[str, ...] = (
        "https://aws.amazon.com/bedrock/agentcore/pricing/",
        "https://aws.amazon.com/lambda/pricing/",
        "https://aws.amazon.com/step-functions/pricing/",
        "https://aws.amazon.com/s3/pricing/",
    )


LIST_PRICES = Prices()
SESSION_VCPUS, SESSION_GB = 2, 8
"""Processors and memory of a session.

https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/bedrock-agentcore-limits.html
"""
