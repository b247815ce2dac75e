"""The names that stacks and commands must agree on without asking each other: of stacks, buckets and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper.environment import Environment


def stack_name(environment: Environment, part: str) -> str:
    """The name of the environment's stack `storage`, or of a tenant's."""
    return f"sandpiper-{environment.name}-{part}"


def data_bucket_name(environment: Environment) -> str:
    """The bucket's name. It can be derived, so that a tenant's stack needs no export of the storage's."""
    return f"sandpiper-{environment.name}-{environment.account}-{environment.region}"


def tenant_path(tenant: str) -> str:
    """The tenant's folder in the bucket."""
    return f"tenants/{tenant}"
