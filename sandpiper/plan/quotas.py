"""Counts the use of quotas after a deployment: the account's, from the environment file, and CloudFormation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import count_of
from sandpiper.plan.model import Quota
from sandpiper.plan.resource_types import FUNCTION
from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.environment.account import Quotas
    from sandpiper.plan.assembly import Stack
    from sandpiper.plan.template import Resource, Template

UNRESERVED_CONCURRENCY = 100
"""Concurrency that Lambda keeps for functions without reserved concurrency.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""
MAX_RESOURCES, MAX_OUTPUTS, MAX_TEMPLATE_BYTES = 500, 200, 1_048_576
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""


def quota_usage(quotas: Quotas, stacks: Mapping[str, Stack], removed: Sequence[Template]) -> Iterator[Quota]:
    """Yields the use of each quota by the environment. Other resources of the account are not counted.

    Args:
        quotas: the quotas of the account.
        stacks: the stacks to deploy.
        removed: the templates of deployed stacks that the environment no longer has. They count until they are deleted.
    """
    templates = [*(one.template for one in stacks.values()), *removed]
    interpreters = sum(len(one.interpreters) for one in templates)
    yield Quota(quota="interpreters", stack=None, used=interpreters, limit=quotas.interpreters)
    functions = [one for template in templates for one in template.of_type(FUNCTION).values()]
    reserved = sum(map(_reserved_concurrency, functions))
    yield _live_sessions(quotas, [one for one in functions if _is_session_function(one)], reserved)
    yield Quota(
        quota="functions at once",
        stack=None,
        used=reserved,
        limit=max(0, quotas.functions_at_once - UNRESERVED_CONCURRENCY),
        note=f"reserved; Lambda keeps {UNRESERVED_CONCURRENCY} of {quotas.functions_at_once:,} unreserved",
    )
    for name, stack in stacks.items():
        outputs = stack.template.content.get("Outputs", {})
        yield Quota(quota="resources", stack=name, used=len(stack.template.resources), limit=MAX_RESOURCES)
        yield Quota(quota="outputs", stack=name, used=len(outputs), limit=MAX_OUTPUTS)
        yield Quota(quota="template bytes", stack=name, used=stack.size, limit=MAX_TEMPLATE_BYTES)


def _live_sessions(quotas: Quotas, session_functions: list[Resource], reserved: int) -> Quota:
    """Returns the use of sessions: each run of a session function has one session.

    A session function without reserved concurrency can use all that other functions have not reserved.
    """
    used = sum(map(_reserved_concurrency, session_functions))
    unreserved = sum(1 for one in session_functions if not _reserved_concurrency(one))
    note = "reserved, one session per run"
    if unreserved:
        available = max(0, quotas.functions_at_once - reserved)
        left = quotas.live_sessions - used
        functions = count_of(unreserved, "function")
        rejected = f", of which AgentCore rejects those over {max(0, left):,}" if available > left else ""
        note += f"; {functions} without reserved concurrency can use up to {available:,} more{rejected}"
    return Quota(quota="live sessions", stack=None, used=used, limit=quotas.live_sessions, note=note)


def _reserved_concurrency(function: Resource) -> int:
    return int(function.properties.get("ReservedConcurrentExecutions", 0))


def _is_session_function(function: Resource) -> bool:
    return settings.INTERPRETERS in function.properties.get("Environment", {}).get("Variables", {})
