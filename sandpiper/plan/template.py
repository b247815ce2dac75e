"""CloudFormation templates: resources with readable labels, and values with text in place of intrinsic functions.

Hashes in names are replaced, so that two templates differ only in their configuration.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from sandpiper.errors import CliError
from sandpiper.plan.resource_types import BUCKET, INTERPRETER, ROLE_PROPERTIES, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandpiper.plan.target import DeploymentTarget

CDK_HASH = re.compile(r"[0-9A-F]{8}$")
NAME_HASH = re.compile(r"_[0-9a-f]{8}$")
"""The end of an interpreter's name: a hash of its create-only properties."""
SUB_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
NO_VALUE = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Resource:
    """One resource of a template. Properties and attributes are unresolved.

    Attributes:
        attributes: everything except type and properties, such as `DependsOn`.
        deletion_policy: the DeletionPolicy, `Delete` by default.
        replace_policy: the UpdateReplacePolicy, `Delete` by default.
    """

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any]
    deletion_policy: str
    replace_policy: str

    @property
    def type_name(self) -> str:
        """The name of the type in reports."""
        return type_name(self.type)


@dataclass(frozen=True)
class Template:
    """The template of one stack, deployed to one target."""

    stack: str
    content: Mapping[str, Any]
    target: DeploymentTarget

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """The resources by logical ID."""
        return {
            logical_id: Resource(
                logical_id=logical_id,
                type=str(resource["Type"]),
                properties=resource.get("Properties", {}),
                attributes={name: value for name, value in resource.items() if name not in ("Type", "Properties")},
                # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
                deletion_policy=resource.get("DeletionPolicy", "Delete"),
                replace_policy=resource.get("UpdateReplacePolicy", "Delete"),
            )
            for logical_id, resource in cast("dict[str, dict[str, Any]]", self.content.get("Resources", {})).items()
        }

    def of_type(self, resource_type: str) -> dict[str, Resource]:
        """Returns the resources of a type by logical ID."""
        return {logical_id: one for logical_id, one in self.resources.items() if one.type == resource_type}

    @cached_property
    def interpreters(self) -> dict[str, Resource]:
        """The interpreters by the key in requests; by logical ID when the stack's output does not list them."""
        keys = self._interpreter_keys
        return {
            keys.get(logical_id, _short_id(logical_id)): one for logical_id, one in self.of_type(INTERPRETER).items()
        }

    @property
    def default_interpreter(self) -> str | None:
        """The key of the interpreter for requests without a key; None for a stack without interpreters."""
        return next(iter(self._interpreter_keys.values()), None)

    @cached_property
    def labels(self) -> dict[str, str]:
        """A readable, unique label for each resource by logical ID, such as `execution role of interpreter sandbox`."""
        labels = {logical_id: f"{one.type_name} {_short_id(logical_id)}" for logical_id, one in self.resources.items()}
        labels |= {one.logical_id: f"interpreter {key}" for key, one in self.interpreters.items()}
        labels |= {logical_id: f"bucket {name}" for logical_id, name in self._bucket_names.items()}
        for resource_type, role_property in ROLE_PROPERTIES.items():
            for logical_id, one in self.of_type(resource_type).items():
                role = referenced_id(one.properties.get(role_property))
                if role in self.resources:
                    prefix = "execution role" if resource_type == INTERPRETER else "role"
                    labels[role] = f"{prefix} of {labels[logical_id]}"
        uses = Counter(labels.values())
        return {
            logical_id: label if uses[label] == 1 else f"{label} ({logical_id})" for logical_id, label in labels.items()
        }

    def resolve_properties(self, resource: Resource) -> dict[str, Any]:
        """Returns the properties of a resource without intrinsic functions."""
        return self.resolve(resource.properties)

    def resolve_attributes(self, resource: Resource) -> dict[str, Any]:
        """Returns the attributes of a resource without intrinsic functions; `DependsOn` lists labels."""
        attributes = self.resolve(resource.attributes)
        if depends_on := attributes.get("DependsOn"):
            names = cast("list[str]", [depends_on] if isinstance(depends_on, str) else depends_on)
            attributes["DependsOn"] = sorted(self.labels.get(name, name) for name in names)
        return attributes

    def resolve(self, value: object) -> Any:
        """Replaces intrinsic functions in a value by text, and the hashes of names by `_HASH`.

        The text of a value that is known only after a deployment contains `<…>`; see `is_resolved`.
        """
        if isinstance(value, dict):
            mapping = cast("dict[str, Any]", value)
            if len(mapping) == 1:
                ((name, argument),) = mapping.items()
                if name == "Ref" or name.startswith("Fn::"):
                    return self._intrinsic(name, argument)
            return {name: self.resolve(one) for name, one in mapping.items() if one != NO_VALUE}
        if isinstance(value, list):
            return [self.resolve(one) for one in cast("list[object]", value) if one != NO_VALUE]
        return self._without_hashes(value) if isinstance(value, str) else value

    def _intrinsic(self, name: str, argument: Any) -> str:
        functions: dict[str, Callable[[Any], str]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": self._join,
            "Fn::Sub": self._sub,
        }
        if name in functions:
            return functions[name](argument)
        return f"<{name.removeprefix('Fn::')} {json.dumps(self.resolve(argument), sort_keys=True)}>"

    def _ref(self, name: str) -> str:
        pseudo_parameters = {
            "AWS::AccountId": self.target.account,
            "AWS::Partition": self.target.partition,
            "AWS::Region": self.target.region,
            "AWS::StackName": self.stack,
            "AWS::URLSuffix": self.target.url_suffix,
        }
        if name in pseudo_parameters:
            return pseudo_parameters[name]
        parameter = self.content.get("Parameters", {}).get(name)
        if parameter is not None:
            return f"<SSM parameter {parameter.get('Default', name)}>"
        return self._bucket_names.get(name, f"<{self.labels.get(name, name)}>")

    def _get_att(self, argument: str | list[str]) -> str:
        logical_id, attribute = split_get_att(argument)
        if attribute == "Arn" and logical_id in self._bucket_names:
            return f"arn:{self.target.partition}:s3:::{self._bucket_names[logical_id]}"
        attribute = "ARN" if attribute.endswith("Arn") else attribute
        return f"<{attribute} of {self.labels.get(logical_id, logical_id)}>"

    def _join(self, argument: list[Any]) -> str:
        delimiter, parts = argument
        return str(delimiter).join(str(self.resolve(part)) for part in parts)

    def _sub(self, argument: Any) -> str:
        text: str = argument if isinstance(argument, str) else argument[0]
        variables: dict[str, object] = {} if isinstance(argument, str) else argument[1]

        def replacement(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return str(self.resolve(variables[name]))
            return self._get_att(name) if "." in name else self._ref(name)

        return SUB_VARIABLE.sub(replacement, text)

    @cached_property
    def _interpreter_keys(self) -> dict[str, str]:
        """Keys by logical ID, from the output `Interpreters`, which is JSON once references are replaced by IDs."""
        output = self.content.get("Outputs", {}).get("Interpreters", {}).get("Value")
        parts: list[Any] = [output]
        if isinstance(output, dict):
            parts = cast("dict[str, Any]", output).get("Fn::Join", ["", []])[1]
        text = "".join(part if isinstance(part, str) else referenced_id(part) for part in parts)
        try:
            return {logical_id: key for key, logical_id in json.loads(text).items()}
        except (ValueError, AttributeError):
            return {}

    @cached_property
    def _hashed_names(self) -> dict[str, str]:
        names = [one.properties.get("Name") for one in self.of_type(INTERPRETER).values()]
        return {name: NAME_HASH.sub("_HASH", name) for name in names if isinstance(name, str)}

    @cached_property
    def _bucket_names(self) -> dict[str, str]:
        names = {logical_id: one.properties.get("BucketName") for logical_id, one in self.of_type(BUCKET).items()}
        return {logical_id: name for logical_id, name in names.items() if isinstance(name, str)}

    def _without_hashes(self, text: str) -> str:
        for name, replacement in self._hashed_names.items():
            text = text.replace(name, replacement)
        return text


def parse_template(stack: str, text: str, target: DeploymentTarget) -> Template:
    """Parses the JSON of a template.

    Raises:
        CliError: The text is not a JSON template.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(cast("dict[str, Any]", content).get("Resources"), dict):
            raise ValueError("no Resources")
    except ValueError as error:
        raise CliError(
            f"the template of stack {stack} is not a JSON template ({error}): deploy the stack with the CDK CLI"
        ) from None
    return Template(stack, cast("dict[str, Any]", content), target)


def is_resolved(text: str) -> bool:
    """Returns whether every part of a resolved value is known before a deployment."""
    return "<" not in text


def referenced_id(value: object) -> str:
    """Returns the logical ID in a `Ref` or `Fn::GetAtt`; "" for any other value."""
    if not isinstance(value, dict):
        return ""
    mapping = cast("dict[str, Any]", value)
    return str(mapping["Ref"]) if "Ref" in mapping else split_get_att(mapping.get("Fn::GetAtt", ""))[0]


def split_get_att(argument: str | list[str]) -> tuple[str, str]:
    """Returns the logical ID and the attribute of a `Fn::GetAtt`, which is a list or `ID.ATTRIBUTE`."""
    logical_id, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
    return logical_id, attribute


def _short_id(logical_id: str) -> str:
    """Returns a logical ID without the hash that the CDK appends, and without its suffix for a main resource."""
    return CDK_HASH.sub("", logical_id).removesuffix("Resource") or logical_id
