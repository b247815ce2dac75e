"""Resource types that MiniStack's CloudFormation lacks."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ministack.services import cloudcontrol
from ministack.services.cloudformation import provisioners

from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from local_aws.ministack.stub_resources import StubResource

MINISTACK_VERSION = "1.5.33"


class ResourceType(Protocol):
    """The handlers of a resource type.

    Attributes:
        create_only: Properties whose change replaces the resource.
    """

    create_only: tuple[str, ...]

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Creates the resource.

        Returns:
            The physical ID and the attributes.

        Raises:
            ValueError: The creation failed. The event of the stack shows the message.
        """
        ...

    def update(
        self, physical_id: str, before: dict[str, Any], after: dict[str, Any], stack_name: str
    ) -> tuple[str, dict[str, str]]:
        """Changes the resource in place. Returns and raises the same as `create`."""
        ...

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Deletes the resource. Does nothing when it does not exist."""
        ...


def add_resource_type(name: str, resource_type: ResourceType, *, tags: Literal["map", "list"]) -> None:
    """Adds a resource type. Its handlers run on MiniStack's only thread: they must not call its HTTP endpoint.

    Args:
        name: The type, such as `AWS::CloudTrail::Trail`.
        resource_type: Its handlers.
        tags: The form of its property `Tags`, to which MiniStack adds the tags of the stack.
    """
    provisioners._RESOURCE_HANDLERS[name] = {
        "create": resource_type.create,
        "update": resource_type.update,
        "delete": resource_type.delete,
    }
    provisioners._REPLACING_PROPERTIES[name] = resource_type.create_only
    provisioners._STACK_TAG_PROPERTY[name] = ("Tags", tags)


def add_stub_resource(name: str, stub: StubResource) -> None:
    """Adds a resource type that is stored only. The Cloud Control API returns the properties of its resources."""
    location = {"account": ACCOUNT, "region": REGION}

    def store(physical_id: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        attributes = stub.attributes_of(physical_id, location)
        cloudcontrol._resources[cloudcontrol._resource_key(name, physical_id)] = {
            "TypeName": name,
            "Identifier": physical_id,
            "Properties": json.dumps({**properties, **attributes}),
        }
        return physical_id, attributes

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        resource_name = stub.name_in(properties) or provisioners._physical_name(stack_name, logical_id)
        return store(stub.new_id(resource_name), properties)

    def update(physical_id: str, _: Any, properties: dict[str, Any], __: str) -> tuple[str, dict[str, str]]:
        return store(physical_id, properties)

    def delete(physical_id: str, _: Any) -> None:
        cloudcontrol._resources.pop(cloudcontrol._resource_key(name, physical_id), None)

    provisioners._RESOURCE_HANDLERS[name] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[name] = frozenset(stub.create_only)
