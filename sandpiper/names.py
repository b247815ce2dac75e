"""Names that are derived and never asked for: of stacks, the bucket, and each tenant's folder in it.

What deploys and what reads a deployment agree on them here. A derived bucket name is also why a tenant's stack needs no
export of the storage's, which CloudFormation would refuse to change while it is in use.
"""

from __future__ import annotations

STORAGE = "storage"
NETWORK = "network"
FLEET = "fleet"
"""The environment's own stacks have these where a tenant's has the tenant's name."""
TENANTS_PREFIX = "tenants"
"""The folder of the data bucket in which every tenant has its own."""
DEFAULT_TENANT = "main"
"""What the tenant of an environment file with one unnamed tenant is called."""


def stack_name(environment: str, part: str) -> str:
    """The stack of a tenant, or of the environment's storage, network or fleet."""
    return f"sandpiper-{environment}-{part}"


def data_bucket_name(environment: str, account: str, region: str) -> str:
    """The bucket of all tenants' data, where it is made; the account and the region make it free in all of AWS."""
    return f"sandpiper-{environment}-{account}-{region}"


def data_key_parameter(environment: str) -> str:
    """The SSM parameter that holds the ARN of the data bucket's key, where the environment has a key of its own."""
    return f"/sandpiper/{environment}/data-key-arn"


def tenant_prefix(tenant: str) -> str:
    """The tenant's folder in the bucket, without a slash at its end."""
    return f"{TENANTS_PREFIX}/{tenant}"
