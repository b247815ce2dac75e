"""Questions about who can assume the role of an interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.proofs.question import Question
from sandpiper.review.proofs.subjects import (
    OTHER_ACCOUNT,
    RunAs,
    administrator,
    any_role_of,
    interpreters,
    pattern_for,
    session_of_arn,
)
from sandpiper_policy.evaluate import Policies
from sandpiper_policy.principals import ACCOUNT_ID, ANONYMOUS, Principal
from sandpiper_policy.proofs.claims import ACTION, Claim, Restriction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.identities import Identity

SERVICE = Principal.parse("bedrock-agentcore.amazonaws.com")
OTHER_SERVICE = Principal.parse("ec2.amazonaws.com")
"""A service that runs programs of any customer. It stands for all services that the policies do not name."""
ASSUME = Restriction(ACTION, ("sts:AssumeRole*", "sts:TagSession", "sts:SetSourceIdentity"))


def only_our_account(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each interpreter: AgentCore assumes its role only for its own account."""
    for one in interpreters(model):
        account = one.role.account
        yield Question(
            one.role.address,
            f"AgentCore assumes the role only for account {account}",
            Claim(
                model.policies.policies_for(one.role, one.role.address, required=True),
                account,
                SERVICE,
                (ASSUME, Restriction("aws:SourceAccount", (account,), excluded=True)),
            ),
        )


def only_this_interpreter(model: ReviewModel) -> Iterator[Question]:
    """Yields a claim for each role: AgentCore assumes it only for the interpreters that have it."""
    patterns: dict[str, list[RunAs]] = {}
    for one in interpreters(model):
        patterns.setdefault(one.role.address, []).append(one)
    for address, users in patterns.items():
        role = users[0].role
        names = " and ".join(str(user.interpreter.get("Name")) for user in users)
        own = tuple(pattern_for(user.interpreter, role) for user in users)
        yield Question(
            address,
            f"AgentCore assumes the role only for the interpreter {names}",
            Claim(
                model.policies.policies_for(role, address, required=True),
                role.account,
                SERVICE,
                (ASSUME, Restriction("aws:SourceArn", own, excluded=True)),
            ),
        )


def no_other_principal(model: ReviewModel) -> Iterator[Question]:
    """Yields claims for each role: no other service, account, role or anonymous caller assumes it."""
    for one in interpreters(model):
        role = one.role
        trust = model.policies.policies_for(role, role.address, required=True).resource
        others = Policies([administrator()], resource=trust, resource_policy_required=True)
        region = one.interpreter.region
        principals = {
            "another service": (OTHER_SERVICE, False),
            "an identity of another account": (any_role_of(OTHER_ACCOUNT, region), False),
            "a role of the account, an administrator's included,": (any_role_of(role.account, region), True),
            "an anonymous caller": (ANONYMOUS, False),
            **{name: (principal, False) for name, principal in _named_in_trust(role, region)},
        }
        for name, (principal, any_role) in principals.items():
            yield Question(
                role.address,
                f"{name} cannot assume the role",
                Claim(others, role.account, principal, (ASSUME,), any_role=any_role),
            )


def _named_in_trust(role: Identity, region: str) -> Iterator[tuple[str, Principal]]:
    """Yields the principals other than AgentCore that a trust policy names: a session of each role or account."""
    statements = () if role.trust is None else role.trust.statements
    elements = [one.compiled.principals for one in statements if one.compiled.principals is not None]
    for kind, name in sorted({pair for element in elements for pair in element.names}):
        if kind == "AWS" and (ACCOUNT_ID.fullmatch(name) or name.endswith(":root")):
            yield name, any_role_of(name.split(":")[-2] if ":" in name else name, region)
        elif kind == "AWS" and ":role/" in name:
            yield name, session_of_arn(name)
        elif name not in ("*", SERVICE.name):
            yield name, Principal.parse(name)
