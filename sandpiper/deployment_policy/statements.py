"""Turns the table of grants into the IAM statements of one environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sandpiper.deployment_policy.grant import passed_to
from sandpiper.deployment_policy.grants import GRANTS
from sandpiper.environment.options import account_of
from sandpiper.names import data_bucket_name
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER, MIN_STACK_NAME_CHARACTERS, dns_suffix_of, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.environment import Environment


def policy_statements(environment: Environment, qualifier: str = BOOTSTRAP_QUALIFIER) -> Iterator[dict[str, Any]]:
    """Yields the IAM statements of an environment: those of the table, then those for ARNs in the environment file.

    Args:
        environment: The environment to deploy.
        qualifier: The qualifier of `cdk bootstrap`.
    """
    values = placeholders(environment, qualifier)
    for grant in GRANTS:
        if grant.applies_to(environment):
            resources = [resource.format_map(values) for resource in grant.resources]
            yield _statement(grant.sid, grant.actions, resources, _fill(grant.conditions, values))
    yield from _statements_for_arns(environment)


def unscoped_grants(environment: Environment) -> dict[str, str]:
    """Returns, by `Sid`, why a statement is not limited to the environment's own resources."""
    return {
        grant.sid: grant.unscoped_reason for grant in GRANTS if grant.unscoped_reason and grant.applies_to(environment)
    }


def generated_name_prefix(environment: str) -> str:
    """Returns the start of the names that CloudFormation generates for resources in an environment's stacks."""
    prefix = f"sandpiper-{environment}-"
    return prefix if len(prefix) <= MIN_STACK_NAME_CHARACTERS + 1 else prefix[:MIN_STACK_NAME_CHARACTERS]


def placeholders(environment: Environment, qualifier: str) -> dict[str, str]:
    """Returns the values of the placeholders in grants.

    `prefix` starts every name that a template sets, `name_prefix` every name that CloudFormation generates.
    """
    return {
        "partition": partition_of(environment.region),
        "region": environment.region,
        "account": environment.account,
        "environment": environment.name,
        "prefix": f"sandpiper-{environment.name}-",
        "name_prefix": generated_name_prefix(environment.name),
        "bucket": data_bucket_name(environment.name, environment.account, environment.region),
        "boundary": environment.permissions_boundary or "",
        "dns_suffix": dns_suffix_of(partition_of(environment.region)),
        "qualifier": qualifier,
    }


def _statements_for_arns(environment: Environment) -> Iterator[dict[str, Any]]:
    """Yields statements for existing roles and secrets that the environment file names by ARN."""
    interpreters = [each for tenant in environment.all_tenants.values() for each in tenant.interpreters.values()]
    if roles := sorted({each.execution_role for each in interpreters} - {"own", "none"}):
        yield _statement("HandOverGivenRoles", ["iam:PassRole"], roles, passed_to("bedrock-agentcore"))
    if secrets := sorted({secret for each in interpreters for secret in each.certificates}):
        # AgentCore reads them with the permissions of the principal that creates the interpreter.
        # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
        yield _statement("ReadCertificates", ["secretsmanager:GetSecretValue"], secrets)
    callers = {role for each in interpreters for role in each.callers}
    callers |= {
        role
        for tenant in environment.all_tenants.values()
        for workflow in tenant.workflows.values()
        for role in workflow.starters
    }
    if own := sorted(role for role in callers if account_of(role) == environment.account):
        role_policy_actions = ["iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"]
        yield _statement("PoliciesOfCallers", role_policy_actions, own)


def _statement(
    sid: str, actions: Sequence[str], resources: list[str], conditions: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return statement | ({"Condition": conditions} if conditions else {})


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    """Replaces the placeholders in conditions."""
    if isinstance(value, str):
        return value.format_map(values)
    if isinstance(value, list):
        return [_fill(each, values) for each in cast("list[Any]", value)]
    return {name: _fill(each, values) for name, each in value.items()}
