"""Every Logs Insights query of the product works on the log of a real run."""

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
from tests.support.cli import sandpiper
from tests.support.target import ENVIRONMENT, TENANT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.deployment import Deployment

CHECKS: dict[LogQuery, Callable[[dict[str, str], str], bool]] = {
    RUN_EVENTS: lambda row, _: row.get("message") == "run done" and int(row["calls"]) >= 3,
    RUN_COSTS: lambda row, run: run in row.get("execution", "") and float(row["usd"]) > 0,
    ),
    SLOWEST_RUNS: lambda row, run: run in row.get("execution", "") and float(row["milliseconds"]) > 0,
    FAILURES_BY_CAUSE: lambda row, _: row.get("error") == "CodeFailed" and int(row["failures"]) >= 1,
    WHO_RAN_WHAT: lambda row, run: run in row.get("execution", "") and int(row["operations"]) >= 1,
    MAX_MEMORY: lambda row, _: 0 < float(row["usedMB"]) <= float(row["allocatedMB"]),
}
"""Whether a row is what the query promises about a run."""


@pytest.fixture(scope="module")
def runs(deployed: Deployment) -> tuple[str, str]:  # noqa: ARG001 - it deploys the product
    """Runs a program, and one that fails. Returns the name of the first execution and the log group of the function."""
    ran = sandpiper("run", "-", text="print(1)")
    sandpiper("run", "-", "--fail-on-error", text="exit(3)")
    (arn,) = re.findall(r"execution (arn:\S+)", ran.stderr)
    found: Any = (
        cast("Any", boto3)
        .client("logs")
        .describe_log_groups(logGroupNamePrefix=f"sandpiper-{ENVIRONMENT}-{TENANT}-SessionFunction")
    )
    return arn.rpartition(":")[2], found["logGroups"][0]["logGroupName"]


def rows_of(query: str, log_group: str) -> list[dict[str, str]]:
    """Runs a query on the last hour. Returns its rows."""
    logs, now = cast("Any", boto3).client("logs"), int(time.time())
    started = logs.start_query(logGroupName=log_group, startTime=now - 3_600, endTime=now + 60, queryString=query)
    found = eventually(
        lambda: logs.get_query_results(queryId=started["queryId"]), lambda found: found["status"] == "Complete"
    )
    return [{cell["field"]: cell["value"] for cell in row} for row in found["results"]]


def test_every_saved_query_has_a_check() -> None:
    assert {*QUERIES} < CHECKS.keys()


@pytest.mark.parametrize("query", CHECKS, ids=lambda query: query.name)
@pytest.mark.parametrize("form", ["saved", "on a dashboard"])
def test_query_answers_its_question_about_a_real_run(runs: tuple[str, str], query: LogQuery, form: str) -> None:
    run, log_group = runs
    text = (query.query if form == "saved" else query.line).replace("EXECUTION", run)
    check = CHECKS[query]
    eventually(lambda: rows_of(text, log_group), lambda rows: any(check(row, run) for row in rows))
