"""Determines the lifecycle rules of the data bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import tenant_prefix
from sandpiper_contract import settings

if TYPE_CHECKING:
    from sandpiper.environment.model import Environment


def expiration_days(environment: Environment) -> dict[str, int]:
    """Returns the lifetime of objects in days by folder. There is one lifecycle rule for each folder.

    A bucket has at most 1,000 rules, and of several rules S3 applies the shortest lifetime. So folders with the longest
    lifetime share one rule for all data of the tenant, unless the objects of another folder never expire.
    """
    days = environment.data_bucket.retention_days
    by_part = {settings.RUNS: days.runs, settings.INPUTS: days.inputs, settings.SANDBOX: days.sandbox}
    shared = _shared_lifetime(tuple(by_part.values()))
    found: dict[str, int] = {}
    for tenant in environment.all_tenants:
        folder = tenant_prefix(tenant)
        if shared is not None:
            found[folder] = shared
        found |= {f"{folder}/{part}": each for part, each in by_part.items() if each not in (None, shared)}
    return found | {tenant_prefix(tenant): lifetime for tenant, lifetime in days.removed_tenants.items()}


def _shared_lifetime(lifetimes: tuple[int | None, ...]) -> int | None:
    """Returns the longest lifetime, if several folders have it and every folder has one."""
    limited = [each for each in lifetimes if each is not None]
    longest = max(limited)
    return longest if len(limited) == len(lifetimes) and limited.count(longest) > 1 else None
