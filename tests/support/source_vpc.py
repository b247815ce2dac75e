"""Checks that the credentials of code in the environment's network are valid in its VPC only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.agentcore_sessions import Session
from tests.support.iam import any_client

if TYPE_CHECKING:
    from sandpiper.deployment import Deployment

PROGRAM = """
import boto3, json
session = boto3.Session()
session.client("s3").put_object(Bucket="{bucket}", Key="{key}", Body=b"from the VPC")
print(json.dumps(session.get_credentials().get_frozen_credentials()))
"""


def check_credentials_are_useless_elsewhere(deployment: Deployment) -> None:
    """Prints the credentials of code in the first interpreter in VPC mode, and uses them outside of its VPC."""
    control = any_client("bedrock-agentcore-control")
    networks = {
        name: (identifier, control.get_code_interpreter(codeInterpreterId=identifier)["networkConfiguration"])
        for name, identifier in deployment.interpreters.items()
    }
    name, (identifier, network) = next(each for each in networks.items() if each[1][1]["networkMode"] == "VPC")
    key = f"{deployment.prefix}/sandbox/{name}/a.txt"
    session = Session(any_client("bedrock-agentcore"), identifier)
    result = session.python(PROGRAM.format(bucket=deployment.bucket, key=key))
    assert result["exitCode"] == 0, result["stderr"]
    printed: Any = boto3.Session(*json.loads(result["stdout"])[:3], region_name=boto3.Session().region_name)
    printed.client("sts").get_caller_identity()  # the credentials are valid
    subnet = network["vpcConfig"]["subnets"][0]
    for forged in ({}, {"x-local-source-subnet": subnet}):  # the header with which the emulator names the subnet
        s3 = printed.client("s3")

        def add_header(request: Any, forged: dict[str, str] = forged, **_: object) -> None:
            request.headers.update(forged)

        s3.meta.events.register("before-send.s3", add_header)
        with pytest.raises(ClientError, match=r"s3:GetObject|AccessDenied"):
            s3.get_object(Bucket=deployment.bucket, Key=key)
    session.stop()
