"""A rule about escalation by programs, keys and buckets that the templates do not contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.escalation import covers_any, evidence_of, grants_of, is_limited_grant
from sandpiper.review.rules.escalation_table import CODE, PATHFINDING
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.identities import IdentityKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.statements import PolicyStatement

_ASSUME = ("sts:AssumeRole",)
"""To assume a named role is no change of it, and is judged by other rules."""


def _by_outside_program(model: ReviewModel) -> Iterator[Occurrence]:
    edges = (edge for edge in model.policies.graph.edges if edge.kind is EdgeKind.CONTROLS)
    inside = {(one.policy, one.index) for edge in edges for one in edge.statements}
    for identity in model.policies.identities.values():
        grants = {} if identity.kind is IdentityKind.GROUP else grants_of(identity)
        outside = {action: [one for one in found if _is_named(one, inside)] for action, found in grants.items()}
        for escalation in CODE if grants else ():
            statements = [one for action in escalation.actions for one in outside.get(action, ())[:1]]
            if len(statements) < len(escalation.actions) or escalation.actions == _ASSUME:
                continue
            yield Occurrence(
                statements[0].location,
                f"{model.readable(identity.address)[:200]} is allowed {' and '.join(escalation.actions)} on "
                f"{model.readable(', '.join(statements[0].syntax.resource.values))[:200]}, which the review cannot see",
                evidence_of(model, statements),
            )


def _is_named(statement: PolicyStatement, inside: set[tuple[str, int]]) -> bool:
    """Returns whether a statement names resources that are not in the templates."""
    is_reviewed = (statement.policy, statement.index) in inside
    return not (is_reviewed or covers_any(statement) or is_limited_grant(statement))


RULES = (
    Rule(
        id="escalation-outside",
        group="escalation",
        severity=Severity.MEDIUM,
        title="No identity replaces the code or the policy of a resource outside of the review.",
        reason="It has the permissions of that program, which the review does not know.",
        source=PATHFINDING,
        remedy="Remove the action, or review the templates of both together.",
        check=_by_outside_program,
    ),
)
