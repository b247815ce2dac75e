"""The table of metrics has the names, dimensions and units that AWS documents, and those of the session function."""

from __future__ import annotations

from sandpiper_contract.metric_table import ROWS, SESSION_FUNCTION
from sandpiper_contract.metrics import Metric

OPERATION = ("Resource", "Operation")
DOCUMENTED = {
    # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html
    ("AWS/Bedrock-AgentCore", "Invocations", OPERATION): "Count",
    ("AWS/Bedrock-AgentCore", "Throttles", OPERATION): "Count",
    ("AWS/Bedrock-AgentCore", "SystemErrors", OPERATION): "Count",
    ("AWS/Bedrock-AgentCore", "UserErrors", OPERATION): "Count",
    ("AWS/Bedrock-AgentCore", "Latency", OPERATION): "Milliseconds",
    ("AWS/Bedrock-AgentCore", "Duration", OPERATION): "Milliseconds",
    ("AWS/Bedrock-AgentCore", "CPUUsed-vCPUHours", ("Service",)): "vCPU-hours",
    ("AWS/Bedrock-AgentCore", "CPUUsed-vCPUHours", ("Service", "Resource")): "vCPU-hours",
    ("AWS/Bedrock-AgentCore", "MemoryUsed-GBHours", ("Service",)): "GB-hours",
    ("AWS/Bedrock-AgentCore", "MemoryUsed-GBHours", ("Service", "Resource")): "GB-hours",
    ("AWS/Bedrock-AgentCore", "ActiveSessionCount", ("Service",)): "Count",
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    ("AWS/Lambda", "Invocations", ("FunctionName",)): "Count",
    ("AWS/Lambda", "Errors", ("FunctionName",)): "Count",
    ("AWS/Lambda", "Throttles", ("FunctionName",)): "Count",
    ("AWS/Lambda", "Duration", ("FunctionName",)): "Milliseconds",
    ("AWS/Lambda", "ConcurrentExecutions", ("FunctionName",)): "Count",
    ("AWS/Lambda", "Throttles", ()): "Count",
    ("AWS/Lambda", "ConcurrentExecutions", ()): "Count",
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    ("AWS/States", "ExecutionsStarted", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionsSucceeded", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionsFailed", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionsTimedOut", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionsAborted", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionThrottled", ("StateMachineArn",)): "Count",
    ("AWS/States", "ExecutionTime", ("StateMachineArn",)): "Milliseconds",
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    ("AWS/Events", "MatchedEvents", ("RuleName",)): "Count",
    # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/monitoring-resolver-dns-firewall-with-cloudwatch.html
    ("AWS/Route53Resolver", "FirewallRuleQueryVolume", ("FirewallRuleGroupId", "FirewallDomainListId")): "Count",
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    ("AWS/S3", "BucketSizeBytes", ("BucketName", "StorageType")): "Bytes",
    ("AWS/S3", "NumberOfObjects", ("BucketName", "StorageType")): "Count",
}
"""Units by namespace, name and dimensions. AWS does not document the units of AgentCore's Duration and usage."""
HOURLY = {"CPUUsed-vCPUHours", "MemoryUsed-GBHours"}


def test_metrics_of_services_are_those_that_aws_documents() -> None:
    rows = [row for row in ROWS if row.source != SESSION_FUNCTION]
    assert {(row.namespace, row.name, row.dimensions): row.unit for row in rows} == DOCUMENTED
    assert len(rows) == len(DOCUMENTED)


def test_meanings_state_what_is_easily_misread() -> None:
    rows = {(row.name, len(row.dimensions)): row for row in ROWS if row.namespace == "AWS/Bedrock-AgentCore"}
    assert "first token" in rows["Latency", 2].meaning
    assert "not publish it for an interpreter" in rows["ActiveSessionCount", 1].meaning
    late = {row.name for row in rows.values() if "up to an hour late" in row.meaning and row.period_minutes == 60}
    assert late == HOURLY


def test_every_metric_of_the_session_function_has_a_row() -> None:
    costs = ("EstimatedUsd", "EstimatedSessionUsd")
    own = {(row.name, row.dimensions) for row in ROWS if row.source == SESSION_FUNCTION}
    assert own == {(metric.value, ("service",)) for metric in Metric} | {
        ("FailedRuns", ("service", "error")),
        ("FilesSkipped", ("service", "reason")),
        *((name, ("service", by)) for name in costs for by in ("interpreter", "workflow")),
    }
    units = {row.name: row.unit for row in ROWS if row.source == SESSION_FUNCTION and row.unit != "Count"}
    assert units == {"BytesKept": "Bytes", "SessionSeconds": "Seconds", **dict.fromkeys(costs, "None")}


def test_every_row_states_its_meaning_as_a_sentence() -> None:
    assert all(row.meaning.endswith(".") and row.meaning[0].isupper() for row in ROWS)
