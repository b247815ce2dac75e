"""Prowler's combinations of actions with AgentCore.

Prowler reads each policy alone, without the resources and the conditions of its statements: a policy that starts and
invokes one named interpreter fails as a policy with a wildcard does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.rules.escalation_table import CREATE_INTERPRETER, INVOKE, PASS_ROLE, START
from sandpiper.review.rules.queries import callers
from sandpiper.review.verdicts.verdict import ExternalRule, Outcome
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.matching import matched_actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.identities import Identity

_SOURCE = (
    "https://github.com/prowler-cloud/prowler/blob/master/prowler/providers/aws/services/iam/lib/"
    "privilege_escalation.py"
)
_MAX_NAMES = 5
"""Identities that a sentence names."""
SESSION = (START, INVOKE)
CREATION = (PASS_ROLE, CREATE_INTERPRETER, START, INVOKE)


def _allows_all(policy: AttachedPolicy, actions: tuple[str, ...]) -> bool:
    allowed: set[str] = set()
    denied: set[str] = set()
    for one in policy.statements:
        (allowed if one.allows else denied).update(matched_actions(one.syntax.action, actions))
    return set(actions) <= allowed - denied


def _holders(identities: Iterable[Identity], actions: tuple[str, ...]) -> Iterator[Identity]:
    for identity in identities:
        if any(_allows_all(policy, actions) for policy in identity.policies):
            yield identity


def _names(model: ReviewModel, identities: list[Identity]) -> str:
    shown = ", ".join(model.readable(one.address)[:100] for one in identities[:_MAX_NAMES])
    others = len(identities) - _MAX_NAMES
    return f"{shown} and {others:,} others" if others > 0 else shown


def _session(model: ReviewModel, interpreter: Resource) -> tuple[Outcome, str]:
    known = {identity.address: identity for identity, _ in callers(model, interpreter)}
    if not known:
        return Outcome.NOT_APPLICABLE, "No identity of the templates can start a session of the interpreter."
    found = list(_holders(known.values(), SESSION))
    if found:
        return Outcome.FAIL, f"One policy allows starting a session and running code: {_names(model, found)}."
    return Outcome.PASS, "No single policy of a caller allows both starting a session and running code."


def _creation(model: ReviewModel, _interpreter: Resource) -> tuple[Outcome, str]:
    identities = [one for one in model.policies.identities.values() if one.kind is not IdentityKind.SERVICE]
    found = list(_holders(identities, CREATION))
    if found:
        return (
            Outcome.FAIL,
            f"One policy allows passing a role to a new interpreter and running code in it: {_names(model, found)}.",
        )
    return Outcome.PASS, "No policy of the templates allows passing a role to a new interpreter and running code in it."


PROWLER_RULES = (
    ExternalRule(
        tool="Prowler",
        id="AgentCoreSessionInvoke",
        source=_SOURCE,
        own_rules=("escalation-interpreter",),
        judge=_session,
    ),
    ExternalRule(
        tool="Prowler",
        id="PassRole+AgentCoreCreateInterpreter+InvokeInterpreter",
        source=_SOURCE,
        own_rules=("escalation-pass-role",),
        judge=_creation,
        account_wide=True,
    ),
)
