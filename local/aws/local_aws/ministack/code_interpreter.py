"""`AWS::BedrockAgentCore::CodeInterpreterCustom`: an interpreter for CloudFormation, made by AgentCore's own API.

Whether the stack's role may make one is judged before, by `cloudformation`. The call itself is made as the account's
root, with the authority's token, since MiniStack's only thread is here and could not answer whether it is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.ministack import roles

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest

SERVICE_PRINCIPAL = "bedrock-agentcore.amazonaws.com"


class CodeInterpreterCustom:
    """The resource type's handler. Its properties are the API's members in CloudFormation's spelling."""

    create_only: tuple[str, ...] = ("Name", "Description", "NetworkConfiguration", "Certificates", "ExecutionRoleArn")

    def __init__(self, token: str) -> None:
        unsigned = Config(signature_version=UNSIGNED)
        self._control: Any = botocore.session.get_session().create_client("bedrock-agentcore-control", config=unsigned)

        def bear(request: AWSRequest, **_: object) -> None:
            request.headers["authorization"] = f"Bearer {token}"

        self._control.meta.events.register("before-send.bedrock-agentcore-control", bear)

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:  # noqa: ARG002 - the interface
        """CreateCodeInterpreter; a refusal becomes the reason that the stack's event shows."""
        if role := properties.get("ExecutionRoleArn"):
            _require_assumable(role, properties["Name"])
        network = properties["NetworkConfiguration"]
        request: dict[str, Any] = {
            "name": properties["Name"],
            "networkConfiguration": {"networkMode": network["NetworkMode"], **_vpc(network)},
            "executionRoleArn": properties.get("ExecutionRoleArn"),
            "description": properties.get("Description"),
            "certificates": _certificates(properties),
            "tags": properties.get("Tags"),
        }
        try:
            made = self._control.create_code_interpreter(**{name: value for name, value in request.items() if value})
            return made["codeInterpreterId"], self._attributes(made["codeInterpreterId"])
        except ClientError as error:
            raise ValueError(str(error)) from error

    def update(
        self,
        physical_id: str,
        before: dict[str, Any],
        after: dict[str, Any],
        stack_name: str,  # noqa: ARG002 - the interface
    ) -> tuple[str, dict[str, str]]:
        """TagResource and UntagResource: only tags of an interpreter can be changed."""
        had, has = before.get("Tags", {}), after.get("Tags", {})
        gone = [key for key in had if key not in has]
        try:
            attributes = self._attributes(physical_id)
            arn = attributes["CodeInterpreterArn"]
            if gone:
                self._control.untag_resource(resourceArn=arn, tagKeys=gone)
            if has:
                self._control.tag_resource(resourceArn=arn, tags=has)
        except ClientError as error:
            raise ValueError(str(error)) from error
        return physical_id, attributes

    def _attributes(self, identifier: str) -> dict[str, str]:
        interpreter = self._control.get_code_interpreter(codeInterpreterId=identifier)
        return {
            "CodeInterpreterId": identifier,
            "CodeInterpreterArn": interpreter["codeInterpreterArn"],
            "Status": interpreter["status"],
            "CreatedAt": interpreter["createdAt"].isoformat(),
            "LastUpdatedAt": interpreter["lastUpdatedAt"].isoformat(),
        }

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:  # noqa: ARG002 - the interface
        """DeleteCodeInterpreter; one that is gone is deleted."""
        try:
            self._control.delete_code_interpreter(codeInterpreterId=physical_id)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise ValueError(str(error)) from error


def _require_assumable(role: str, name: str) -> None:
    """What AgentCore asks of IAM for everybody else: here it would wait for this very thread."""
    interpreter = f"arn:aws:bedrock-agentcore:{roles.REGION}:{roles.ACCOUNT}:code-interpreter-custom/{name}-0000000000"
    try:
        roles.assume(SERVICE_PRINCIPAL, role, interpreter)
    except roles.RoleError as error:
        raise ValueError(f"CodeInterpreter role validation failed: {error}") from error


def _vpc(network: dict[str, Any]) -> dict[str, Any]:
    vpc = network.get("VpcConfig")
    return {"vpcConfig": {"subnets": vpc["Subnets"], "securityGroups": vpc["SecurityGroups"]}} if vpc else {}


def _certificates(properties: dict[str, Any]) -> list[dict[str, Any]]:
    locations = [each["CertificateLocation"] for each in properties.get("Certificates", [])]
    return [{"location": {"secretsManager": {"secretArn": each["SecretArn"]}}} for each in locations]
