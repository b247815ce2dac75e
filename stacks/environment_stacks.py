"""All stacks of one environment, in the order in which they are deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.storage import StorageStack
from stacks.tenant import TenantStack

if TYPE_CHECKING:
    from sandpiper.environment import Environment


def add_stacks(app: cdk.App, environment: Environment) -> None:
    """Adds the storage and a stack for each tenant. Tenants wait for the storage and for nothing of each other."""
    cdk.Tags.of(app).add("sandpiper:environment", environment.name)
    # A bucket that exists has its own stack, or none, somewhere else.
    storage = None if environment.data_bucket.name else StorageStack(app, environment=environment)
    tenants = [TenantStack(app, environment=environment, name=name) for name in environment.all_tenants]
    if storage is not None:
        for tenant in tenants:
            tenant.add_stack_dependency(storage)
    if not environment.region_is_known:
        message = f"region {environment.region} was not known to offer code interpreters when this version was made"
        cdk.Annotations.of(tenants[0]).add_warning_v2("sandpiper:region", message)
