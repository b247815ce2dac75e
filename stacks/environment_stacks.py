"""Creates all stacks of an environment, and applies tags and the permissions boundary to every resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from sandpiper.environment import find_cost_warnings, find_warnings
from sandpiper_contract.aws import ENVIRONMENT_TAG, OWNER_TAG, TENANT_TAG
from stacks.data_key import has_own_key
from stacks.fleet import FleetStack
from stacks.network import NetworkStack
from stacks.storage import StorageStack
from stacks.tags import add_tags
from stacks.tenant import TenantStack

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment


def add_stacks(app: cdk.App, environment: Environment) -> None:
    """Adds the stacks of storage and network, one stack for each tenant, and the fleet stack.

    Tenant stacks depend on storage and network and not on each other. No stack depends on the fleet stack.
    """
    add_tags(app, {**environment.tags, ENVIRONMENT_TAG: environment.name, OWNER_TAG: environment.owner})
    fleet = FleetStack(app, environment=environment)
    annotations = cdk.Annotations.of(fleet)
    for warning in (*find_warnings(environment), *find_cost_warnings(environment)):
        annotations.add_warning_v2(f"sandpiper:{warning.at}", f"{warning.at}: {warning.text}")
    shared: list[cdk.Stack] = [StorageStack(app, environment=environment)] if environment.has_storage else []
    vpc = None
    if environment.network is not None:
        network = NetworkStack(app, environment=environment, network=environment.network)
        if has_own_key(environment):
            for storage in shared:
                network.add_stack_dependency(storage)
        shared.append(network)
        vpc = network.access
    for name, tenant in environment.all_tenants.items():
        stack = TenantStack(app, environment=environment, name=name, vpc=vpc)
        add_tags(stack, {**tenant.tags, TENANT_TAG: name, OWNER_TAG: tenant.owner})
        for dependency in shared:
            stack.add_stack_dependency(dependency)
    if environment.permissions_boundary is not None:
        for stack in app.node.children:
            _apply_boundary(cast("Construct", stack), environment.permissions_boundary)


def _apply_boundary(stack: Construct, arn: str) -> None:
    """Sets the permissions boundary of every role in a stack, including roles that the CDK creates."""
    policy = iam.ManagedPolicy.from_managed_policy_arn(stack, "PermissionsBoundary", arn)
    iam.PermissionsBoundary.of(stack).apply(policy)
