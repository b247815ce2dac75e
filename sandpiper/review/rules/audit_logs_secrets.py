"""Rules about the audit trail, logs, secrets, limits, and the exceptions that were accepted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from sandpiper.plan.resource_types import FUNCTION, INTERPRETER, LOG_GROUP, WORKFLOW
from sandpiper.review.acceptance import acceptances_of
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_list, as_mapping, as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import callers, interpreters
from sandpiper_policy.model.graph import EdgeKind
from sandpiper_policy.model.symbols import SYMBOL, has_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

_CODE_INTERPRETER_EVENTS = "AWS::BedrockAgentCore::CodeInterpreterCustom"
_SESSION_LIMITS = ("SANDPIPER_SESSION_SECONDS", "SANDPIPER_INTERPRETERS")
"""Variables of a session function: the lifetimes of sessions by interpreter, and the interpreters. Without the first,
a session function limits the lifetime to an hour."""
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"
)
_SECRET_REFERENCE = re.compile(r"^(?:secretsmanager|ssm-secure)/")
_REFERENCE = re.compile(r"^(?:arn:|https?://|/|s3://)|^$|^(?:true|false|\d+)$", re.IGNORECASE)
_LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/"
_CLOUDTRAIL = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-cloudtrail.html"


def _audited(model: ReviewModel) -> Iterator[Occurrence]:
    if any(_records_code(trail) for trail in model.of_type("AWS::CloudTrail::Trail")):
        return
    for one in list(interpreters(model))[:1]:
        yield Occurrence(one.location, "no trail of the templates records who runs code in interpreters")


def _records_code(trail: Resource) -> bool:
    selectors = trail.items("AdvancedEventSelectors")
    fields = [as_mapping(field) for one in selectors for field in as_list(as_mapping(one).get("FieldSelectors"))]
    is_selected = any(_CODE_INTERPRETER_EVENTS in as_list(field.get("Equals")) for field in fields)
    return is_selected and as_text(trail.get("IsLogging")).lower() == "true"


def _logs_expire(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(LOG_GROUP):
        if one.get("RetentionInDays") is None:
            yield Occurrence(one.at("RetentionInDays"), "the log is kept forever")


def _logs_encrypted(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(LOG_GROUP):
        if not one.get("KmsKeyId"):
            yield Occurrence(one.at("KmsKeyId"), "no key of the account encrypts the log")


def _no_execution_data(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(WORKFLOW):
        if as_text(one.get("LoggingConfiguration", "IncludeExecutionData")).lower() == "true":
            yield Occurrence(
                one.at("LoggingConfiguration", "IncludeExecutionData"),
                "the log of the workflow has inputs and results",
            )


def _workflows_logged(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(WORKFLOW):
        if as_text(one.get("LoggingConfiguration", "Level", default="OFF")) not in ("ALL", "ERROR"):
            yield Occurrence(one.at("LoggingConfiguration"), "no log shows executions of the workflow")


def _no_secrets_in_variables(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(FUNCTION):
        for name, value in as_mapping(one.get("Environment", "Variables")).items():
            text = as_text(value)
            if reason := _secret(name, text):
                yield Occurrence(
                    one.at("Environment", "Variables", name), f"the variable {ascii(name)[1:-1][:80]} {reason}"
                )


def _secret(name: str, value: str) -> str:
    """Returns why a value is a secret; empty when it is none. The value itself is never shown."""
    if _SECRET_VALUE.search(value):
        return "has a secret in the template"
    if any(_SECRET_REFERENCE.match(one) for one in SYMBOL.findall(value)):
        return "has a secret that everyone who reads the configuration sees"
    if _SECRET_NAME.search(name) and not has_symbol(value) and not _REFERENCE.match(value) and len(value) >= 8:
        return "has the name of a secret, and a text in the template"
    return ""


def _no_secrets_in_definitions(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(WORKFLOW):
        for text in _texts(one.get("DefinitionString", default=one.get("Definition"))):
            references = any(_SECRET_REFERENCE.match(name) for name in SYMBOL.findall(text))
            if references or _SECRET_VALUE.search(text):
                yield Occurrence(
                    one.at("DefinitionString"),
                    "the definition has a secret, which appears in the history of every execution",
                )
                break


def _texts(value: object) -> Iterator[str]:
    queue: list[object] = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, str):
            yield one
        queue += as_mapping(one).values()
        if isinstance(one, list):
            queue += cast("list[object]", one)


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


def _complete_acceptances(model: ReviewModel) -> Iterator[Occurrence]:
    for one in {resource.address: resource for resource in model.resources}.values():
        for rule, acceptance in acceptances_of(one).items():
            missing = [
                word for word, value in (("owner", acceptance.owner), ("expiry date", acceptance.expires)) if not value
            ]
            if missing:
                yield Occurrence(one.location, f"the acceptance of {rule[:80]} has no {' and no '.join(missing)}")


def _existing_interpreter_roles(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(INTERPRETER):
        if has_symbol(as_text(one.get("ExecutionRoleArn"))):
            yield Occurrence(one.at("ExecutionRoleArn"), "the execution role is known only after the deployment")


RULES = (
    Rule(
        id="audit-code",
        group="audit_logs_secrets",
        severity=Severity.MEDIUM,
        title="A trail records who runs code.",
        reason="Sessions are data events, which CloudTrail does not record by default.",
        source=_CLOUDTRAIL,
        remedy="Set audit.trail in the environment file, or accept the finding if another trail records the events.",
        check=_audited,
    ),
    Rule(
        id="logs-retention",
        group="audit_logs_secrets",
        severity=Severity.LOW,
        title="Logs expire.",
        reason="A log that is kept forever has data that is no longer needed.",
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
        remedy="Set RetentionInDays.",
        check=_logs_expire,
    ),
    Rule(
        id="logs-encryption",
        group="audit_logs_secrets",
        severity=Severity.LOW,
        title="A key of the account encrypts logs.",
        reason="Without a key, every identity with permission to read logs reads them.",
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        remedy="Set KmsKeyId, or data_bucket.key in the environment file.",
        check=_logs_encrypted,
    ),
    Rule(
        id="logs-execution-data",
        group="audit_logs_secrets",
        severity=Severity.MEDIUM,
        title="Logs of workflows have no inputs and results.",
        reason="Code and data of users would be in a log that other people read.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
        remedy="Set IncludeExecutionData to false.",
        check=_no_execution_data,
    ),
    Rule(
        id="logs-workflows",
        group="audit_logs_secrets",
        severity=Severity.LOW,
        title="Workflows are logged.",
        reason="Without a log, executions disappear after 90 days.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
        remedy="Set LoggingConfiguration.Level to ALL.",
        check=_workflows_logged,
    ),
    Rule(
        id="secrets-variables",
        group="audit_logs_secrets",
        severity=Severity.HIGH,
        title="Environment variables of functions have no secrets.",
        reason="Everyone who may read the configuration of the function, or the template, has the secret.",
        source=f"{_LAMBDA}configuration-envvars.html",
        remedy="Store the secret in AWS Secrets Manager, and give the function its ARN.",
        check=_no_secrets_in_variables,
    ),
    Rule(
        id="secrets-history",
        group="audit_logs_secrets",
        severity=Severity.HIGH,
        title="Definitions of workflows have no secrets.",
        reason="The history of every execution would show the secret.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/data-protection.html",
        remedy="Let the task read the secret from AWS Secrets Manager.",
        check=_no_secrets_in_definitions,
    ),
    Rule(
        id="limits-concurrency",
        group="audit_logs_secrets",
        severity=Severity.LOW,
        title="The number of programs that run together is limited.",
        reason="One tenant can use the sessions and the budget of the whole account.",
        source=f"{_LAMBDA}configuration-concurrency.html",
        remedy="Set session_function.reserved_concurrency in the environment file.",
        check=_concurrency,
    ),
    Rule(
        id="limits-sessions",
        group="audit_logs_secrets",
        severity=Severity.LOW,
        title="The lifetime of sessions is limited.",
        reason="A session costs money until it ends, and stolen credentials are valid as long.",
        source="https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-session-characteristics.html",
        remedy="Start sessions with the session function, which limits them.",
        check=_session_limits,
    ),
    Rule(
        id="exceptions-complete",
        group="audit_logs_secrets",
        severity=Severity.MEDIUM,
        title="Every acceptance has an owner and an expiry date.",
        reason="An exception without an end is never reviewed again.",
        source="https://docs.aws.amazon.com/prescriptive-guidance/latest/vulnerability-management/exceptions.html",
        remedy="Add owner and expires to the acceptance.",
        check=_complete_acceptances,
    ),
    Rule(
        id="exceptions-unknown-role",
        group="audit_logs_secrets",
        severity=Severity.MEDIUM,
        title="The execution role of an interpreter is known before the deployment.",
        reason="A parameter or an SSM parameter can name any role.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html",
        remedy="Create the role in the templates.",
        check=_existing_interpreter_roles,
    ),
)
