"""`AWS::BedrockAgentCore::CodeInterpreterCustom`: CloudFormation creates interpreters with AgentCore's API.

`patches.cloudformation` checks the permissions of the stack's role first. The API call itself uses the token of the
authorizer and not the role: local-agentcore would request a decision from MiniStack, whose only thread is busy with
this call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.ministack.patches import iam_roles
from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest

SERVICE_PRINCIPAL = "bedrock-agentcore.amazonaws.com"


class CodeInterpreterCustom:
    """The handlers of the resource type. Its properties are the members of the API in CloudFormation's spelling.

    Args:
        token: The bearer token of the authorizer.
    """

    create_only: tuple[str, ...] = ("Name", "Description", "NetworkConfiguration", "Certificates", "ExecutionRoleArn")

    def __init__(self, token: str) -> None:
        unsigned = Config(signature_version=UNSIGNED)
        self._control: Any = botocore.session.get_session().create_client("bedrock-agentcore-control", config=unsigned)

        def set_token(request: AWSRequest, **_: object) -> None:
            request.headers["authorization"] = f"Bearer {token}"

        self._control.meta.events.register("before-send.bedrock-agentcore-control", set_token)

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:  # noqa: ARG002 - signature of ResourceType
        """Calls CreateCodeInterpreter. The event of the stack shows its error."""
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
            created = self._control.create_code_interpreter(**{name: value for name, value in request.items() if value})
            return created["codeInterpreterId"], self._attributes(created["codeInterpreterId"])
        except ClientError as error:
            raise ValueError(str(error)) from error

    def update(
        self,
        physical_id: str,
        before: dict[str, Any],
        after: dict[str, Any],
        stack_name: str,  # noqa: ARG002 - signature of ResourceType
    ) -> tuple[str, dict[str, str]]:
        """Calls TagResource and UntagResource. Tags are the only property that can change."""
        old_tags, new_tags = before.get("Tags", {}), after.get("Tags", {})
        removed = [key for key in old_tags if key not in new_tags]
        try:
            attributes = self._attributes(physical_id)
            arn = attributes["CodeInterpreterArn"]
            if removed:
                self._control.untag_resource(resourceArn=arn, tagKeys=removed)
            if new_tags:
                self._control.tag_resource(resourceArn=arn, tags=new_tags)
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

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:  # noqa: ARG002 - signature of ResourceType
        """Calls DeleteCodeInterpreter. Ignores an interpreter that does not exist."""
        try:
            self._control.delete_code_interpreter(codeInterpreterId=physical_id)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise ValueError(str(error)) from error


def _require_assumable(role: str, name: str) -> None:
    """Checks the trust policy here: MiniStack's only thread cannot respond to local-agentcore during this call."""
    interpreter = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/{name}-0000000000"
    try:
        iam_roles.assume_role(SERVICE_PRINCIPAL, role, interpreter)
    except iam_roles.AccessDeniedError as error:
        raise ValueError(f"CodeInterpreter role validation failed: {error}") from error


def _vpc(network: dict[str, Any]) -> dict[str, Any]:
    vpc = network.get("VpcConfig")
    return {"vpcConfig": {"subnets": vpc["Subnets"], "securityGroups": vpc["SecurityGroups"]}} if vpc else {}


def _certificates(properties: dict[str, Any]) -> list[dict[str, Any]]:
    locations = [each["CertificateLocation"] for each in properties.get("Certificates", [])]
    return [{"location": {"secretsManager": {"secretArn": each["SecretArn"]}}} for each in locations]
