"""The product's own clients, each shown to a test or a benchmark that notes what they send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

    from code_runner.agentcore.boto_clients import Clients


@dataclass(frozen=True)
class RecordingClients:
    """`watch` is given each client of AgentCore and returns it; it may see the same one again."""

    real: Clients
    watch: Callable[[Any], Any]

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """As Clients has it."""
        return self.watch(self.real.sessions)

    @property
    def s3(self) -> S3Client:
        """As Clients has it."""
        return self.real.s3

    @property
    def s3_copy(self) -> S3Client:
        """As Clients has it."""
        return self.real.s3_copy

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """As Clients has it."""
        return self.watch(self.real.invoke(timeout_seconds))
