"""The ways of calling AWS: what may be sent twice, what must not, and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 5
WAIT_STEP_SECONDS = 10
"""Waits for an answer are cut to whole steps of this, so that runs share clients: making one costs milliseconds."""


class Clients(Protocol):
    """What a run calls."""

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Starts and stops sessions. botocore repeats both; a start with the same clientToken."""
        ...

    @property
    def s3(self) -> S3Client:
        """Reads inputs and writes outputs."""
        ...

    def invoke(self, seconds: float) -> BedrockAgentCoreClient:
        """A client that sends InvokeCodeInterpreter once and waits up to `seconds` for the answer."""
        ...


@dataclass(frozen=True)
class AwsClients:
    """Clients of the region and credentials of boto3's default chain, kept for the life of the process."""

    sessions: BedrockAgentCoreClient
    s3: S3Client

    @classmethod
    def default(cls) -> AwsClients:
        """Makes them. Both were published at under 2 s a call, so a longer wait is a lost answer."""
        config = Config(
            connect_timeout=CONNECT_SECONDS, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
        )
        storing = Config(
            connect_timeout=CONNECT_SECONDS, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
        )
        return cls(boto3.client("bedrock-agentcore", config=config), boto3.client("s3", config=storing))

    def invoke(self, seconds: float) -> BedrockAgentCoreClient:
        """As Clients has it."""
        return once(max(int(seconds) // WAIT_STEP_SECONDS * WAIT_STEP_SECONDS, WAIT_STEP_SECONDS // 2))


@lru_cache(maxsize=8)
def once(read_timeout_seconds: int) -> BedrockAgentCoreClient:
    """A client with exactly one attempt.

    A default client sends InvokeCodeInterpreter up to three times after a read timeout or a 500, and the operation has
    no clientToken: the code would run again.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"total_max_attempts": 1},
        tcp_keepalive=True,
    )
    return boto3.client("bedrock-agentcore", config=config)
