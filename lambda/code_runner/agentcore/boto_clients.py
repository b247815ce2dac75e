"""The ways of calling AWS: what may be sent twice, what must not, and how long each may take."""

from __future__ import annotations

import socket
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import botocore.session
from botocore.config import Config

from sandpiper_contract.errors import InvalidRequest

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
"""Sessions and S3 were published at under 2 s a call, so a longer wait is a lost answer."""
COPY_SECONDS = 120
"""S3 may answer a copy only when it is done, and a copy may be of 5 GiB."""
WAIT_STEP_SECONDS = 10
"""Waits for an answer are cut to whole steps of this, so that runs share clients: making one costs milliseconds."""


QUIET_SECONDS = 60
"""How long a connection may be quiet before it is probed, and how long between probes."""
PROBES = tuple(
    (socket.IPPROTO_TCP, getattr(socket, name), QUIET_SECONDS)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL")  # the first is Linux's, the second macOS's for it
    if hasattr(socket, name)
)
"""NAT gateways and firewalls forget a connection that is quiet for minutes (350 s at AWS), which one is that waits for
code. The kernel by itself probes after two hours.
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout"""


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

    @property
    def copying(self) -> S3Client:
        """Copies large objects inside S3, once, and waits up to COPY_SECONDS for the answer."""
        ...

    def invoke(self, seconds: float) -> BedrockAgentCoreClient:
        """A client that sends InvokeCodeInterpreter once and waits up to `seconds` for the answer."""
        ...


class AwsClients:
    """Clients of one session, made when first used and kept."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        """`session` has the region and the credentials; without it they are the default chain's.

        Raises InvalidRequest for anything else.
        """
        if session is not None and not callable(getattr(session, "client", None)):
            raise InvalidRequest(f"session is a {type(session).__name__}; allowed: a boto3.Session, or none")
        # Not by boto3, whose resources and transfers nobody needs here: Lambda would import them at each cold start.
        self._client: Any = session.client if session else botocore.session.get_session().create_client
        self._once = lru_cache(maxsize=8)(self._invoking)

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """As Clients has it."""
        return self._repeating[0]

    @property
    def s3(self) -> S3Client:
        """As Clients has it."""
        return self._repeating[1]

    @property
    def copying(self) -> S3Client:
        """As Clients has it."""
        return self._copying

    @cached_property
    def _copying(self) -> S3Client:
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=COPY_SECONDS, retries={"total_max_attempts": 1})
        return self._client("s3", config=config)

    @cached_property
    def _repeating(self) -> tuple[BedrockAgentCoreClient, S3Client]:
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        # Unless told, botocore signs links for us-east-1 and other old regions with version 2, which does not cover
        # parameters that somebody adds and opens no object that is encrypted by KMS. And it signs them for the bucket's
        # global name, which S3 redirects from, or refuses, outside of us-east-1 (botocore.signers,
        # _should_use_global_endpoint; https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
        signing = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
        return self._client("bedrock-agentcore", config=config), self._client("s3", config=signing)

    def warm(self) -> None:
        """Makes the clients that every run needs, which takes tens of milliseconds, before the first run."""
        _ = self._repeating

    def invoke(self, seconds: float) -> BedrockAgentCoreClient:
        """As Clients has it."""
        return self._once(max(int(seconds) // WAIT_STEP_SECONDS * WAIT_STEP_SECONDS, WAIT_STEP_SECONDS // 2))

    def _invoking(self, read_timeout_seconds: int) -> BedrockAgentCoreClient:
        """A client with exactly one attempt.

        A default client sends InvokeCodeInterpreter up to three times after a read timeout or a 500, and the operation
        has no clientToken: the code would run again.
        """
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_timeout_seconds,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
        )
        client = self._client("bedrock-agentcore", config=config)
        # botocore's configuration has no more than on or off. https://github.com/boto/botocore/issues/2916
        client._endpoint.http_session._socket_options.extend(PROBES)
        return client
