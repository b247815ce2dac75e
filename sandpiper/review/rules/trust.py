"""Rules about trust policies: who can have the permissions of a role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import INTERPRETER
from sandpiper.review.findings import Severity
from sandpiper.review.proofs.subjects import pattern_for
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import (
    at_statement,
    execution_role,
    interpreters,
    names_everyone,
    other_accounts,
    required_values,
)
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.matching import pattern_matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement

SERVICE = "bedrock-agentcore.amazonaws.com"
_DEPUTY = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/cross-service-confused-deputy-prevention.html"
_PRINCIPAL_DOCS = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"
_LIMITS = ("sts:ExternalId", "aws:PrincipalOrgID", "aws:PrincipalArn", "aws:SourceArn", "aws:SourceAccount")
_DEPUTY_SERVICES = ("states.", "events.", "scheduler.", "vpc-flow-logs.", "cloudtrail.", "logs.", "firehose.")
"""Services that document aws:SourceAccount or aws:SourceArn for roles that they assume. Lambda documents none."""


def _trusts(model: ReviewModel) -> Iterator[tuple[Resource, Identity, PolicyStatement]]:
    """Yields the statements that let a principal assume the role of an interpreter."""
    for interpreter in interpreters(model):
        role = execution_role(model, interpreter)
        for one in role.trust.statements if role and role.trust else ():
            if role and one.allows:
                yield interpreter, role, one


def _service_trusts(model: ReviewModel) -> Iterator[tuple[Resource, Identity, PolicyStatement]]:
    for interpreter, role, one in _trusts(model):
        principal = one.syntax.principal
        if principal and not principal.negated and any(name == SERVICE for _, name in principal.names):
            yield interpreter, role, one


def _only_the_service(model: ReviewModel) -> Iterator[Occurrence]:
    for _, _, one in _trusts(model):
        principal = one.syntax.principal
        others = [name for kind, name in principal.names if (kind, name) != ("Service", SERVICE)] if principal else []
        if principal and (others or principal.negated):
            shown = ", ".join(map(model.readable, others)) or "all principals except some"
            yield at_statement(model, one, f"the execution role trusts {shown[:200]}, not only {SERVICE}")


def _source_account(model: ReviewModel) -> Iterator[Occurrence]:
    for _, role, one in _service_trusts(model):
        values = required_values(one, "aws:SourceAccount")
        if set(values) != {role.account}:
            shown = f"is {', '.join(values)[:80]}" if values else "is not required"
            yield at_statement(model, one, f"aws:SourceAccount {shown}; allowed: exactly {role.account}")


def _source_arn(model: ReviewModel) -> Iterator[Occurrence]:
    for _, _, one in _service_trusts(model):
        if not required_values(one, "aws:SourceArn"):
            yield at_statement(model, one, "aws:SourceArn is not required: every resource of the service is trusted")


def _exact_interpreter(model: ReviewModel) -> Iterator[Occurrence]:
    for interpreter, role, one in _service_trusts(model):
        for value in required_values(one, "aws:SourceArn"):
            if not _is_exact(value, interpreter) and value != pattern_for(interpreter, role):
                message = f"aws:SourceArn {model.readable(value)[:200]} also matches other interpreters"
                yield at_statement(model, one, message)


def _is_exact(pattern: str, interpreter: Resource) -> bool:
    """Returns whether a pattern matches this interpreter only, or all interpreters of exactly its name.

    Names have no hyphen, and an ID is the name, a hyphen and ten characters.
    """
    if pattern == interpreter.arn:
        return True
    name, _, suffix = pattern.rpartition("-")
    wanted = interpreter.arn.rpartition("-")[0]
    return name == wanted and suffix in ("*", "?" * 10) and pattern_matches(pattern, interpreter.arn)


def _no_foreign_trust(model: ReviewModel) -> Iterator[Occurrence]:
    for role in model.policies.identities.values():
        for one in role.trust.statements if role.trust else ():
            if not one.allows or one.syntax.principal is None:
                continue
            if names_everyone(one) and not required_values(one, *_LIMITS):
                yield at_statement(model, one, "the role trusts every principal of every account")
            for account in other_accounts(one, {role.account}):
                if not required_values(one, *_LIMITS):
                    yield at_statement(model, one, f"the role trusts every identity of the account {account}")


def _workflow_deputies(model: ReviewModel) -> Iterator[Occurrence]:
    for role in model.policies.identities.values():
        for one in role.trust.statements if role.trust else ():
            principal = one.syntax.principal
            services = [
                name
                for kind, name in (principal.names if principal and one.allows else ())
                if kind == "Service" and name.startswith(_DEPUTY_SERVICES)
            ]
            if services and not required_values(one, "aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"):
                message = f"{services[0]} can use the role for resources of other accounts"
                yield at_statement(model, one, message)


def _known_trust(model: ReviewModel) -> Iterator[Occurrence]:
    for interpreter in model.of_type(INTERPRETER):
        role = execution_role(model, interpreter)
        if role is not None and role.kind is IdentityKind.EXTERNAL:
            yield Occurrence(
                interpreter.at("ExecutionRoleArn"),
                f"the templates do not contain the execution role {model.readable(role.arn)[:200]}, so that its trust "
                "policy and its permissions cannot be reviewed",
            )


def _no_assuming_of_execution_roles(model: ReviewModel) -> Iterator[Occurrence]:
    for interpreter in interpreters(model):
        role = execution_role(model, interpreter)
        for edge in model.policies.graph.incoming.get(role.address, ()) if role else ():
            if edge.kind is EdgeKind.PASSES:
                for one in edge.statements:
                    message = f"{model.readable(edge.source)} can pass the execution role to a service"
                    yield at_statement(model, one, message)


RULES = (
    Rule(
        id="trust-service",
        group="trust",
        severity=Severity.HIGH,
        title="An execution role trusts AgentCore only.",
        reason="Another principal would have the permissions of the code without running code that is logged.",
        source=_DEPUTY,
        remedy=f"Name {SERVICE} as the only principal.",
        check=_only_the_service,
    ),
    Rule(
        id="trust-source-account",
        group="trust",
        severity=Severity.HIGH,
        title="An execution role requires exactly its own account as aws:SourceAccount.",
        reason="Without it, AgentCore can use the role for an interpreter of another account. IfExists is not enough.",
        source=_DEPUTY,
        remedy="Add StringEquals aws:SourceAccount with the account ID.",
        check=_source_account,
    ),
    Rule(
        id="trust-source-arn",
        group="trust",
        severity=Severity.HIGH,
        title="An execution role requires aws:SourceArn.",
        reason="Without it, every resource of the service in the account can have the role. IfExists is not enough.",
        source=_DEPUTY,
        remedy="Add ArnLike aws:SourceArn with the ARN of the interpreter: …:code-interpreter-custom/NAME-??????????.",
        check=_source_arn,
    ),
    Rule(
        id="trust-exact-interpreter",
        group="trust",
        severity=Severity.MEDIUM,
        title="An execution role trusts exactly its interpreter.",
        reason="A pattern such as NAME* also admits an interpreter NAME_other, which another user may create.",
        source=_DEPUTY,
        remedy="End the pattern with the full name, a hyphen and ten question marks.",
        check=_exact_interpreter,
    ),
    Rule(
        id="trust-existing-role",
        group="trust",
        severity=Severity.MEDIUM,
        title="The templates contain the execution roles of interpreters.",
        reason="An existing role has a trust policy and permissions that this review does not see.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html",
        remedy="Let the stack create the role, or accept the finding and review the role with `--deployed`.",
        check=_known_trust,
    ),
    Rule(
        id="trust-everyone",
        group="trust",
        severity=Severity.HIGH,
        title="No role trusts everyone, or a whole other account without a condition.",
        reason="Every identity that the trust policy admits has all permissions of the role.",
        source=_PRINCIPAL_DOCS,
        remedy="Name roles as principals, or require sts:ExternalId or aws:PrincipalOrgID.",
        check=_no_foreign_trust,
    ),
    Rule(
        id="trust-confused-deputy",
        group="trust",
        severity=Severity.MEDIUM,
        title="A role for a service requires the source account or the source ARN.",
        reason="The service could use the role for a resource of another account (confused deputy).",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html",
        remedy="Add aws:SourceAccount or aws:SourceArn to the trust policy.",
        check=_workflow_deputies,
    ),
    Rule(
        id="trust-passed",
        group="trust",
        severity=Severity.MEDIUM,
        title="No identity of the templates passes an execution role.",
        reason="It could create an interpreter with this role and without the limits of the reviewed one.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html",
        remedy="Leave iam:PassRole to the role that CloudFormation uses.",
        check=_no_assuming_of_execution_roles,
    ),
)
