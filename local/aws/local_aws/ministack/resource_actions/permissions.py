"""Determines the permissions that CloudFormation needs for a resource from the table of actions."""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from local_aws.ministack.resource_actions.table import COVERED_BY_CREATE, ResourceActions, actions_for
from local_aws.ministack.stub_resources import property_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Properties = Mapping[str, Any]
    ConditionKeys = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Permission:
    """A required permission.

    Attributes:
        action: The action, `service:Name`.
        resource: ARN of the resource, or `*`.
        condition_keys: Values of condition keys.
    """

    action: str
    resource: str
    condition_keys: ConditionKeys = field(default_factory=dict[str, "str | list[str]"])


def create_permissions(
    resource_type: str, name: str, properties: Properties, location: Mapping[str, str]
) -> list[Permission]:
    """Returns the permissions that creating a resource needs.

    Args:
        resource_type: `AWS::SERVICE::TYPE`.
        name: Name of the resource.
        properties: Its properties, resolved.
        location: `account` and `region`.
    """
    actions, properties = actions_for(resource_type), _without_aws_tags(properties)
    condition_keys = _request_tag_keys(properties.get("Tags"))
    if boundary := properties.get("PermissionsBoundary"):
        condition_keys["iam:PermissionsBoundary"] = str(boundary)
    property_actions = [
        action
        for name, action in actions.property_actions.items()
        if name in properties and action not in COVERED_BY_CREATE
    ]
    create_on = _arns(actions.create_arn or actions.arn, name, properties, location)
    parents = [
        arn
        for property_name, template in actions.parent_arns.items()
        if property_name in properties
        for arn in _arns(template, name, properties, location)
    ]
    if actions.tag_arn:
        set_on = _arns(actions.tag_arn, name, properties, location)
    elif actions.create_arn == "*":  # the ARN is generated: the property actions must be allowed for every name
        set_on = _arns(actions.arn, "*", properties, location)
    else:
        set_on = create_on
    return [
        *(Permission(action, arn, condition_keys) for action in actions.create for arn in create_on),
        *(Permission(action, arn) for action in actions.create for arn in parents),
        *(
            Permission(action, arn, _property_condition_keys(action, actions, properties, condition_keys))
            for action in property_actions
            for arn in set_on
        ),
        *_pass_role_permissions(actions, properties, properties),
        *_key_permissions(actions, name, properties, location),
    ]


def update_permissions(
    resource_type: str, name: str, before: Properties, after: Properties, location: Mapping[str, str]
) -> list[Permission]:
    """Returns the permissions that changing a resource needs: those of the properties that differ.

    A change that replaces the resource needs the permissions to create the new one and to delete the old one.
    """
    actions, before, after = actions_for(resource_type), _without_aws_tags(before), _without_aws_tags(after)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    without_own_action = [key for key in changed if key not in actions.property_actions]
    renamed = actions.name_in(before) != actions.name_in(after)
    if renamed or (without_own_action and not actions.update):
        new_name = actions.name_in(after) or name
        return [
            *create_permissions(resource_type, new_name, after, location),
            *delete_permissions(resource_type, name, before, location),
        ]
    needed = [
        *(actions.property_actions[key] for key in changed if key not in without_own_action),
        *(actions.update if without_own_action else ()),
    ]
    condition_keys = _resource_keys(before)
    if "Tags" in changed:
        condition_keys |= _request_tag_keys(after.get("Tags"))
    if boundary := after.get("PermissionsBoundary"):
        condition_keys["iam:PermissionsBoundary"] = str(boundary)
    return [
        *(
            Permission(action, arn, condition_keys)
            for action in needed
            for arn in _arns(actions.arn, name, after, location)
        ),
        *_pass_role_permissions(actions, after, changed),
        *(_key_permissions(actions, name, after, location) if without_own_action else ()),
    ]


def delete_permissions(
    resource_type: str, name: str, properties: Properties, location: Mapping[str, str]
) -> list[Permission]:
    """Returns the permissions that deleting a resource needs."""
    actions, properties = actions_for(resource_type), _without_aws_tags(properties)
    first = [action for name, action in actions.property_delete_actions.items() if properties.get(name)]
    condition_keys = _resource_keys(properties)
    return [
        Permission(action, arn, condition_keys)
        for action in (*first, *actions.delete)
        for arn in _arns(actions.arn, name, properties, location)
    ]


