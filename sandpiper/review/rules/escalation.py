"""Rules about escalation: ways in which an identity gets permissions that its policies do not show."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.escalation_table import (
    ALL_ACTIONS,
    CODE,
    OWN_POLICIES,
    PASS_ROLE,
    PASSING,
    PATHFINDING,
    Escalation,
)
from sandpiper.review.rules.queries import execution_role, interpreters, required_values
from sandpiper_policy.model.graph import EdgeKind, NodeKind
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.matching import matched_actions, pattern_matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.graph import Edge
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement

_PRIVILEGED_MANAGED = ("AdministratorAccess", "IAMFullAccess", "PowerUserAccess")
_USES = frozenset({EdgeKind.ASSUMES, EdgeKind.INVOKES, EdgeKind.RUNS_AS, EdgeKind.CONTROLS})
_PROWLER = "https://hub.prowler.com/check/iam_policy_allows_privilege_escalation"
Grants = dict[str, list["PolicyStatement"]]


def grants_of(identity: Identity) -> Grants:
    """Returns the statements that allow each action of the table, without those that a certain deny removes."""
    grants: Grants = defaultdict(list)
    denied: set[str] = set()
    for policy in identity.policies:
        for one in policy.statements:
            if one.allows:
                for action in matched_actions(one.syntax.action, ALL_ACTIONS):
                    grants[action].append(one)
            elif one.is_certain and not one.syntax.conditions and one.syntax.resource.values == ("*",):
                denied |= matched_actions(one.syntax.action, ALL_ACTIONS)
    if identity.boundary is not None:
        allowed = frozenset[str]().union(
            *(matched_actions(one.syntax.action, ALL_ACTIONS) for one in identity.boundary.statements if one.allows)
        )
        denied |= set(ALL_ACTIONS) - allowed
    return {action: found for action, found in grants.items() if action not in denied}


def _escalations(identity: Identity, table: Sequence[Escalation]) -> Iterator[tuple[Escalation, list[PolicyStatement]]]:
    grants = grants_of(identity)
    for one in table if grants else ():
        usable = [[s for s in grants.get(action, ()) if _counts(one, action, s)] for action in one.actions]
        if all(usable):
            yield one, [statements[0] for statements in usable]


def _counts(escalation: Escalation, action: str, statement: PolicyStatement) -> bool:
    if action == PASS_ROLE:
        services = required_values(statement, "iam:PassedToService")
        return not services or any(pattern_matches(service, escalation.service) for service in services)
    return not escalation.any_resource or covers_any(statement)


_ANY_OF_A_TYPE = frozenset(
    ("*", "role/*", "function:*", "stateMachine:*", "key/*", "instance/*", "stack/*", "project/*", "")
)
_SERVICE_GRANTS = ("kms:grantisforawsresource", "kms:viaservice")


def covers_any(statement: PolicyStatement) -> bool:
    """Returns whether a statement covers resources of the identity's choice: all, or all of a type."""
    resource = statement.syntax.resource
    if any(condition.key.lower() in _SERVICE_GRANTS for condition in statement.syntax.conditions):
        return False
    names = (value.split(":", 5)[-1] for value in resource.values)
    return resource.negated or any(name in _ANY_OF_A_TYPE for name in names)


def _found(model: ReviewModel, table: Sequence[Escalation], way: str) -> Iterator[Occurrence]:
    for identity in model.policies.identities.values():
        if identity.kind is IdentityKind.GROUP:  # its users have its policies
            continue
        for escalation, statements in _escalations(identity, table):
            yield Occurrence(
                statements[0].location,
                f"{model.readable(identity.address)[:200]} can {way}: {escalation.name}",
                evidence_of(model, statements),
            )


def evidence_of(model: ReviewModel, statements: Sequence[PolicyStatement]) -> tuple[str, ...]:
    """Returns the statements as lines of evidence, each once."""
    unique = dict.fromkeys(statements)
    return tuple(model.readable(f"{one.policy}: {one.describe(model.readable)}") for one in unique)


def _by_passing(model: ReviewModel) -> Iterator[Occurrence]:
    yield from _found(model, PASSING, "use a role that it passes")


def _by_own_policies(model: ReviewModel) -> Iterator[Occurrence]:
    yield from _found(model, OWN_POLICIES, "change permissions")


def _by_any_program(model: ReviewModel) -> Iterator[Occurrence]:
    yield from _found(model, CODE, "change programs and policies of its choice")


def _privileged(model: ReviewModel) -> dict[str, str]:
    """Returns the identities with an escalation or with administrator rights, with the reason, by address."""
    found: dict[str, str] = {}
    for identity in model.policies.identities.values():
        managed = [arn for arn in identity.managed_arns if arn.rpartition("/")[2] in _PRIVILEGED_MANAGED]
        first = next(_escalations(identity, (*OWN_POLICIES, *PASSING, *CODE)), None)
        if managed:
            found[identity.address] = f"has {managed[0].rpartition('/')[2]}"
        elif first is not None:
            found[identity.address] = f"can {first[0].name}"
    return found


