"""Rules about the limits of session functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import FUNCTION
from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import callers, interpreters
from sandpiper_policy.model.graph import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource


_SESSION_LIMITS = ("SANDPIPER_SESSION_SECONDS", "SANDPIPER_INTERPRETERS")
"""Variables of a session function: the lifetimes of sessions by interpreter, and the interpreters. Without the first,
a session function limits the lifetime to an hour."""


def _session_functions(model: ReviewModel) -> Iterator[Resource]:
    """Yields the functions whose role can run code."""
    roles = {identity.address for one in interpreters(model) for identity, _ in callers(model, one)}
    for one in model.of_type(FUNCTION):
        edges = model.policies.graph.outgoing.get(one.address, ())
        if any(edge.kind is EdgeKind.RUNS_AS and edge.target in roles for edge in edges):
            yield one


def _concurrency(model: ReviewModel) -> Iterator[Occurrence]:
    for one in _session_functions(model):
        if one.get("ReservedConcurrentExecutions") is None:
            yield Occurrence(
                one.at("ReservedConcurrentExecutions"), "only the account's quota limits how many programs run together"
            )


def _session_limits(model: ReviewModel) -> Iterator[Occurrence]:
    for one in _session_functions(model):
        if not any(one.get("Environment", "Variables", name) for name in _SESSION_LIMITS):
            yield Occurrence(
                one.at("Environment", "Variables"),
                "the template does not limit the lifetime of sessions that the function starts, which can be 8 hours",
            )


RULES = (
    Rule(
        id="limits-concurrency",
        group="limits",
        severity=Severity.LOW,
        title="The number of programs that run together is limited.",
        reason="One tenant can use the sessions and the budget of the whole account.",
        source="https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html",
        remedy="Set session_function.reserved_concurrency in the environment file.",
        check=_concurrency,
    ),
    Rule(
        id="limits-sessions",
        group="limits",
        severity=Severity.LOW,
        title="The lifetime of sessions is limited.",
        reason="A session costs money until it ends, and stolen credentials are valid as long.",
        source="https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-session-characteristics.html",
        remedy="Start sessions with the session function, which limits them.",
        check=_session_limits,
    ),
)