def _without_aws_tags(properties: Properties) -> Properties:
    """Returns the properties without the tags that CloudFormation adds: they need no permission."""
    tags = properties.get("Tags")
    if isinstance(tags, list):
        own: Any = [tag for tag in cast("list[Mapping[str, Any]]", tags) if not tag["Key"].startswith("aws:")]
    else:
        by_name = cast("Mapping[str, Any]", tags or {})
        own = {name: value for name, value in by_name.items() if not name.startswith("aws:")}
    others = {name: value for name, value in properties.items() if name != "Tags"}
    return others | {"Tags": own} if own else others


def _pass_role_permissions(actions: ResourceActions, properties: Properties, names: Iterable[str]) -> list[Permission]:
    """Returns the permissions to pass the roles in the named properties."""
    return [
        Permission("iam:PassRole", role, {"iam:PassedToService": actions.passed_roles[name]})
        for name in names
        if name in actions.passed_roles
        for role in _roles(properties.get(name))
    ]


def _key_permissions(
    actions: ResourceActions, name: str, properties: Properties, location: Mapping[str, str]
) -> list[Permission]:
    """Returns the permissions with which a service uses the KMS key of a resource on behalf of the principal."""
    use = actions.key_use
    key = property_at(properties, use.property) if use else None
    if use is None or key is None:
        return []
    via = {"kms:ViaService": f"{use.service}.{location['region']}.amazonaws.com"}
    (arn,) = _arns(actions.arn, name, properties, location)
    grant = Permission("kms:CreateGrant", key, {**via, "kms:GrantIsForAWSResource": "true"})
    return [
        *(Permission(action, key, {**via, f"kms:EncryptionContext:{use.context}": arn}) for action in use.actions),
        *((grant,) if use.creates_grant else ()),
    ]


def _roles(value: Any) -> list[str]:
    """Returns the roles in a property: the value itself, or the `RoleArn` of its items."""
    if isinstance(value, str):
        return [value]
    items = cast("Sequence[Mapping[str, Any]]", value or ())
    return [str(item["RoleArn"]) for item in items if "RoleArn" in item]


def _property_condition_keys(
    action: str, actions: ResourceActions, properties: Properties, request_keys: ConditionKeys
) -> ConditionKeys:
    """Returns the condition keys of a call that sets a property of a new resource.

    The call that sets tags has the tags as request keys; EC2 adds the action that creates the resource. Other calls
    are made later and have the tags of the resource.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    if action != actions.property_actions.get("Tags"):
        return _resource_keys(properties)
    if action != "ec2:CreateTags":
        return request_keys
    return {**request_keys, "ec2:CreateAction": actions.create[0].partition(":")[2]}


def _resource_keys(properties: Properties) -> dict[str, str | list[str]]:
    """Returns the condition keys of an existing resource: its tags and permissions boundary."""
    keys = {
        name.replace("RequestTag", "ResourceTag"): value
        for name, value in _request_tag_keys(properties.get("Tags")).items()
        if name != "aws:TagKeys"
    }
    if boundary := properties.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = str(boundary)
    return keys


def _request_tag_keys(tags: Any) -> dict[str, str | list[str]]:
    """Returns the condition keys of tags in a request. `tags` is a list of Key and Value, or a mapping."""
    if isinstance(tags, list):
        tags = {tag["Key"]: tag["Value"] for tag in cast("list[Mapping[str, Any]]", tags)}
    by_name = cast("Mapping[str, Any]", tags or {})
    keys: dict[str, str | list[str]] = {f"aws:RequestTag/{name}": str(value) for name, value in by_name.items()}
    return keys | {"aws:TagKeys": list(by_name)} if by_name else keys


def _arns(template: str, name: str, properties: Properties, location: Mapping[str, str]) -> list[str]:
    """Returns the ARNs of a template: one for each item of a property in it."""
    values: dict[str, Any] = {"Path": "/", **properties, **location, "name": name}
    arns = [template]
    for _, variable, _, _ in string.Formatter().parse(template):
        if variable:
            value = values.get(variable, "*")
            items = cast("list[Any]", value) if isinstance(value, list) else [value]
            arns = [_substitute(arn, variable, str(item)) for arn in arns for item in items]
    return arns


def _substitute(arn: str, variable: str, value: str) -> str:
    """Returns the ARN with a variable replaced.

    A value that is an ARN replaces the whole text. Of a queue URL, only the name at its end is used.
    """
    if value.startswith("arn:"):
        return value
    text = value.rpartition("/")[2] if value.startswith("http") else value
    return arn.replace(f"{{{variable}}}", text).replace("//", "/")
