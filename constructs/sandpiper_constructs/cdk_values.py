"""Values of the CDK that are computed once. Each call of the CDK goes to another process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aws_cdk import Aws, Duration, Fn, Stack

if TYPE_CHECKING:
    from constructs import IConstruct

seconds = functools.cache(Duration.seconds)
minutes = functools.cache(Duration.minutes)


@functools.cache
def stack_uuid() -> str:
    """Returns the last part of the stack's ARN, which differs for each stack of the same name."""
    return Fn.select(2, Fn.split("/", Aws.STACK_ID))


@dataclass(frozen=True)
class Location:
    """The partition, Region and account of a stack, which may be tokens."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Returns the ARN of a resource of a service, such as `stateMachine:name`."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


_LOCATIONS: WeakKeyDictionary[IConstruct, Location] = WeakKeyDictionary()


_PATHS: WeakKeyDictionary[IConstruct, str] = WeakKeyDictionary()


def location_of(scope: IConstruct) -> Location:
    """Returns the location of the stack of a construct."""
    location = _LOCATIONS.get(scope)
    if location is None:
        stack = scope if isinstance(scope, Stack) else Stack.of(scope)
        if stack not in _LOCATIONS:
            _LOCATIONS[stack] = Location(stack.partition, stack.region, stack.account)
        location = _LOCATIONS[scope] = _LOCATIONS[stack]
    return location


def child_path(scope: IConstruct, id_: str) -> str:
    """Returns the path of a child of a construct in the tree of the app, such as `stack/Construct/Child`."""
    path = _PATHS.get(scope)
    if path is None:
        path = _PATHS[scope] = scope.node.path
    return f"{path}/{id_.replace('/', '--')}".removeprefix("/")  # the CDK replaces slashes in ids
