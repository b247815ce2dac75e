"""Derives what batches may use from the quotas, and checks that all batches together stay within them.

A session of a batch lives only during an invocation of its tenant's session function. So the reserved concurrency of
the function, which Lambda enforces, limits the sessions of any number of batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue
from sandpiper.names import RUN_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment
    from sandpiper.environment.tenant import Tenant

CALLS_SHARE = 0.8
"""Share of the quota of calls that batches use. The rest is for other runs, and for calls that coincide."""
MAX_SECONDS_BETWEEN_CALLS = 10.0
"""A program whose files are collected later than this would use its session for nothing."""


def seconds_between_calls(environment: Environment) -> float:
    """Returns the least time between two calls to a session of a batch."""
    return pacing_seconds(batch_sessions(environment), environment.quotas.calls_per_second)


def pacing_seconds(sessions: int, calls_per_second: float) -> float:
    """Returns the number of sessions of all batches divided by the calls per second that they may use.

    Args:
        sessions: The sessions of all batches together.
        calls_per_second: The account's quota of calls.
    """
    return round(min(sessions / (calls_per_second * CALLS_SHARE), MAX_SECONDS_BETWEEN_CALLS), 3)


def max_batch_concurrency(tenant: Tenant) -> int | None:
    """Returns the maximum number of sessions of one batch of a tenant; None if the tenant has no batches.

    One invocation remains for preparing, finishing and stopping batches.
    """
    reserved = tenant.session_function.reserved_concurrency
    return None if reserved is None or not has_batches(tenant) else max(reserved - 1, 1)


def batch_sessions(environment: Environment) -> int:
    """Returns the largest number of sessions of all batches of all tenants together."""
    tenants = filter(has_batches, environment.all_tenants.values())
    return sum(tenant.session_function.reserved_concurrency or 0 for tenant in tenants)


def has_batches(tenant: Tenant) -> bool:
    """Returns whether a tenant can run batches."""
    return RUN_BATCH in tenant.deployed_workflows


def _check_reservation(environment: Environment) -> Iterator[ConfigIssue]:
    for name, tenant in environment.all_tenants.items():
        if has_batches(tenant) and tenant.session_function.reserved_concurrency is None:
            is_named = environment.tenants is not None
            yield ConfigIssue(
                key_path=("tenants", name, "workflows", RUN_BATCH) if is_named else ("workflows", RUN_BATCH),
                problem="is deployed, but the number of its sessions is not limited",
                allowed=f"{RUN_BATCH} only with session_function.reserved_concurrency, which limits the sessions of "
                "all batches of the tenant",
                remedy="set it, for example to 25" if is_named else "use tenants instead of interpreters, and set it",
            )


def _check_session_quota(environment: Environment) -> Iterator[ConfigIssue]:
    sessions, quota = batch_sessions(environment), environment.quotas.live_sessions
    if sessions > quota:
        yield ConfigIssue(
            key_path=("quotas", "live_sessions"),
            problem=f"is {quota}, but the tenants with {RUN_BATCH} reserve {sessions} concurrent runs",
            allowed=f"{sessions} or more, if AWS has granted the account this quota",
            remedy="reserve less in session_function.reserved_concurrency, or raise the quota and set it here",
        )


def batch_warnings(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    """Yields a warning if the longest time between calls is too short for the quota of calls."""
    sessions, calls = batch_sessions(environment), environment.quotas.calls_per_second
    paced = int(calls * CALLS_SHARE * MAX_SECONDS_BETWEEN_CALLS)
    if sessions > paced:
        yield (
            ("quotas", "calls_per_second"),
            f"is {calls}, which is enough for {paced} sessions of short programs, but the tenants with {RUN_BATCH} "
            f"reserve {sessions} concurrent runs: calls of programs that take less than "
            f"{sessions / (calls * CALLS_SHARE):.0f} s are throttled",
        )


BATCH_CHECKS = (_check_reservation, _check_session_quota)
