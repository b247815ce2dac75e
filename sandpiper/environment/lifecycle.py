"""Determines the lifecycle rules of the data bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import tenant_prefix
from sandpiper_contract import settings

if TYPE_CHECKING:
    from sandpiper.environment.model import Environment


def expiration_days(environment: Environment) -> dict[str, int]:
    """Returns the lifetime of objects in days by folder. There is one lifecycle rule for each folder.

    A rule for a tenant's folder covers the folders below it, and of several rules S3 applies the shortest lifetime. So
    a tenant has one rule for all its data and one for each folder with a shorter lifetime, because a bucket has at most
    1,000 rules. With a folder whose objects never expire, the others have a rule each.
    """
    days = environment.data_bucket.retention_days
    by_part = {settings.RUNS: days.runs, settings.INPUTS: days.inputs, settings.SANDBOX: days.sandbox}
    limited = [each for each in by_part.values() if each is not None]
    longest = max(limited) if len(limited) == len(by_part) else None
    found: dict[str, int] = {}
    for tenant in environment.all_tenants:
        folder = tenant_prefix(tenant)
        if longest is not None:
            found[folder] = longest
        found |= {f"{folder}/{part}": each for part, each in by_part.items() if each not in (None, longest)}
    return found | {tenant_prefix(tenant): lifetime for tenant, lifetime in days.removed_tenants.items()}
