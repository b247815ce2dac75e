"""A run of the deployed product is joined to its usage and its spans, and its metrics arrive."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from sandpiper_constructs.interpreter_logs import LOG_GROUP_FOLDER
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="AWS delivers usage and spans minutes later: docs/logs.md has the probe")
DEADLINE_SECONDS = 20


def eventually(read: Callable[[], Any]) -> Any:
    """Returns the first non-empty value that `read` returns."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := read()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def messages(group: str, text: str) -> list[dict[str, Any]]:
    events = boto3.client("logs").filter_log_events(logGroupName=group, filterPattern=f'"{text}"')["events"]
    found = [event.get("message", "") for event in events]
    return [json.loads(message) for message in found if message.startswith("{")]


def group_of(part: str) -> str:
    names = [each.get("logGroupName", "") for each in boto3.client("logs").describe_log_groups()["logGroups"]]
    (name,) = [name for name in names if part in name]
    return name


def test_run_is_joined_to_its_spans_and_its_usage(product: Product) -> None:
    product.run("print(sum(range(3_000_000)))")
    arn = product.deployment.run_code_arn
    executions = product.session.client("stepfunctions").list_executions(stateMachineArn=arn, maxResults=1)
    execution = executions["executions"][0]["name"]
    logged = eventually(lambda: messages(group_of(f"sandpiper-{ENVIRONMENT}-{TENANT}-SessionFunction"), execution))
    traces = {each["xray_trace_id"] for each in logged if "xray_trace_id" in each}
    assert len(traces) == 1, "all lines of an execution have the trace of the execution"
    trace = traces.pop().removeprefix("1-").replace("-", "")
    stopped = eventually(
        lambda: [each for each in messages("aws/spans", trace) if each["name"] == "StopCodeInterpreterSession"]
    )
    session = stopped[0]["attributes"]["toolsession.id"]
    group = group_of(f"{LOG_GROUP_FOLDER}sandpiper-{ENVIRONMENT}-{TENANT}/USAGE_LOGS/")
    usage = eventually(lambda: messages(group, session))
    assert sum(each["codeInterpreter.vcpu.hours.used"] for each in usage) > 0


def test_metrics_of_the_session_function_arrive(product: Product) -> None:
    product.run("1")
    listed = eventually(lambda: cast("Any", boto3).client("cloudwatch").list_metrics(Namespace="Sandpiper")["Metrics"])
    assert "Runs" in {each["MetricName"] for each in listed}
