"""Reads the policies and roles of the resources of a stack, which replace those of its template."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper.plan.resource_types import BUCKET, FUNCTION, INTERPRETER, KEY, WORKFLOW
from sandpiper.review.building.types import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandpiper.review.deployed.reading import AccountReader

Properties = dict[str, Any]
POLICY = "Policy"
"""Stands for the policy of a function, which is several resources in a template."""


@dataclass(frozen=True)
class Read:
    """One call that reads properties of a resource.

    Attributes:
        action: The action that the call needs.
        service: The service of the client.
        call: Returns the properties for a client and a physical ID.
        missing: The properties if the setting does not exist.
    """

    action: str
    service: str
    call: Callable[[Any, str], Properties]
    missing: Mapping[str, Any]


def _bucket_policy(client: Any, name: str) -> Properties:
    return {POLICY: json.loads(client.get_bucket_policy(Bucket=name)["Policy"])}


def _key_policy(client: Any, name: str) -> Properties:
    return {"KeyPolicy": json.loads(client.get_key_policy(KeyId=name, PolicyName="default")["Policy"])}


def _function_policy(client: Any, name: str) -> Properties:
    document = json.loads(client.get_policy(FunctionName=name)["Policy"])
    return {POLICY: document if document["Statement"] else None}


def _function_role(client: Any, name: str) -> Properties:
    return {"Role": client.get_function_configuration(FunctionName=name)["Role"]}


def _workflow_role(client: Any, name: str) -> Properties:
    # Without its definition, which only the users of an encrypted workflow's key may read:
    found = client.describe_state_machine(stateMachineArn=name, includedData="METADATA_ONLY")
    return {"RoleArn": found["roleArn"]}


def _interpreter(client: Any, name: str) -> Properties:
    found = client.get_code_interpreter(codeInterpreterId=name)
    role = {"ExecutionRoleArn": found["executionRoleArn"]} if found.get("executionRoleArn") else {}
    return {**role, "NetworkMode": found["networkConfiguration"]["networkMode"]}


def _endpoint_policy(client: Any, name: str) -> Properties:
    (endpoint,) = client.describe_vpc_endpoints(VpcEndpointIds=[name])["VpcEndpoints"]
    document = endpoint.get("PolicyDocument")
    return {"PolicyDocument": json.loads(document)} if document else {}


def _versioning(client: Any, name: str) -> Properties:
    return {"VersioningConfiguration": {"Status": client.get_bucket_versioning(Bucket=name).get("Status")}}


def _encryption(client: Any, name: str) -> Properties:
    rules = client.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    by_default = "ServerSideEncryptionByDefault"
    return {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {by_default: rule.pop(f"Apply{by_default}", {}), **rule} for rule in rules
            ]
        }
    }


def _public_access(client: Any, name: str) -> Properties:
    key = "PublicAccessBlockConfiguration"
    return {key: client.get_public_access_block(Bucket=name)[key]}


def _ownership(client: Any, name: str) -> Properties:
    return {"OwnershipControls": client.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]}


READS: dict[str, tuple[Read, ...]] = {
    BUCKET: (Read("s3:GetBucketPolicy", "s3", _bucket_policy, {POLICY: None}),),
    ENDPOINT: (Read("ec2:DescribeVpcEndpoints", "ec2", _endpoint_policy, {}),),
    FUNCTION: (
        Read("lambda:GetPolicy", "lambda", _function_policy, {POLICY: None}),
        Read("lambda:GetFunctionConfiguration", "lambda", _function_role, {}),
    ),
    INTERPRETER: (Read("bedrock-agentcore:GetCodeInterpreter", "bedrock-agentcore-control", _interpreter, {}),),
    KEY: (Read("kms:GetKeyPolicy", "kms", _key_policy, {}),),
    WORKFLOW: (Read("states:DescribeStateMachine", "stepfunctions", _workflow_role, {}),),
}
"""By type: the calls that read what decides about access."""


BUCKET_SETTINGS = (
    *READS[BUCKET],
    Read("s3:GetBucketVersioning", "s3", _versioning, {}),
    Read("s3:GetEncryptionConfiguration", "s3", _encryption, {}),
    Read("s3:GetBucketPublicAccessBlock", "s3", _public_access, {}),
    Read("s3:GetBucketOwnershipControls", "s3", _ownership, {}),
)
"""The calls for a bucket that no stack contains."""


def read_properties(
    reader: AccountReader, reads: Iterable[Read], physical_id: str, label: str, address: str
) -> Properties:
    """Returns the properties of a resource in the account. A property that could not be read is missing.

    Args:
        reader: Reads the account.
        reads: What is read.
        physical_id: The physical ID.
        label: The name of the resource in reports.
        address: Its address in the model.
    """
    found: Properties = {}
    for one in reads:
        part = f"{one.action.partition(':')[2].removeprefix('Get').removeprefix('Describe')} of {label}"
        call = functools.partial(one.call, reader.client(one.service), physical_id)
        found |= reader.read(part, one.action, call, dict(one.missing), address) or {}
    return found
