"""Invents names for resources whose names CloudFormation generates, in the form in which it generates them.

An invented name has the length and the prefix of a generated one, so that patterns such as `role/app-*` and
`NAME-??????????` match it as they match the real name. Each contains a token that identifies its resource.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

TOKEN = re.compile(r"z[a-z2-7]{9}(?![a-z2-7])", re.IGNORECASE)
"""The token in an invented name: ten letters and digits."""


@dataclass(frozen=True)
class Identifiers:
    """How the identifiers of a type of resource are formed.

    Attributes:
        name: The property with the name.
        arn: The format of the ARN; empty for a type without one. Fields: p partition, r region, a account, n name.
        generated: The format of a generated name. Fields: stack, id, token.
        ref: The format of what `Ref` returns.
        attributes: Formats of attributes other than `Arn`.
        lower: Whether generated names are in lower case.
    """

    name: str = ""
    arn: str = ""
    generated: str = "{stack}-{id}-{token}"
    ref: str = "{n}"
    attributes: tuple[tuple[str, str], ...] = ()
    lower: bool = False


_STATES = "arn:{p}:states:{r}:{a}:stateMachine:{n}"
_TOPIC = "arn:{p}:sns:{r}:{a}:{n}"
_SECRET = "arn:{p}:secretsmanager:{r}:{a}:secret:{n}-??????"  # noqa: S105 - the form of an ARN
_AGENTCORE = "arn:{p}:bedrock-agentcore:{r}:{a}:"
IDENTIFIERS = {
    "AWS::BedrockAgentCore::CodeInterpreterCustom": Identifiers(
        name="Name",
        arn=_AGENTCORE + "code-interpreter-custom/{n}",
        generated="{name}-{token}",
        attributes=(("CodeInterpreterArn", _AGENTCORE + "code-interpreter-custom/{n}"), ("CodeInterpreterId", "{n}")),
    ),
    "AWS::BedrockAgentCore::Runtime": Identifiers(
        name="AgentRuntimeName",
        arn=_AGENTCORE + "runtime/{n}",
        generated="{name}-{token}",
        attributes=(("AgentRuntimeArn", _AGENTCORE + "runtime/{n}"), ("AgentRuntimeId", "{n}")),
    ),
    "AWS::CloudTrail::Trail": Identifiers("TrailName", "arn:{p}:cloudtrail:{r}:{a}:trail/{n}"),
    "AWS::DynamoDB::Table": Identifiers("TableName", "arn:{p}:dynamodb:{r}:{a}:table/{n}"),
    "AWS::EC2::InternetGateway": Identifiers(generated="igw-{token}", attributes=(("InternetGatewayId", "{n}"),)),
    "AWS::EC2::NatGateway": Identifiers(generated="nat-{token}", attributes=(("NatGatewayId", "{n}"),)),
    "AWS::EC2::NetworkAcl": Identifiers(generated="acl-{token}"),
    "AWS::EC2::RouteTable": Identifiers(generated="rtb-{token}", attributes=(("RouteTableId", "{n}"),)),
    "AWS::EC2::SecurityGroup": Identifiers(generated="sg-{token}", attributes=(("GroupId", "{n}"),)),
    "AWS::EC2::Subnet": Identifiers(generated="subnet-{token}", attributes=(("SubnetId", "{n}"),)),
    "AWS::EC2::VPC": Identifiers(generated="vpc-{token}", attributes=(("VpcId", "{n}"),)),
    "AWS::EC2::VPCEndpoint": Identifiers(generated="vpce-{token}", attributes=(("Id", "{n}"),)),
    "AWS::Events::EventBus": Identifiers("Name", "arn:{p}:events:{r}:{a}:event-bus/{n}"),
    "AWS::Events::Rule": Identifiers("Name", "arn:{p}:events:{r}:{a}:rule/{n}"),
    "AWS::IAM::Group": Identifiers("GroupName", "arn:{p}:iam::{a}:group{path}{n}"),
    "AWS::IAM::InstanceProfile": Identifiers("InstanceProfileName", "arn:{p}:iam::{a}:instance-profile{path}{n}"),
    "AWS::IAM::ManagedPolicy": Identifiers(
        "ManagedPolicyName",
        "arn:{p}:iam::{a}:policy{path}{n}",
        ref="arn:{p}:iam::{a}:policy{path}{n}",
        attributes=(("PolicyArn", "arn:{p}:iam::{a}:policy{path}{n}"),),
    ),
    "AWS::IAM::Role": Identifiers("RoleName", "arn:{p}:iam::{a}:role{path}{n}"),
    "AWS::IAM::User": Identifiers("UserName", "arn:{p}:iam::{a}:user{path}{n}"),
    "AWS::KMS::Key": Identifiers(
        arn="arn:{p}:kms:{r}:{a}:key/{n}", generated="{token}", attributes=(("KeyId", "{n}"),)
    ),
    "AWS::KMS::ReplicaKey": Identifiers(
        arn="arn:{p}:kms:{r}:{a}:key/{n}", generated="{token}", attributes=(("KeyId", "{n}"),)
    ),
    "AWS::Lambda::Function": Identifiers("FunctionName", "arn:{p}:lambda:{r}:{a}:function:{n}"),
    "AWS::Logs::LogGroup": Identifiers("LogGroupName", "arn:{p}:logs:{r}:{a}:log-group:{n}:*"),
    "AWS::S3::Bucket": Identifiers("BucketName", "arn:{p}:s3:::{n}", lower=True),
    "AWS::SNS::Topic": Identifiers(
        "TopicName", _TOPIC, ref=_TOPIC, attributes=(("TopicArn", _TOPIC), ("TopicName", "{n}"))
    ),
    "AWS::SQS::Queue": Identifiers(
        "QueueName",
        "arn:{p}:sqs:{r}:{a}:{n}",
        ref="https://sqs.{r}.amazonaws.com/{a}/{n}",
        attributes=(("QueueName", "{n}"), ("QueueUrl", "https://sqs.{r}.amazonaws.com/{a}/{n}")),
    ),
    "AWS::SSM::Parameter": Identifiers("Name", "arn:{p}:ssm:{r}:{a}:parameter/{n}"),
    "AWS::SecretsManager::Secret": Identifiers("Name", _SECRET, ref=_SECRET, attributes=(("Id", _SECRET),)),
    "AWS::StepFunctions::StateMachine": Identifiers(
        "StateMachineName", _STATES, generated="{id}-{token}", ref=_STATES, attributes=(("Name", "{n}"),)
    ),
}
"""By type. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
has the return values of each type."""


@dataclass(frozen=True)
class Names:
    """The identifiers of one resource.

    Attributes:
        ref: What `Ref` returns.
        arn: The ARN; empty for a type without one.
        attributes: What `Fn::GetAtt` returns, by attribute.
        invented: The invented name, or the generated name of a deployed resource; empty for a resource with a name in
            the template.
        token: The token in an invented name; for a deployed resource, its generated name.
    """

    ref: str
    arn: str
    attributes: dict[str, str]
    invented: str
    token: str


def token_of(address: str) -> str:
    """Returns the token of a resource: `z` and nine letters or digits, the same in every run.

    Example:
        >>> token_of("app/Role") == token_of("app/Role"), len(token_of("app/Role"))
        (True, 10)
    """
    return "z" + base64.b32encode(hashlib.sha256(address.encode()).digest()).decode().lower()[:9]


def _name_in(physical_id: str) -> str:
    """Returns the name in a physical ID, which is a name, an ARN, or the URL of a queue."""
    return re.split("[:/]", physical_id)[-1] if physical_id.startswith(("arn:", "https://")) else physical_id


def names_of(
    type_: str,
    address: str,
    given: str | None,
    *,
    target: tuple[str, str, str],
    path: str = "/",
    physical_id: str = "",
) -> Names | None:
    """Returns the identifiers of a resource, or None for a type that is not in the table.

    Args:
        type_: The CloudFormation type.
        address: `STACK/LOGICAL_ID`.
        given: The name in the template, if any.
        target: Partition, region and account.
        path: The path of an IAM resource.
        physical_id: The physical ID of a deployed resource, whose name is not invented.
    """
    identifiers = IDENTIFIERS.get(type_)
    if identifiers is None:
        return None
    stack, _, logical_id = address.rpartition("/")
    token = token_of(address)
    always_generated = "{name}" in identifiers.generated  # the name is only the beginning of the identifier
    name, invented = given or "", ""
    if always_generated or not given:
        name = identifiers.generated.format(stack=stack, id=logical_id, token=token, name=given or logical_id)
        name = invented = name.lower() if identifiers.lower else name
    if physical_id:
        name = _name_in(physical_id)
        token, invented = (name, name) if invented else (token, "")
    partition, region, account = target
    if type_ == "AWS::SSM::Parameter":
        name = name.removeprefix("/")  # its ARN has one slash; Ref returns the name with it
    fields = {"p": partition, "r": region, "a": account, "n": name, "path": path}
    arn = identifiers.arn.format(**fields).replace("-??????", f"-{token[:6]}")
    attributes = {
        key: form.format(**fields).replace("-??????", f"-{token[:6]}") for key, form in identifiers.attributes
    }
    if arn:
        attributes.setdefault("Arn", arn)
    ref = identifiers.ref.format(**fields).replace("-??????", f"-{token[:6]}")
    if type_ == "AWS::SSM::Parameter" and given:
        ref = given
    return Names(ref, arn, attributes, invented, token if invented else "")
