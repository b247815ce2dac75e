"""Clients of the product with a hook that records their calls."""

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
    """Passes each AgentCore client to `watch`, which returns it; a client may be passed repeatedly."""

    real: Clients
    watch: Callable[[Any], Any]

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Returns the watched client that starts and stops sessions."""
        return self.watch(self.real.sessions)

    @property
    def s3(self) -> S3Client:
        """Returns the client for S3."""
        return self.real.s3

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """Returns the watched client for InvokeCodeInterpreter."""
        return self.watch(self.real.invoke(timeout_seconds))
