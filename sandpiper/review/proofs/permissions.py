"""Questions about what identities and anonymous callers can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.proofs.question import Question
from sandpiper.review.proofs.subjects import (
    OTHER_ACCOUNT,
    administrator,
    any_role_of,
    arn_pattern,
    facts_of,
    identities_with_policies,
    session_of,
)
from sandpiper_contract.aws import AGENTCORE, MANAGED_INTERPRETER, partition_of
from sandpiper_policy.evaluate import Policies
from sandpiper_policy.principals import ANONYMOUS
from sandpiper_policy.proofs.claims import ACTION, RESOURCE, Claim, Restriction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewedTemplate, ReviewModel

START_OR_INVOKE = Restriction(
    ACTION,
    (
        *(f"{AGENTCORE}:StartCodeInterpreterSession", f"{AGENTCORE}:InvokeCodeInterpreter"),
        f"{AGENTCORE}:ConnectCodeInterpreter*",
    ),
)


def only_own_interpreters(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each identity: it starts and uses only the interpreters of its stacks."""
    by_stack: dict[str, list[str]] = {}
    for interpreter in model.of_type(INTERPRETER):
        name = arn_pattern(interpreter).removesuffix("-??????????")
        by_stack.setdefault(interpreter.stack, []).append(f"{name}-*")
    for identity in identities_with_policies(model):
        stacks = sorted({one.location.address.partition("/")[0] for one in (identity, *identity.policies)})
        own = [pattern for stack in stacks for pattern in by_stack.get(stack, ())]
        partition = identity.arn.split(":")[1]
        claim = Claim(
            model.policies.policies_for(identity),
            identity.account,
            session_of(identity),
            (
                START_OR_INVOKE,
                Restriction(RESOURCE, (f"arn:{partition}:{AGENTCORE}:*",)),
                Restriction(RESOURCE, (*own, *(_managed_interpreter(one) for one in model.templates)), excluded=True),
                *facts_of(model, identity),
            ),
        )
        sentence = f"starts and uses no interpreter outside of {' and '.join(stacks)}"
        yield Question(identity.address, sentence, claim, identity.managed_arns)


def _managed_interpreter(template: ReviewedTemplate) -> str:
    partition, region = partition_of(template.region), template.region
    return f"arn:{partition}:{AGENTCORE}:{region}:aws:code-interpreter/{MANAGED_INTERPRETER}"


def no_passed_role(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each identity: it passes no role to a service."""
    for identity in identities_with_policies(model):
        claim = Claim(
            model.policies.policies_for(identity),
            identity.account,
            session_of(identity),
            (Restriction(ACTION, ("iam:PassRole",)), *facts_of(model, identity)),
        )
        yield Question(identity.address, "passes no role to a service", claim, identity.managed_arns)


def nothing_public(model: ReviewModel) -> Iterator[Question]:
    """Yields claims for each resource policy: it allows nothing to unknown accounts and anonymous callers."""
    for address in model.policies.resource_policies:
        resource = model.by_address.get(address)
        if resource is None or resource.type == "AWS::EC2::VPCEndpoint":
            continue
        policy = model.policies.resource_policy(address)
        for name, principal in {
            "an anonymous caller": ANONYMOUS,
            "an identity of an account that no policy names": any_role_of(OTHER_ACCOUNT, resource.region),
        }.items():
            claim = Claim(Policies([administrator()], resource=policy), resource.account, principal, ())
            yield Question(address, f"{name} is allowed nothing", claim)
