"""Rules about the audit trail and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import LOG_GROUP, WORKFLOW
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_list, as_mapping, as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import data_buckets, interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource


_CODE_INTERPRETER_EVENTS = "AWS::BedrockAgentCore::CodeInterpreterCustom"
_CLOUDTRAIL = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-cloudtrail.html"


def _audited(model: ReviewModel) -> Iterator[Occurrence]:
    if any(_records_code(trail) for trail in model.of_type("AWS::CloudTrail::Trail")):
        return
    for one in list(interpreters(model))[:1]:
        yield Occurrence(one.location, "no trail of the templates records who runs code in interpreters")


def _records_code(trail: Resource) -> bool:
    return _records(trail, _CODE_INTERPRETER_EVENTS)


def _records(trail: Resource, events: str) -> bool:
    """Returns whether a trail records data events of a type."""
    selectors = trail.items("AdvancedEventSelectors")
    fields = [as_mapping(field) for one in selectors for field in as_list(as_mapping(one).get("FieldSelectors"))]
    is_selected = any(events in as_list(field.get("Equals")) for field in fields)
    return is_selected and as_text(trail.get("IsLogging")).lower() == "true"


def _data_access_recorded(model: ReviewModel) -> Iterator[Occurrence]:
    if any(_records(trail, "AWS::S3::Object") for trail in model.of_type("AWS::CloudTrail::Trail")):
        return
    for bucket in data_buckets(model):
        if not bucket.get("LoggingConfiguration"):
            yield Occurrence(bucket.location, "neither a trail nor an access log records who reads and writes objects")


def _log_files_signed(model: ReviewModel) -> Iterator[Occurrence]:
    for trail in filter(_records_code, model.of_type("AWS::CloudTrail::Trail")):
        if as_text(trail.get("EnableLogFileValidation")).lower() != "true":
            yield Occurrence(trail.at("EnableLogFileValidation"), "a changed log file of the trail is not noticed")


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


RULES = (
    Rule(
        id="audit-code",
        group="logs",
        severity=Severity.MEDIUM,
        title="A trail records who runs code.",
        reason="Sessions are data events, which CloudTrail does not record by default.",
        source=_CLOUDTRAIL,
        remedy="Set audit.trail in the environment file, or accept the finding if another trail records the events.",
        check=_audited,
    ),
    Rule(
        id="audit-data",
        group="logs",
        severity=Severity.LOW,
        title="A trail or an access log records who reads and writes data.",
        reason="CloudTrail does not record requests on objects by default.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/logging-with-S3.html",
        remedy="Record data events of AWS::S3::Object, or set LoggingConfiguration of the bucket.",
        check=_data_access_recorded,
    ),
    Rule(
        id="audit-log-files",
        group="logs",
        severity=Severity.LOW,
        title="The trail that records who runs code signs its log files.",
        reason="An identity that writes to the bucket of the trail could remove a run from a log file.",
        source="https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-intro.html",
        remedy="Set EnableLogFileValidation to true.",
        check=_log_files_signed,
    ),
    Rule(
        id="logs-retention",
        group="logs",
        severity=Severity.LOW,
        title="Logs expire.",
        reason="A log that is kept forever has data that is no longer needed.",
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html",
        remedy="Set RetentionInDays.",
        check=_logs_expire,
    ),
    Rule(
        id="logs-encryption",
        group="logs",
        severity=Severity.LOW,
        title="A key of the account encrypts logs.",
        reason="Without a key, every identity with permission to read logs reads them.",
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        remedy="Set KmsKeyId, or data_bucket.key in the environment file.",
        check=_logs_encrypted,
    ),
    Rule(
        id="logs-execution-data",
        group="logs",
        severity=Severity.MEDIUM,
        title="Logs of workflows have no inputs and results.",
        reason="Code and data of users would be in a log that other people read.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
        remedy="Set IncludeExecutionData to false.",
        check=_no_execution_data,
    ),
    Rule(
        id="logs-workflows",
        group="logs",
        severity=Severity.LOW,
        title="Workflows are logged.",
        reason="Without a log, executions disappear after 90 days.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
        remedy="Set LoggingConfiguration.Level to ALL.",
        check=_workflows_logged,
    ),
)
