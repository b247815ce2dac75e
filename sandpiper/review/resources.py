"""Resources of templates, with intrinsic functions replaced by text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sandpiper_policy.model.location import Location
    from sandpiper_policy.model.statements import When


@dataclass(frozen=True)
class Resource:
    """One resource.

    A resource whose properties depend on conditions of the template (`Fn::If`) appears once for each combination,
    with the same address.

    Attributes:
        address: `STACK/LOGICAL_ID`, unique in the review.
        stack: The name of the stack, or the name of the file for a single template.
        logical_id: The logical ID.
        type: The CloudFormation type.
        properties: The properties, without intrinsic functions. See `sandpiper_policy.model.symbols` for unknown parts.
        arn: Its ARN, with an invented name where CloudFormation generates one; empty for a type without an ARN.
        physical_id: What `Ref` returns, with an invented name where CloudFormation generates one.
        account: The account ID of the stack.
        region: The region of the stack.
        location: Its position.
        metadata: Its metadata in the template, and from the assembly the metadata entry `aws:cdk:acknowledged-rules`.
        when: The conditions under which it has these properties.
    """

    address: str
    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Any]
    arn: str
    physical_id: str
    account: str
    region: str
    location: Location
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    when: When = ()

    def get(self, *path: str, default: Any = None) -> Any:
        """Returns a nested property, or the default when one of the steps is missing or is not a mapping."""
        value: Any = self.properties
        for step in path:
            if not isinstance(value, Mapping) or step not in value:
                return default
            value = cast("Mapping[str, Any]", value)[step]
        return value

    def items(self, *path: str) -> list[Any]:
        """Returns a nested property as a list: a missing one as an empty list, a single value as one item."""
        value = self.get(*path)
        if value is None:
            return []
        return cast("list[Any]", value) if isinstance(value, list) else [value]

    def at(self, *path: str | int) -> Location:
        """Returns the location of a property."""
        return self.location.below("Properties", *path)
