"""Rules about callers: who can create interpreters, start sessions and run code."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import FUNCTION
from sandpiper.review.building.types import PERMISSION
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import (
    allowing,
    at_statement,
    callers,
    execution_role,
    granted,
    interpreters,
    names_everyone,
    required_values,
    tenant_of,
)
from sandpiper.review.rules.shared_folders import overlapping_folders
from sandpiper_policy.model.edges import INVOKE, START
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.matching import pattern_matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement

CREATE = ("bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:DeleteCodeInterpreter")
_ARN = ":code-interpreter-custom/"
_IAM = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrockagentcore.html"
_BEDROCK_002 = "https://pathfinding.cloud/paths/bedrock-002"
_PERMISSION_DOCS = "https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"


def _exact_interpreters(model: ReviewModel) -> Iterator[Occurrence]:
    for identity in model.policies.identities.values():
        for one in allowing(identity):
            actions = granted(one, START, INVOKE)
            wide = [value for value in one.syntax.resource.values if not _is_exact(value)]
            if actions and (wide or one.syntax.resource.negated):
                shown = ", ".join(wide) if wide else "all resources except some"
                yield at_statement(
                    model, one, f"{_name(model, identity)} can run code in {shown[:200]}, not in one exact interpreter"
                )


def _is_exact(resource: str) -> bool:
    """Returns whether a resource is one interpreter: an ARN without wildcards, or with the ten characters of an ID."""
    head, _, suffix = resource.rpartition("-")
    if "*" not in resource and "?" not in resource:
        return True
    is_name = _ARN in head and "*" not in head and "?" not in head
    return is_name and suffix == "?" * 10


def _creators_do_not_invoke(model: ReviewModel) -> Iterator[Occurrence]:
    for identity in model.policies.identities.values():
        creating = [one for one in allowing(identity) if granted(one, CREATE[0])]
        invoking = [one for one in allowing(identity) if granted(one, INVOKE)]
        if creating and invoking:
            message = f"{_name(model, identity)} can create interpreters and run code in them"
            yield at_statement(model, creating[0], message)


def _exact_pass_role(model: ReviewModel) -> Iterator[Occurrence]:
    for identity in model.policies.identities.values():
        for one in allowing(identity):
            if not granted(one, "iam:PassRole"):
                continue
            wide = [value for value in one.syntax.resource.values if "*" in value or "?" in value]
            if wide or one.syntax.resource.negated:
                message = f"{_name(model, identity)} can pass {', '.join(wide)[:200] or 'all roles except some'}"
                yield at_statement(model, one, message)
            elif not required_values(one, "iam:PassedToService"):
                message = f"{_name(model, identity)} can pass a role to every service"
                yield at_statement(model, one, message, severity=Severity.MEDIUM)


def _roles_exceed_callers(model: ReviewModel) -> Iterator[Occurrence]:
    for interpreter in interpreters(model):
        role = execution_role(model, interpreter)
        for caller, edge in callers(model, interpreter) if role else ():
            more = [one for one in allowing(role) if not _covered(one, caller)] if role else []
            if more:
                yield Occurrence(
                    interpreter.location,
                    f"{_name(model, caller)} can run code with permissions of the execution role that it does not have "
                    "itself",
                    tuple(
                        model.readable(f"{one.policy}: {one.describe(model.readable)}")
                        for one in (*edge.statements, *more)
                    ),
                )


def _covered(statement: PolicyStatement, caller: Identity) -> bool:
    """Returns whether one statement of the caller covers every action and resource of a statement."""
    return any(
        not other.syntax.resource.negated
        and set(granted(other, *statement.syntax.action.values)) == set(statement.syntax.action.values)
        and all(
            any(pattern_matches(pattern, value) for pattern in other.syntax.resource.values)
            for value in statement.syntax.resource.values
        )
        for other in allowing(caller)
    )


def _tenants_share_no_interpreter(model: ReviewModel) -> Iterator[Occurrence]:
    for interpreter in interpreters(model):
        owner = tenant_of(model, interpreter.address)
        for caller, edge in callers(model, interpreter):
            other = tenant_of(model, caller.address)
            if owner and other and owner != other:
                message = f"{_name(model, caller)} of tenant {other} can run code in an interpreter of tenant {owner}"
                yield at_statement(model, edge.statements[0], message)


def _tenants_share_no_folder(model: ReviewModel) -> Iterator[Occurrence]:
    roles: dict[str, tuple[str, Identity]] = {}
    for interpreter in interpreters(model):
        role = execution_role(model, interpreter)
        if role is not None:
            tenant = tenant_of(model, interpreter.address) or interpreter.stack
            roles.setdefault(role.address, (tenant, role))
    by_tenant: dict[str, list[PolicyStatement]] = defaultdict(list)
    for tenant, role in roles.values():
        by_tenant[tenant] += allowing(role)
    for one, value, other_tenant, other in overlapping_folders(by_tenant):
        yield at_statement(
            model,
            one,
            f"code of another tenant ({other_tenant}) can write where this statement reaches: "
            f"{model.readable(value)[:200]} and {model.readable(other)[:200]}",
        )


def _no_public_functions(model: ReviewModel) -> Iterator[Occurrence]:
    functions = {one.address for one in model.of_type(FUNCTION)}
    for address, policies in model.policies.resource_policies.items():
        for one in (statement for policy in policies for statement in policy.statements if address in functions):
            limits = required_values(
                one, "aws:SourceArn", "aws:SourceAccount", "aws:PrincipalOrgID", "lambda:EventSourceToken"
            )
            names = one.syntax.principal.names if one.syntax.principal else ()
            services = [name for kind, name in names if kind == "Service"]
            if one.allows and names_everyone(one) and not limits:
                yield at_statement(model, one, "everyone can invoke the function")
            elif one.allows and services and not limits:
                message = f"{services[0]} can invoke the function for every account"
                yield at_statement(model, one, message, severity=Severity.MEDIUM)
    for one in model.of_type("AWS::Lambda::Url"):
        if as_text(one.get("AuthType")).upper() == "NONE":
            yield Occurrence(one.at("AuthType"), "the function has a URL without authentication")


def _name(model: ReviewModel, identity: Identity) -> str:
    return "everyone" if identity.kind is IdentityKind.EVERYONE else model.readable(identity.address)[:200]


RULES = (
    Rule(
        id="callers-exact",
        group="callers",
        severity=Severity.HIGH,
        title="Callers run code in exactly named interpreters.",
        reason="With a wildcard, a caller has the execution roles of all present and future interpreters.",
        source=_IAM,
        remedy="Name the ARN of the interpreter, or …:code-interpreter-custom/NAME-??????????.",
        check=_exact_interpreters,
    ),
    Rule(
        id="callers-create",
        group="callers",
        severity=Severity.HIGH,
        title="An identity that creates interpreters does not run code in them.",
        reason="It could create an interpreter with internet access or another role, and use it.",
        source="https://pathfinding.cloud/paths/bedrock-001",
        remedy="Use one role for deployments and another one for callers.",
        check=_creators_do_not_invoke,
    ),
    Rule(
        id="callers-pass-role",
        group="callers",
        severity=Severity.HIGH,
        title="iam:PassRole names the role and the service.",
        reason="An identity that passes any role has the permissions of every role.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
        remedy="Name the ARN of the role, and require iam:PassedToService.",
        check=_exact_pass_role,
    ),
    Rule(
        id="callers-exceeded",
        group="callers",
        severity=Severity.LOW,
        title="The review states where code can do more than its caller.",
        reason="A caller that runs code has the permissions of the execution role.",
        source=_BEDROCK_002,
        remedy="Check that each caller may have these permissions. Reduce the execution role if not.",
        check=_roles_exceed_callers,
    ),
    Rule(
        id="callers-tenants",
        group="callers",
        severity=Severity.HIGH,
        title="Tenants share no interpreter.",
        reason="A tenant would run code with the data of another one.",
        source="https://docs.aws.amazon.com/whitepapers/latest/saas-architecture-fundamentals/tenant-isolation.html",
        remedy="Create an interpreter for each tenant.",
        check=_tenants_share_no_interpreter,
    ),
    Rule(
        id="callers-folders",
        group="callers",
        severity=Severity.HIGH,
        title="No tenant writes where the code of another tenant reads or writes.",
        reason="A tenant could change the inputs of another one, or read its results.",
        source="https://docs.aws.amazon.com/whitepapers/latest/saas-architecture-fundamentals/tenant-isolation.html",
        remedy="Use a prefix for each tenant.",
        check=_tenants_share_no_folder,
    ),
    Rule(
        id="callers-function",
        group="callers",
        severity=Severity.HIGH,
        title="No function can be invoked by everyone, or by a service for every account.",
        reason="A function that runs code would run it for strangers.",
        source=_PERMISSION_DOCS,
        remedy=f"Set SourceArn or SourceAccount in {PERMISSION}; use AuthType AWS_IAM for URLs.",
        check=_no_public_functions,
    ),
)
