"""Calculates the maximum cost of an environment: concurrency, times the time that sessions live, times the price.

The maximum is reached when sessions use all their processors and memory without a pause, and a new one starts whenever
one ends. It contains sessions and functions. State transitions, requests, storage, logs and data transfer are not
included: they depend on the number and the size of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.model import CostLimit, Costs, TenantCost
from sandpiper_contract.prices import SESSION_GB, SESSION_VCPUS
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.environment.model import Environment
    from sandpiper.environment.tenant import SessionFunctionOptions, Tenant
    from sandpiper_contract.prices import Prices

HOURS_A_MONTH = 730
"""As in the AWS Pricing Calculator: 8,760 hours in twelve months."""
SECONDS_AN_HOUR = 3_600
MIB_A_GB = 1_024
RESERVED, UNRESERVED, SESSION_QUOTA = "reserved concurrency", "unreserved concurrency of the account", "session quota"


def maximum_costs(environment: Environment) -> Costs:
    """Returns the maximum cost of an environment per hour and month, by tenant and in total, and what limits it.

    A tenant's runs are limited by its reserved concurrency, or by what other functions of the environment have not
    reserved. Callers start sessions without the function, so only the session quota limits a tenant with callers. The
    quota of the account limits the total.

    Args:
        environment: the environment, with its prices.
    """
    tenants, prices = environment.all_tenants, environment.prices.prices
    quotas = environment.quotas
    reserved = {name: one.session_function.reserved_concurrency for name, one in tenants.items()}
    unreserved = max(0, quotas.functions_at_once - sum(each or 0 for each in reserved.values()))
    hour_of_session = session_hour_usd(prices)
    of_tenants = tuple(
        _tenant(name, tenant, reserved[name] or unreserved, quotas.live_sessions, prices)
        for name, tenant in tenants.items()
    )
    sessions = _sessions_in_total(tenants, unreserved, quotas.live_sessions)
    hour = sessions * hour_of_session + _functions_hour_usd(tenants, unreserved, prices)
    return Costs(
        as_of=prices.as_of,
        sources=prices.sources,
        session_hour_usd=hour_of_session,
        tenants=of_tenants,
        sessions=sessions,
        hour_usd=hour,
        month_usd=hour * HOURS_A_MONTH,
        open_sessions=quotas.live_sessions,
        open_sessions_hour_usd=quotas.live_sessions * hour_of_session,
        open_sessions_month_usd=quotas.live_sessions * hour_of_session * HOURS_A_MONTH,
        stopped_by=tuple(_stopping(environment)),
        notified_by=tuple(_notifying(environment)),
    )


def _sessions_in_total(tenants: Mapping[str, Tenant], unreserved: int, session_quota: int) -> int:
    """Returns the most live sessions of all tenants. Tenants without a reservation share what is not reserved."""
    if any(interpreter.callers for tenant in tenants.values() for interpreter in tenant.interpreters.values()):
        return session_quota
    reserved = [tenant.session_function.reserved_concurrency for tenant in tenants.values()]
    shared = unreserved if None in reserved else 0
    return min(sum(each or 0 for each in reserved) + shared, session_quota)


def session_hour_usd(prices: Prices) -> float:
    """Returns the cost of an hour of a session that uses all its processors and memory."""
    return SESSION_VCPUS * prices.vcpu_hour + SESSION_GB * prices.gb_hour


def function_hour_usd(function: SessionFunctionOptions, prices: Prices) -> float:
    """Returns the cost of one execution of a session function that lasts an hour, or of several in sequence."""
    price = prices.lambda_gb_second[function.architecture]
    return function.memory_mib / MIB_A_GB * price * SECONDS_AN_HOUR


def _tenant(name: str, tenant: Tenant, concurrency: int, session_quota: int, prices: Prices) -> TenantCost:
    has_callers = any(interpreter.callers for interpreter in tenant.interpreters.values())
    is_reserved = tenant.session_function.reserved_concurrency is not None
    sessions = session_quota if has_callers else min(concurrency, session_quota)
    limited_by = SESSION_QUOTA if sessions == session_quota else RESERVED if is_reserved else UNRESERVED
    longest = _longest_session_seconds(tenant)
    hour = sessions * session_hour_usd(prices) + concurrency * function_hour_usd(tenant.session_function, prices)
    return TenantCost(
        tenant=name,
        sessions=sessions,
        limited_by=limited_by,
        longest_session_seconds=longest,
        session_usd=longest / SECONDS_AN_HOUR * session_hour_usd(prices),
        live_sessions_usd=sessions * longest / SECONDS_AN_HOUR * session_hour_usd(prices),
        hour_usd=hour,
        month_usd=hour * HOURS_A_MONTH,
    )


def _longest_session_seconds(tenant: Tenant) -> int:
    """Returns the longest lifetime that a session of a tenant can have.

    The session function applies `session.longest_seconds`. Callers start sessions without it, up to the service's
    maximum.
    """
    return max(
        SESSION_TIMEOUT_SECONDS[1] if interpreter.callers else interpreter.session.longest_seconds
        for interpreter in tenant.interpreters.values()
    )


def _functions_hour_usd(tenants: Mapping[str, Tenant], unreserved: int, prices: Prices) -> float:
    """Returns the cost of an hour of all functions. Functions without a reservation share what is not reserved."""
    functions = [tenant.session_function for tenant in tenants.values()]
    reserved = sum(
        one.reserved_concurrency * function_hour_usd(one, prices) for one in functions if one.reserved_concurrency
    )
    sharing = [function_hour_usd(one, prices) for one in functions if not one.reserved_concurrency]
    return reserved + unreserved * max(sharing, default=0)


def _stopping(environment: Environment) -> Iterator[CostLimit]:
    for name, tenant in environment.all_tenants.items():
        function = tenant.session_function
        if function.reserved_concurrency:
            yield CostLimit(limit=RESERVED, value=function.reserved_concurrency, tenant=name)
        yield CostLimit(limit="session lifetime in seconds", value=_longest_session_seconds(tenant), tenant=name)
    yield CostLimit(limit=SESSION_QUOTA, value=environment.quotas.live_sessions)


def _notifying(environment: Environment) -> Iterator[CostLimit]:
    if environment.budget is not None:
        yield CostLimit(limit="budget in USD per month", value=environment.budget.usd_a_month)
    shown = "" if environment.platform_topic_arn else ", in CloudWatch only, because no topic is set"
    yield CostLimit(
        limit=f"alarm on live sessions{shown}", value=environment.quota_share(environment.quotas.live_sessions)
    )
