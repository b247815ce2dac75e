"""The two ways of calling AgentCore's data plane: what may be sent twice, and what must not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient

CONNECT_TIMEOUT_SECONDS = 10
SESSION_CALL_SECONDS = 30
"""How long one attempt to start or stop a session may take; both were published at under 2 s."""


@dataclass(frozen=True)
class Clients:
    """`sessions` starts and stops: botocore repeats those with the same clientToken. `invoke` is sent once.

    A default client sends InvokeCodeInterpreter up to three times after a read timeout or a 500, and the operation has
    no clientToken: the code would run again.
    """

    sessions: BedrockAgentCoreClient
    invoke: BedrockAgentCoreClient


@cache
def clients(read_timeout_seconds: int, region: str | None = None) -> Clients:
    """Clients whose Invoke waits `read_timeout_seconds` for an answer. Kept: making a client costs milliseconds."""
    patient = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=SESSION_CALL_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 4},
    )
    once = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )
    return Clients(
        sessions=boto3.client("bedrock-agentcore", region_name=region, config=patient),
        invoke=boto3.client("bedrock-agentcore", region_name=region, config=once),
    )
