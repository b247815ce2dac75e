"""A CloudFormation template as people speak of it: its resources by what they are for, its values without intrinsics.

What a hash in a name makes different counts as the same, so that two templates differ only where somebody meant it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sandpiper.errors import CliError
from sandpiper_contract.aws import SESSION_STOPPER_TYPE, dns_suffix_of, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
ROLE = "AWS::IAM::Role"
FUNCTION = "AWS::Lambda::Function"
WORKFLOW = "AWS::StepFunctions::StateMachine"
BUCKET = "AWS::S3::Bucket"
KEY = "AWS::KMS::Key"
LOG_GROUP = "AWS::Logs::LogGroup"

NOUNS = {
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::EC2::SecurityGroup": "security group",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::VPCEndpoint": "VPC endpoint",
    "AWS::IAM::Policy": "policy",
    "AWS::Lambda::EventInvokeConfig": "retries of function",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SSM::Parameter": "parameter",
    SESSION_STOPPER_TYPE: "entry of the session stopper",
    BUCKET: "bucket",
    FUNCTION: "function",
    INTERPRETER: "interpreter",
    KEY: "key",
    LOG_GROUP: "log group",
    ROLE: "role",
    WORKFLOW: "workflow",
}
"""What people call a type; any other by the last part of its name."""
USERS_OF_ROLES = {INTERPRETER: "ExecutionRoleArn", FUNCTION: "Role", WORKFLOW: "RoleArn"}
"""Where a resource says whom it acts as."""
CDK_HASH = re.compile(r"[0-9A-F]{8}$")
NAME_HASH = re.compile(r"_[0-9a-f]{8}$")
"""The end of an interpreter's name: a hash of all that can be set at creation only."""
SUB = re.compile(r"\$\{(!?)([^}]*)\}")


@dataclass(frozen=True)
class Place:
    """The account and region of a stack."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """By the region's name."""
        return partition_of(self.region)

    @property
    def url_suffix(self) -> str:
        """Of the partition."""
        return dns_suffix_of(self.partition)


