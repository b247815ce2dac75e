"""boto clients with the timeouts and retries that each kind of call needs."""

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
    from mypy_boto3_stepfunctions import SFNClient

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 10
"""AWS publishes latencies under 2 s for sessions and S3; a longer wait is treated as a lost response."""
READ_TIMEOUT_STEP_SECONDS = 10
"""Read timeouts of invoke clients are rounded down to multiples of this, so that runs share clients: creating a client
takes milliseconds."""
KEEPALIVE_SECONDS = 60
"""Idle time of a connection before the first TCP keepalive probe, and the interval between probes."""
KEEPALIVE_OPTIONS = tuple(
    (socket.IPPROTO_TCP, getattr(socket, name), KEEPALIVE_SECONDS)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL")  # Linux has the first, macOS the second
    if hasattr(socket, name)
)
"""NAT gateways and firewalls drop connections that are idle for minutes (350 s on AWS), and a connection that waits for
code is idle. The kernel's default is a probe after two hours.
https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout"""
S3_CONNECTIONS = 32
"""Connections of the S3 client, which are opened when they are needed."""
_RETRYING = Config(
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 3},
)


class Clients(Protocol):
    """The boto clients that a run needs."""

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Client that starts and stops sessions. botocore retries both, a start with the same clientToken."""
        ...

    @property
    def s3(self) -> S3Client:
        """Client that reads inputs and writes outputs."""
        ...

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """Returns a client that sends InvokeCodeInterpreter once and waits up to this many seconds for the response."""
        ...


class AwsClients:
    """Creates each client at its first use and caches it.

    Example:
        >>> import boto3
        >>> clients = AwsClients(boto3.Session(profile_name="research", region_name="eu-west-1"))
    """

    def __init__(self, session: boto3.Session | None = None) -> None:
        """Creates no client yet.

        Args:
            session: Region and credentials. None uses the default chain of botocore.

        Raises:
            InvalidRequest: `session` is not a boto3 session.
        """
        if session is not None and not callable(getattr(session, "client", None)):
            raise InvalidRequest(f"session is a {type(session).__name__}; allowed: a boto3.Session, or none")
        # botocore, because importing boto3 with its resources and transfers would slow each cold start.
        self._create: Any = session.client if session else botocore.session.get_session().create_client
        self._invoke_client = lru_cache(maxsize=8)(self._create_invoke_client)

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Returns the client that starts and stops sessions."""
        return self._retrying_clients[0]

    @property
    def s3(self) -> S3Client:
        """Returns the client that reads inputs and writes outputs."""
        return self._retrying_clients[1]

    @cached_property
    def executions(self) -> SFNClient:
        """The client that describes executions."""
        return self._create("stepfunctions", config=_RETRYING)

    @cached_property
    def _retrying_clients(self) -> tuple[BedrockAgentCoreClient, S3Client]:
        # By default, botocore signs links for us-east-1 and other old Regions with version 2, which does not cover
        # added parameters and cannot open objects encrypted with KMS. It also signs them for the bucket's global host
        # name, which S3 redirects or rejects outside us-east-1 (botocore.signers, _should_use_global_endpoint;
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
        storage = Config(
            signature_version="s3v4", s3={"addressing_style": "virtual"}, max_pool_connections=S3_CONNECTIONS
        )
        return self._create("bedrock-agentcore", config=_RETRYING), self._create("s3", config=_RETRYING.merge(storage))

    def warm_up(self) -> None:
        """Creates the clients that every run needs, which takes tens of milliseconds."""
        _ = self._retrying_clients

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """Returns a client for InvokeCodeInterpreter with a read timeout of at most `timeout_seconds`, at least 5 s."""
        step = READ_TIMEOUT_STEP_SECONDS
        return self._invoke_client(max(int(timeout_seconds) // step * step, step // 2))

    def _create_invoke_client(self, read_timeout_seconds: int) -> BedrockAgentCoreClient:
        """Creates a client that sends each request exactly once.

        A default client sends InvokeCodeInterpreter up to three times after a read timeout or a 500 response. The
        operation has no clientToken, so the code would run again.
        """
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=read_timeout_seconds,
            retries={"total_max_attempts": 1},
            tcp_keepalive=True,
        )
        client = self._create("bedrock-agentcore", config=config)
        # botocore can only turn keepalive on or off. https://github.com/boto/botocore/issues/2916
        client._endpoint.http_session._socket_options.extend(KEEPALIVE_OPTIONS)
        return client
