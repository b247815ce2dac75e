"""TCP keepalive of connections that wait for code, and the host name of presigned links."""

from __future__ import annotations

import socket
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from code_runner.agentcore.boto_clients import KEEPALIVE_SECONDS, AwsClients
from code_runner.files.storage import Storage
from sandpiper_contract.s3_objects import S3Object


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this platform has no TCP_KEEPIDLE")
def test_a_connection_that_waits_for_code_is_probed_before_a_nat_gateway_drops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    created: list[socket.socket] = []

    class Refused(socket.socket):
        def connect(self, _: Any) -> None:
            created.append(self.dup())
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Refused)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    session = boto3.Session("key", "secret", region_name="eu-west-1")
    with pytest.raises(EndpointConnectionError):
        AwsClients(session).invoke(900).invoke_code_interpreter(
            codeInterpreterIdentifier="sandbox-1", sessionId="1", name="executeCode"
        )
    (connection,) = created
    with connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert KEEPALIVE_SECONDS < 350
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            assert connection.getsockopt(socket.IPPROTO_TCP, option) == KEEPALIVE_SECONDS


@pytest.mark.parametrize("region", ["eu-west-1", "ap-southeast-5"])
def test_a_link_is_signed_for_the_buckets_regional_host_name(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clients = AwsClients(boto3.Session("key", "secret", region_name=region))
    run = S3Object("data-bucket", "runs/1")
    link = Storage(clients.s3, S3Object("data-bucket", "inputs"), run).link(run, 60)
    assert link.startswith(f"https://data-bucket.s3.{region}.amazonaws.com/runs/1?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
