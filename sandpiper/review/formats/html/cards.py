"""A card for each interpreter: its ways out, its role, its callers, and the value of a stolen credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.plan.grants import grant_of
from sandpiper.plan.render_permissions import render_permissions
from sandpiper.plan.resource_types import FUNCTION
from sandpiper.review.formats.html.lifetimes import lifetime_of
from sandpiper.review.formats.html.ways_out import ways_out_of
from sandpiper.review.reading.values import as_text
from sandpiper.review.rules.queries import (
    EQUALS,
    allowing,
    callers,
    execution_role,
    granted,
    interpreters,
    mode_of,
    required_values,
    tenant_of,
)
from sandpiper_policy.model.graph import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.report import Report
    from sandpiper.review.resources import Resource
    from sandpiper.review.verdicts.verdict import Verdict
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement

CREDENTIAL_HOURS = (
    "The templates do not limit how long credentials stay valid after they leave the sandbox: AWS sets their expiry, "
    "and does not revoke them when the session ends. The policy AWSRevokeOlderSessions at the role revokes them."
)
SOURCE_KEYS = ("aws:SourceVpc", "aws:SourceVpce", "aws:SourceIp", "aws:VpcSourceIp")
_FOLDER_ACTIONS = {"read": ("s3:GetObject", "s3:GetObjectVersion"), "write": ("s3:PutObject", "s3:DeleteObject")}


@dataclass(frozen=True)
class Caller:
    """An identity that can run code. `through` names the programs that can be started by others and use it."""

    name: str
    through: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """What a reviewer has to know about one interpreter.

    Attributes:
        name: Its name.
        address: Its address.
        tenant: Its tenant; empty without the tag.
        description: Its description.
        network: Its network mode.
        ways_out: Everything that code can reach through the network.
        role: The address of its role; empty without one.
        boundary: The permissions boundary of the role; empty without one.
        permissions: What the role allows, one statement each.
        sources: From where the role's permissions can be used, one sentence each.
        folders: The folders that code can read and write with the role.
        callers: Who can start sessions and run code in them.
        limits: What limits the use.
        verdicts: What other tools say about it.
    """

    name: str
    address: str
    tenant: str
    description: str
    network: str
    ways_out: tuple[str, ...]
    role: str
    boundary: str
    permissions: tuple[str, ...]
    sources: tuple[str, ...]
    folders: tuple[tuple[str, str], ...]
    callers: tuple[Caller, ...]
    limits: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    credential: str = CREDENTIAL_HOURS


def cards_of(report: Report) -> tuple[Card, ...]:
    """Returns the cards, by tenant and name."""
    model = report.review.model
    found = {one.address: _card(report, one) for one in interpreters(model)}
    return tuple(sorted(found.values(), key=lambda one: (one.tenant, one.name, one.address)))


def _card(report: Report, interpreter: Resource) -> Card:
    model = report.review.model
    role = execution_role(model, interpreter)
    statements = tuple(allowing(role)) if role is not None else ()
    return Card(
        name=model.readable(as_text(interpreter.get("Name"))) or interpreter.logical_id,
        address=interpreter.address,
        tenant=tenant_of(model, interpreter.address),
        description=as_text(interpreter.get("Description")),
        network=mode_of(interpreter) or "not stated",
        ways_out=tuple(ways_out_of(model, interpreter)),
        role="" if role is None else model.readable(role.address),
        boundary="" if role is None else model.readable(role.boundary_arn),
        permissions=tuple(_allowed(model, one) for one in statements),
        sources=tuple(_sources(model, role, statements)),
        folders=tuple(dict.fromkeys(_folders(model, statements))),
        callers=tuple(_callers(model, interpreter)),
        limits=tuple(_limits(model, interpreter)),
        verdicts=tuple(one for one in report.review.verdicts if one.interpreter == interpreter.address),
    )


def _allowed(model: ReviewModel, statement: PolicyStatement) -> str:
    return model.readable(render_permissions(grant_of(statement.syntax)))


def _folders(model: ReviewModel, statements: tuple[PolicyStatement, ...]) -> Iterator[tuple[str, str]]:
    for one in statements:
        for verb, actions in _FOLDER_ACTIONS.items():
            if granted(one, *actions):
                prefix = "all except " if one.syntax.resource.negated else ""
                yield from ((verb, prefix + model.readable(value)) for value in one.syntax.resource.values)


def _sources(model: ReviewModel, role: Identity | None, statements: tuple[PolicyStatement, ...]) -> Iterator[str]:
    if role is None or not (statements or role.managed_arns):
        yield (
            "The role allows nothing." if role else "The interpreter has no role, so that its code has no credentials."
        )
        return
    limited = [one for one in statements if required_values(one, *SOURCE_KEYS, operators=(*EQUALS, "ipaddress"))]
    values = {
        value for one in limited for value in required_values(one, *SOURCE_KEYS, operators=(*EQUALS, "ipaddress"))
    }
    if limited:
        shown = ", ".join(sorted(map(model.readable, values)))
        yield f"{len(limited)} of {len(statements)} statements can be used only from {shown}."
    if len(limited) < len(statements) or role.managed_arns:
        number = len(statements) - len(limited)
        yield f"{number} of {len(statements)} statements can be used from every address that reaches AWS."
    yield from (
        f"It also has the managed policy {arn}, which the templates do not contain." for arn in role.managed_arns
    )


def _callers(model: ReviewModel, interpreter: Resource) -> Iterator[Caller]:
    """Yields the callers with the programs that run with their permissions and those that start these programs."""
    graph = model.policies.graph
    for identity, _ in callers(model, interpreter):
        programs = [one.source for one in graph.incoming.get(identity.address, ()) if one.kind is EdgeKind.RUNS_AS]
        starters = [
            edge.source
            for program in programs
            for edge in graph.incoming.get(program, ())
            if edge.kind is EdgeKind.INVOKES
        ]
        machines = [
            edge.source
            for starter in starters
            for edge in graph.incoming.get(starter, ())
            if edge.kind is EdgeKind.RUNS_AS
        ]
        names = dict.fromkeys(map(model.readable, (*programs, *machines)))
        yield Caller(model.readable(identity.address), tuple(names))


def _limits(model: ReviewModel, interpreter: Resource) -> Iterator[str]:
    tenant = tenant_of(model, interpreter.address)
    for one in model.of_type(FUNCTION):
        number = as_text(one.get("ReservedConcurrentExecutions"))
        if number and tenant and tenant_of(model, one.address) == tenant:
            yield f"{number} concurrent executions of {one.logical_id}"
    yield lifetime_of(model, interpreter)
