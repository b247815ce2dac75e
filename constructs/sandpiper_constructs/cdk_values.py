"""Values of the CDK that are computed once. Each call of the CDK goes to another process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aws_cdk import Duration, Stack

if TYPE_CHECKING:
    from constructs import IConstruct

seconds = functools.cache(Duration.seconds)
minutes = functools.cache(Duration.minutes)


@dataclass(frozen=True)
class Location:
    """The partition, Region and account of a stack, which may be tokens."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        """Returns the ARN of a resource of a service, such as `stateMachine:name`."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


_LOCATIONS: WeakKeyDictionary[Stack, Location] = WeakKeyDictionary()


def location_of(scope: IConstruct) -> Location:
    """Returns the location of the stack of a construct."""
    stack = Stack.of(scope)
    location = _LOCATIONS.get(stack)
    if location is None:
        location = _LOCATIONS[stack] = Location(stack.partition, stack.region, stack.account)
    return location