def _by_interpreter(model: ReviewModel) -> Iterator[Occurrence]:
    privileged = _privileged(model)
    for interpreter in interpreters(model):
        role = execution_role(model, interpreter)
        if role is None or role.address not in privileged:
            continue
        reason = privileged[role.address]
        edges = model.policies.graph.incoming.get(interpreter.address, ())
        sources = [model.readable(edge.source) for edge in edges if edge.kind is EdgeKind.INVOKES]
        shown = ", ".join(sources)[:200] or "every identity of the account that may start a session"
        yield Occurrence(
            interpreter.at("ExecutionRoleArn"),
            f"bedrock-002: {shown} can run code in an interpreter whose execution role {reason}",
        )


def _by_changed_program(model: ReviewModel) -> Iterator[Occurrence]:
    for edge in model.policies.graph.edges:
        if edge.kind is EdgeKind.CONTROLS and not any(map(covers_any, edge.statements)):
            kind = model.policies.graph.nodes[edge.target].kind
            is_program = kind in (NodeKind.FUNCTION, NodeKind.STATE_MACHINE)
            what = "the program, and so use its role" if is_program else "the policy"
            statements = [one for one in edge.statements if not is_limited_grant(one)]
            if statements:
                yield Occurrence(
                    statements[0].location,
                    f"{model.readable(edge.source)[:200]} can replace {what} of the {kind.value} "
                    f"{model.readable(edge.target)[:200]} ({', '.join(edge.actions)})",
                    evidence_of(model, statements),
                )


def is_limited_grant(statement: PolicyStatement) -> bool:
    """Returns whether a statement allows grants to AWS services only."""
    return bool(required_values(statement, "kms:GrantIsForAWSResource", operators=("bool",)))


def _by_several_steps(model: ReviewModel) -> Iterator[Occurrence]:
    graph, privileged = model.policies.graph, _privileged(model)
    for identity in model.policies.identities.values() if privileged else ():
        if identity.address in privileged or identity.kind in (IdentityKind.SERVICE, IdentityKind.GROUP):
            continue
        paths = graph.shortest_paths(identity.address, _USES)
        ends = [(path, address) for address, path in paths.items() if address in privileged]
        if ends:
            path, address = min(ends, key=lambda end: (len(end[0]), end[1]))
            location = path[0].statements[0].location if path[0].statements else identity.location
            yield Occurrence(
                location,
                f"{model.readable(identity.address)[:200]} reaches {model.readable(address)[:200]}, which "
                f"{privileged[address]}, in {len(path)} {'step' if len(path) == 1 else 'steps'}",
                tuple(_step(model, edge) for edge in path),
            )


def _step(model: ReviewModel, edge: Edge) -> str:
    actions = f" ({', '.join(edge.actions)})" if edge.actions else ""
    return f"{model.readable(edge.source)} {edge.kind.value} {model.readable(edge.target)}{actions}"


RULES = (
    Rule(
        id="escalation-pass-role",
        group="escalation",
        severity=Severity.HIGH,
        title="No identity passes a role to a service that it controls.",
        reason="It has the permissions of every role that it may pass (bedrock-001 and similar ways).",
        source=f"{PATHFINDING}bedrock-001",
        remedy="Remove iam:PassRole, or limit it to one role and one service that the identity does not control.",
        check=_by_passing,
    ),
    Rule(
        id="escalation-interpreter",
        group="escalation",
        severity=Severity.HIGH,
        title="No interpreter has a role with which code can get further permissions.",
        reason="A caller that starts a session has the execution role (bedrock-002).",
        source=f"{PATHFINDING}bedrock-002",
        remedy="Reduce the execution role to the data that the code needs.",
        check=_by_interpreter,
    ),
    Rule(
        id="escalation-policies",
        group="escalation",
        severity=Severity.HIGH,
        title="No identity changes its own permissions or those of others.",
        reason="It can become an administrator.",
        source=_PROWLER,
        remedy="Leave changes of IAM to the role that CloudFormation uses, with a permissions boundary.",
        check=_by_own_policies,
    ),
    Rule(
        id="escalation-any-program",
        group="escalation",
        severity=Severity.HIGH,
        title="No identity changes, or assumes, programs, keys, buckets and roles of its choice.",
        reason="It can use the role of each program and the data behind each key.",
        source=_PROWLER,
        remedy="Name the resources, or remove the actions.",
        check=_by_any_program,
    ),
    Rule(
        id="escalation-program",
        group="escalation",
        severity=Severity.HIGH,
        title="No identity replaces the code or the policy of a reviewed resource.",
        reason="The review is then no longer true. UpdateFunctionCode and UpdateStateMachine need no iam:PassRole.",
        source="https://docs.aws.amazon.com/step-functions/latest/apireference/API_UpdateStateMachine.html",
        remedy="Leave these actions to the role that CloudFormation uses.",
        check=_by_changed_program,
    ),
    Rule(
        id="escalation-steps",
        group="escalation",
        severity=Severity.HIGH,
        title="No identity reaches an identity with an escalation in several steps.",
        reason="Programs forward requests: who may start a workflow uses the roles of everything that it invokes.",
        source=PATHFINDING,
        remedy="Break the chain at the step that is not needed.",
        check=_by_several_steps,
    ),
)
