"""The table of actions by resource type (`table.toml`), as typed values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.ministack.stub_resources import property_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class KeyUse:
    """The use of a KMS key by a service, with the permissions of the principal that creates or changes a resource.

    Attributes:
        property: Path of the property that holds the key, separated by dots.
        service: The service, as in `kms:ViaService`.
        actions: Actions on the key.
        context: Key of the encryption context, whose value is the ARN of the resource.
        creates_grant: Whether the service also creates a grant for itself.
    """

    property: str
    service: str
    actions: Sequence[str]
    context: str
    creates_grant: bool = False


@dataclass(frozen=True)
class ResourceActions:
    """The actions that CloudFormation needs for resources of a type.

    Attributes:
        arn: Template of the ARN, with `{name}` for the name or physical ID, and property names.
        create: Actions that create the resource.
        update: Actions that change a property without an entry in `property_actions`. Empty: a change replaces the
            resource.
        delete: Actions that delete the resource.
        name_property: Path of the property that holds the name, separated by dots. Empty: CloudFormation generates
            the name.
        create_arn: ARN on which `create` is evaluated when the ARN of the resource is not known before.
        tag_arn: ARN on which `property_actions` are evaluated at creation. Default: `create_arn`, or every name if that
            is `*`.
        parent_arns: ARNs of parent resources by the property that refers to them. `create` is also evaluated on these.
        property_actions: Actions that set a property, at creation and later.
        property_delete_actions: Additional actions for deletion when a property is set.
        passed_roles: The service that receives the role of a property, as `iam:PassedToService`.
        key_use: The use of a KMS key, or None.
        lower_case_name: Whether a generated name is in lower case.
        max_name_length: Maximum number of characters of a generated name.
    """

    arn: str
    create: Sequence[str] = ()
    update: Sequence[str] = ()
    delete: Sequence[str] = ()
    name_property: str = ""
    create_arn: str = ""
    tag_arn: str = ""
    parent_arns: Mapping[str, str] = field(default_factory=dict[str, str])
    property_actions: Mapping[str, str] = field(default_factory=dict[str, str])
    property_delete_actions: Mapping[str, str] = field(default_factory=dict[str, str])
    passed_roles: Mapping[str, str] = field(default_factory=dict[str, str])
    key_use: KeyUse | None = None
    lower_case_name: bool = False
    max_name_length: int = 64

    def name_in(self, properties: Mapping[str, Any]) -> str | None:
        """Returns the name in the properties of a template, or None."""
        return property_at(properties, self.name_property)


_TABLE = tomllib.loads(Path(__file__).with_name("table.toml").read_text())
_ACTION_PREFIXES: Mapping[str, str] = _TABLE["action_prefixes"]
_CUSTOM_RESOURCE = ResourceActions(
    "{ServiceToken}",
    create=["lambda:InvokeFunction"],
    update=["lambda:InvokeFunction"],
    delete=["lambda:InvokeFunction"],
)
_NO_ACTIONS = ResourceActions("*")
"""For types of CloudFormation and the CDK themselves, which call no service."""

COVERED_BY_CREATE: frozenset[str] = frozenset(_TABLE["covered_by_create"])
RESOURCE_ACTIONS: Mapping[str, ResourceActions] = {
    name: ResourceActions(**entry | ({"key_use": KeyUse(**entry["key_use"])} if "key_use" in entry else {}))
    for name, entry in _TABLE.items()
    if "::" in name
}


def actions_for(resource_type: str) -> ResourceActions:
    """Returns the actions of a resource type. A type that is not in the table needs every action of its service."""
    if known := RESOURCE_ACTIONS.get(resource_type):
        return known
    vendor, _, rest = resource_type.partition("::")
    if vendor == "Custom" or resource_type == "AWS::CloudFormation::CustomResource":
        return _CUSTOM_RESOURCE
    service = rest.partition("::")[0]
    if service in ("CDK", "CloudFormation"):
        return _NO_ACTIONS
    every_action = [f"{_ACTION_PREFIXES.get(service, service.lower())}:*"]
    return ResourceActions("*", create=every_action, update=every_action, delete=every_action)
