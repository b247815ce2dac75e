"""What is left of each quota after a change: the account's, as the environment file has them, and CloudFormation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.model import Quota
from sandpiper.plan.template import FUNCTION
from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.environment.model import Quotas
    from sandpiper.plan.assembly import Stack
    from sandpiper.plan.template import Resource, Template

UNRESERVED = 100
"""Lambda keeps so many for functions that reserve nothing.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""
RESOURCES, OUTPUTS, TEMPLATE_BYTES = 500, 200, 1_048_576
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""


def left(quotas: Quotas, stacks: Mapping[str, Stack], gone: Sequence[Template]) -> Iterator[Quota]:
    """Counted over the environment alone: what else is in the account is not known here.

    A stack that is gone from the environment counts until somebody deletes it.
    """
    templates = [*(one.template for one in stacks.values()), *gone]
    interpreters = sum(len(one.interpreters) for one in templates)
    yield Quota(quota="interpreters", stack=None, used=interpreters, limit=quotas.interpreters)
    functions = [one for template in templates for one in template.of_type(FUNCTION).values()]
    reserved = sum(map(_reserved, functions))
    of_sessions = [one for one in functions if _runs_sessions(one)]
    taken = sum(map(_reserved, of_sessions))
    sharing = sum(1 for one in of_sessions if not _reserved(one))
    shared = max(0, quotas.functions_at_once - reserved) if sharing else 0
    yield Quota(
        quota="live sessions",
        stack=None,
        used=taken,
        limit=quotas.live_sessions,
        note=_of_sessions(shared, sharing, quotas.live_sessions - taken),
    )
    yield Quota(
        quota="functions at once",
        stack=None,
        used=reserved,
        limit=max(0, quotas.functions_at_once - UNRESERVED),
        note=f"reserved, of {quotas.functions_at_once:,} less the {UNRESERVED} that Lambda keeps unreserved",
    )
    for name, stack in stacks.items():
        content = stack.template.content
        yield Quota(quota="resources", stack=name, used=len(stack.template.resources), limit=RESOURCES)
        yield Quota(quota="outputs", stack=name, used=len(content.get("Outputs", {})), limit=OUTPUTS)
        yield Quota(quota="template bytes", stack=name, used=stack.size, limit=TEMPLATE_BYTES)


def _reserved(function: Resource) -> int:
    return int(function.properties.get("ReservedConcurrentExecutions", 0))


def _runs_sessions(function: Resource) -> bool:
    return settings.INTERPRETERS in function.properties.get("Environment", {}).get("Variables", {})


def _of_sessions(shared: int, sharing: int, left: int) -> str:
    """Each run of a function holds one session; those that reserve nothing run as often at once as Lambda has left."""
    if not sharing:
        return "reserved, one a run"
    whose = "1 function that reserves" if sharing == 1 else f"{sharing} functions that reserve"
    beyond = f", and AgentCore refuses what is beyond {max(0, left):,}" if shared > left else ""
    return f"reserved, one a run; {whose} nothing may use up to {shared:,} more{beyond}"
