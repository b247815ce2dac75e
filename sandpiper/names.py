"""Contains the names of stacks, of the data bucket and of the tenants' prefixes, which are derived and not configured.

Code that deploys and code that reads a deployment both use these functions. Because the bucket's name is derived, a
tenant's stack needs no export of the storage stack, which CloudFormation would not allow to change while it is used.
"""

from __future__ import annotations

STORAGE = "storage"
NETWORK = "network"
FLEET = "fleet"
"""The last part of the environment's own stack names. Tenants' stacks have the tenant's name instead."""
TENANTS_PREFIX = "tenants"
"""The prefix of the data bucket that contains one prefix for each tenant."""
DEFAULT_TENANT = "main"
"""The name of the unnamed tenant of an environment file with `interpreters`."""


def stack_name(environment: str, part: str) -> str:
    """Returns the name of a tenant's stack, or of the environment's storage, network or fleet stack."""
    return f"sandpiper-{environment}-{part}"


def data_bucket_name(environment: str, account: str, region: str) -> str:
    """Returns the name of the data bucket that Sandpiper creates. Account and region make it unique in AWS."""
    return f"sandpiper-{environment}-{account}-{region}"


def data_key_parameter(environment: str) -> str:
    """Returns the name of the SSM parameter with the ARN of the data bucket's key, if the environment creates one."""
    return f"/sandpiper/{environment}/data-key-arn"


def tenant_prefix(tenant: str) -> str:
    """Returns the tenant's prefix in the data bucket, without a trailing slash."""
    return f"{TENANTS_PREFIX}/{tenant}"