@dataclass(frozen=True)
class Resource:
    """One resource; its properties, and what it has beside them, are as they stand in the template."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any]
    deletion: str
    replacement: str

    @property
    def noun(self) -> str:
        """What people call its type."""
        return NOUNS.get(self.type, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.type.rpartition("::")[2]).lower())


@dataclass(frozen=True)
class Template:
    """A template of one stack, at its place."""

    stack: str
    content: Mapping[str, Any]
    place: Place

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """By logical id."""
        return {
            logical_id: Resource(
                logical_id=logical_id,
                type=str(one["Type"]),
                properties=one.get("Properties", {}),
                attributes={name: value for name, value in one.items() if name not in ("Type", "Properties")},
                # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
                deletion=one.get("DeletionPolicy", "Delete"),
                replacement=one.get("UpdateReplacePolicy", "Delete"),
            )
            for logical_id, one in cast("dict[str, dict[str, Any]]", self.content.get("Resources", {})).items()
        }

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Resources of a type, by logical id."""
        return {logical_id: one for logical_id, one in self.resources.items() if one.type == kind}

    @cached_property
    def interpreters(self) -> dict[str, Resource]:
        """Interpreters by the key that requests use; one that the stack's output does not name, by its logical id."""
        keys = self._interpreter_keys
        return {keys.get(logical_id, _bare(logical_id)): one for logical_id, one in self.of_type(INTERPRETER).items()}

    @property
    def default_interpreter(self) -> str | None:
        """The key of the one that requests without a key get; None of a stack without."""
        return next(iter(self._interpreter_keys.values()), None)

    @cached_property
    def labels(self) -> dict[str, str]:
        """What people call each resource, by logical id; no two have the same."""
        found = {logical_id: f"{one.noun} {_bare(logical_id)}" for logical_id, one in self.resources.items()}
        found |= {one.logical_id: f"interpreter {key}" for key, one in self.interpreters.items()}
        for logical_id, one in self.of_type(BUCKET).items():
            if isinstance(name := one.properties.get("BucketName"), str):
                found[logical_id] = f"bucket {name}"
        for kind, member in USERS_OF_ROLES.items():
            for logical_id, one in self.of_type(kind).items():
                role = referenced(one.properties.get(member))
                if role in self.resources:
                    found[role] = (
                        f"execution {_role_of(found[logical_id])}"
                        if kind == INTERPRETER
                        else _role_of(found[logical_id])
                    )
        often = Counter(found.values())
        return {
            logical_id: label if often[label] == 1 else f"{label} ({logical_id})" for logical_id, label in found.items()
        }

    def plain_properties(self, resource: Resource) -> dict[str, Any]:
        """Its properties in plain values."""
        return self.plain(resource.properties)

    def plain_attributes(self, resource: Resource) -> dict[str, Any]:
        """What it has beside properties, in plain values; whom it waits for by what people call them."""
        found = self.plain(resource.attributes)
        if waits := found.get("DependsOn"):
            names = cast("list[str]", [waits] if isinstance(waits, str) else waits)
            found["DependsOn"] = sorted(self.labels.get(name, name) for name in names)
        return found

    def plain(self, value: object) -> Any:
        """A value of the template with text in place of intrinsic functions, and without the hashes of names."""
        if isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            if len(mapping) == 1:
                ((name, argument),) = mapping.items()
                if name == "Ref" or name.startswith("Fn::"):
                    return self._intrinsic(name, argument)
            return {name: self.plain(one) for name, one in mapping.items() if one != {"Ref": "AWS::NoValue"}}
        if isinstance(value, list):
            return [self.plain(one) for one in cast("list[object]", value) if one != {"Ref": "AWS::NoValue"}]
        return self._without_hashes(value) if isinstance(value, str) else value

    def _intrinsic(self, name: str, argument: Any) -> str:
        known: dict[str, Callable[[Any], str]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": lambda given: str(given[0]).join(str(self.plain(one)) for one in given[1]),
            "Fn::Sub": self._sub,
        }
        if name in known:
            return known[name](argument)
        return f"<{name.removeprefix('Fn::')} {json.dumps(self.plain(argument), sort_keys=True)}>"

    def _ref(self, name: str) -> str:
        pseudo = {
            "AWS::AccountId": self.place.account,
            "AWS::Partition": self.place.partition,
            "AWS::Region": self.place.region,
            "AWS::StackName": self.stack,
            "AWS::URLSuffix": self.place.url_suffix,
        }
        if name in pseudo:
            return pseudo[name]
        parameter = self.content.get("Parameters", {}).get(name)
        if parameter is not None:
            return f"<SSM parameter {parameter.get('Default', name)}>"
        return self._names_of_buckets.get(name, f"<{self.labels.get(name, name)}>")

    def _get_att(self, argument: str | list[str]) -> str:
        logical_id, _, attribute = (
            argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
        )
        if attribute == "Arn" and logical_id in self._names_of_buckets:
            return f"arn:{self.place.partition}:s3:::{self._names_of_buckets[logical_id]}"
        attribute = "ARN" if attribute.endswith("Arn") else attribute
        return f"<{attribute} of {self.labels.get(logical_id, logical_id)}>"

    def _sub(self, argument: Any) -> str:
        text: str = argument if isinstance(argument, str) else argument[0]
        given: dict[str, object] = {} if isinstance(argument, str) else argument[1]

        def value(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in given:
                return str(self.plain(given[name]))
            return self._get_att(name) if "." in name else self._ref(name)

        return SUB.sub(value, text)

    @cached_property
    def _interpreter_keys(self) -> dict[str, str]:
        """Keys by logical id, from the output that is JSON once its references are text."""
        output = self.content.get("Outputs", {}).get("Interpreters", {}).get("Value")
        parts: list[Any] = [output]
        if isinstance(output, dict):
            parts = cast("dict[str, Any]", output).get("Fn::Join", ["", []])[1]
        text = "".join(part if isinstance(part, str) else referenced(part) for part in parts)
        try:
            return {logical_id: key for key, logical_id in json.loads(text).items()}
        except (ValueError, AttributeError):
            return {}

    @cached_property
    def _hashed_names(self) -> dict[str, str]:
        names = [one.properties.get("Name") for one in self.of_type(INTERPRETER).values()]
        return {name: NAME_HASH.sub("_HASH", name) for name in names if isinstance(name, str)}

    @cached_property
    def _names_of_buckets(self) -> dict[str, str]:
        names = {logical_id: one.properties.get("BucketName") for logical_id, one in self.of_type(BUCKET).items()}
        return {logical_id: name for logical_id, name in names.items() if isinstance(name, str)}

    def _without_hashes(self, text: str) -> str:
        for name, bare in self._hashed_names.items():
            text = text.replace(name, bare)
        return text


def is_known(plain: str) -> bool:
    """Whether a plain value is what was deployed, with no part that only a deployment knows."""
    return "<" not in plain


def referenced(value: object) -> str:
    """The logical id that a Ref or GetAtt names; "" for anything else."""
    if not isinstance(value, dict):
        return ""
    mapping = cast("dict[str, Any]", value)
    found = mapping.get("Ref") or mapping.get("Fn::GetAtt", "")
    return str(cast("list[Any]", found)[0]) if isinstance(found, list) else str(found).partition(".")[0]


def read(stack: str, text: str, place: Place) -> Template:
    """A template from its JSON. Raises CliError for what is none."""
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(cast("dict[str, Any]", content).get("Resources"), dict):
            raise ValueError("no Resources")
    except ValueError as error:
        raise CliError(f"the template of {stack} is not one in JSON ({error}): deploy it by the CDK CLI") from None
    return Template(stack, cast("dict[str, Any]", content), place)


def _bare(logical_id: str) -> str:
    """A logical id without the hash that the CDK appends, and without its word for a main resource."""
    return CDK_HASH.sub("", logical_id).removesuffix("Resource") or logical_id


def _role_of(label: str) -> str:
    return f"role of {label}"
