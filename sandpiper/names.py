"""Contains the names of stacks, of the data bucket and of the tenants' prefixes, which are derived and not configured.

Code that deploys and code that reads a deployment both use these functions. Because the bucket's name is derived, a
tenant's stack needs no export of the storage stack, which CloudFormation would not allow to change while it is used.
"""

from __future__ import annotations

import re

from sandpiper_contract.aws import MIN_STACK_NAME_CHARACTERS

STORAGE = "storage"
NETWORK = "network"
FLEET = "fleet"
"""The last part of the environment's own stack names. Tenants' stacks have the tenant's name instead."""
TENANTS_PREFIX = "tenants"
"""The prefix of the data bucket that contains one prefix for each tenant."""
DEFAULT_TENANT = "main"
"""The name of the unnamed tenant of an environment file with `interpreters`."""

VPC_PARAMETER = "vpc"
"""Last part of the name of the SSM parameter with the id of the network's VPC."""
SESSION_FUNCTION_ROLE = "SessionFunctionRole"
"""First part of the logical ID of the role of a session function in a tenant's stack."""

RUN_CODE = "run-code"
"""The workflow that every tenant has, because `sandpiper run` uses it."""
RUN_BATCH, RUN_CODE_EXPRESS, RUN_COMMAND, RUN_SESSION = "run-batch", "run-code-express", "run-command", "run-session"
WORKFLOW_NAMES = (RUN_CODE, RUN_BATCH, RUN_CODE_EXPRESS, RUN_COMMAND, RUN_SESSION)
"""The last part of the names of a tenant's state machines, after the name of the tenant's stack."""
EXECUTION_ARN = re.compile(
    r"arn:aws[a-z-]*:states:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<type>execution|express):(?P<machine>[^:/]+)"
    r"(?P<child>/[^:]+)?:(?P<name>.+)",
    re.DOTALL,
)
"""The ARN of an execution. The children of a Distributed Map have a path after the name of the state machine."""


def stack_name(environment: str, part: str) -> str:
    """Returns the name of a tenant's stack, or of the environment's storage, network or fleet stack."""
    return f"sandpiper-{environment}-{part}"


def tenant_of_state_machine(name: str) -> tuple[str, str] | None:
    """Returns the environment and the tenant of a tenant's state machine, or None for another name.

    The name of an environment has no hyphen, so the name of a tenant can have some.

    Example:
        >>> tenant_of_state_machine("sandpiper-prod-card-claims-run-code-express")
        ('prod', 'card-claims')
    """
    parts = re.fullmatch(f"{stack_name('([^-]+)', '(.+)')}-(?:{'|'.join(WORKFLOW_NAMES)})", name)
    return None if parts is None else (parts[1], parts[2])


def data_bucket_name(environment: str, account: str, region: str) -> str:
    """Returns the name of the data bucket that Sandpiper creates. Account and region make it unique in AWS."""
    return f"sandpiper-{environment}-{account}-{region}"


def audit_trail_name(environment: str) -> str:
    """Returns the name of the audit trail, if the environment creates one."""
    return f"sandpiper-{environment}-audit"


def alarm_topic_name(environment: str) -> str:
    """Returns the name of the alarm topic that the environment creates for the platform team."""
    return f"sandpiper-{environment}-alarms"


def owner_alarm_topic_name(environment: str) -> str:
    """Returns the name of the alarm topic that the environment creates for the owners of tenants."""
    return f"sandpiper-{environment}-owner-alarms"


def interpreter_name_prefix(environment: str) -> str:
    """Returns the start of the names of an environment's interpreters. Two underscores separate the parts of a name."""
    return f"{environment}__"


def data_key_parameter(environment: str) -> str:
    """Returns the name of the SSM parameter with the ARN of the data bucket's key, if the environment creates one."""
    return f"/sandpiper/{environment}/data-key-arn"


def network_parameter(environment: str, digest: str) -> str:
    """Returns the first part of the names of the SSM parameters with the ids of the environment's network.

    Args:
        environment: The environment's name.
        digest: The network's digest of 8 characters, which changes when the network is replaced.
    """
    return f"/sandpiper/{environment}/network/{digest}"


def tenant_prefix(tenant: str) -> str:
    """Returns the tenant's prefix in the data bucket, without a trailing slash."""
    return f"{TENANTS_PREFIX}/{tenant}"


def role_name_pattern(environment: str, logical_id: str = "") -> str:
    """Returns a pattern of the names that CloudFormation gives to roles in the stacks of an environment.

    A name contains the stack's name and the logical ID. Both are shortened if it would exceed 64 characters.

    Args:
        environment: The environment's name.
        logical_id: The first part of the logical ID. Default: all roles.

    Example:
        >>> role_name_pattern("dev"), role_name_pattern("dev", "SessionFunctionRole")
        ('sandpiper-dev-*', 'sandpiper-dev-*-SessionFunctionRole*')
        >>> role_name_pattern("averylongenvironment")
        'sandpiper-averylongenvir*'
    """
    prefix = stack_name(environment, "")[:MIN_STACK_NAME_CHARACTERS]
    return f"{prefix}*-{logical_id}*" if logical_id else f"{prefix}*"
