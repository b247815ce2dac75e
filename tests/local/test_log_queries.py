"""Every Logs Insights query of the product works on the log of a real run, which also has the metrics of dashboards."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from sandpiper_constructs.log_queries import (
    FAILURES_BY_CAUSE,
    MAX_MEMORY,
    QUERIES,
    RUN_COSTS,
    RUN_EVENTS,
    SLOWEST_RUNS,
    WHO_RAN_WHAT,
    LogQuery,
)
from sandpiper_contract import metric_table as table
from tests.support.cli import sandpiper
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.deployment import Deployment

CHECKS: dict[LogQuery, Callable[[dict[str, str], str], bool]] = {
    RUN_EVENTS: lambda row, _: row.get("message") == "run done" and int(row["calls"]) >= 3,
    RUN_COSTS: lambda row, run: run in row.get("execution", "") and float(row["usd"]) > 0,
    SLOWEST_RUNS: lambda row, run: run in row.get("execution", "") and float(row["milliseconds"]) > 0,
    FAILURES_BY_CAUSE: lambda row, _: row.get("error") == "CodeFailed" and int(row["failures"]) >= 1,
    WHO_RAN_WHAT: lambda row, run: run in row.get("execution", "") and int(row["operations"]) >= 1,
    MAX_MEMORY: lambda row, _: 0 < float(row["usedMB"]) <= float(row["allocatedMB"]),
}
"""Whether a row is what the query promises about a run."""


@pytest.fixture(scope="module")
def runs(deployed: Deployment) -> tuple[str, str, int]:  # noqa: ARG001 - it deploys the product
    """Runs a program, and one that fails.

    Returns:
        The name of the first execution, the log group of the function, and when the run started, in s.
    """
    started = int(time.time())
    ran = sandpiper("run", "-", text="print(1)")
    sandpiper("run", "-", "--fail-on-error", text="exit(3)")
    (arn,) = re.findall(r"execution (arn:\S+)", ran.stderr)
    found: Any = (
        cast("Any", boto3)
        .client("logs")
        .describe_log_groups(logGroupNamePrefix=f"sandpiper-{ENVIRONMENT}-{TENANT}-SessionFunction")
    )
    return arn.rpartition(":")[2], found["logGroups"][0]["logGroupName"], started


def rows_of(query: str, log_group: str, since: int) -> list[dict[str, str]]:
    """Runs a query on the time since the run. Returns its rows, of which earlier runs would use the maximum number."""
    logs, until = cast("Any", boto3).client("logs"), int(time.time()) + 60
    started = logs.start_query(logGroupName=log_group, startTime=since, endTime=until, queryString=query)
    found = eventually(
        lambda: logs.get_query_results(queryId=started["queryId"]), lambda found: found["status"] == "Complete"
    )
    return [{cell["field"]: cell["value"] for cell in row} for row in found["results"]]


@pytest.mark.parametrize(
    "row",
    [
        table.FUNCTION_CONCURRENCY,
        table.ACCOUNT_FUNCTION_CONCURRENCY,
        table.FUNCTION_DURATION,
        table.BUCKET_BYTES,
        table.BUCKET_OBJECTS,
    ],
    ids=lambda row: f"{row.namespace} {row.name} {len(row.dimensions)}",
)
@pytest.mark.skipif(ON_AWS, reason="the metrics of a run appear later on AWS")
def test_run_has_metrics_of_its_function_and_bucket(
    deployed: Deployment,
    runs: tuple[str, str, int],  # noqa: ARG001 - it invokes the function
    row: table.MetricRow,
) -> None:
    values = {
        "BucketName": deployed.bucket,
        "StorageType": "StandardStorage" if row is table.BUCKET_BYTES else "AllStorageTypes",
    }
    cloudwatch, now = cast("Any", boto3).client("cloudwatch"), time.time()
    if "FunctionName" in row.dimensions:
        listed = cloudwatch.list_metrics(Namespace=row.namespace, MetricName=row.name)["Metrics"]
        names = [each["Value"] for metric in listed for each in metric["Dimensions"]]
        values["FunctionName"] = next(name for name in names if f"-{TENANT}-SessionFunction" in name)
    found = cloudwatch.get_metric_statistics(
        Namespace=row.namespace,
        MetricName=row.name,
        Dimensions=[{"Name": name, "Value": values[name]} for name in row.dimensions],
        StartTime=now - 3_600,
        EndTime=now + 60,
        Period=3_600 * 24,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert found[0]["Maximum"] >= 1


def test_every_saved_query_has_a_check() -> None:
    assert {*QUERIES} < CHECKS.keys()


@pytest.mark.parametrize("query", CHECKS, ids=lambda query: query.name)
@pytest.mark.parametrize("form", ["saved", "on a dashboard"])
def test_query_answers_its_question_about_a_real_run(runs: tuple[str, str, int], query: LogQuery, form: str) -> None:
    run, log_group, since = runs
    text = (query.query if form == "saved" else query.line).replace("EXECUTION", run)
    check = CHECKS[query]
    eventually(lambda: rows_of(text, log_group, since), lambda rows: any(check(row, run) for row in rows))
