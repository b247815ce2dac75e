"""Logs Insights queries on the log of the session function, as data: saved queries and tables on dashboards.

The log has one line for each operation that ended: `run done` or `run failed`, with the ARN of the execution.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import aws_logs as logs

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    """A query on the log of a session function.

    Attributes:
        name: the query's name, which states the question that it answers.
        query: the commands of the query.
    """

    name: str
    query: str

    @property
    def line(self) -> str:
        """The query in one line, as the body of a dashboard contains it."""
        return " | ".join(part.removeprefix("| ") for part in self.query.splitlines() if not part.startswith("#"))


RUN_EVENTS = LogQuery(
    name="What a run did",
    query="# Replace EXECUTION with the name or the ARN of the execution.\n"
    "fields @timestamp, operation, message, error, exitCode, status, executionTimeMs, calls, sessionSeconds\n"
    "| filter execution like 'EXECUTION'\n"
    "| sort @timestamp asc\n"
    "| limit 1000",
)
RUN_COSTS = LogQuery(
    name="What runs cost",
    query="filter ispresent(estimatedUsd)\n"
    "| stats sum(estimatedUsd) as usd, sum(sessionSeconds) as seconds, sum(calls) as agentcoreCalls by execution\n"
    "| sort usd desc\n"
    "| limit 50",
)
SLOWEST_RUNS = LogQuery(
    name="Slowest runs",
    query="filter ispresent(executionTimeMs)\n"
    "| stats max(executionTimeMs) as milliseconds by execution, operation\n"
    "| sort milliseconds desc\n"
    "| limit 20",
)
FAILURES_BY_CAUSE = LogQuery(
    name="Failures by cause",
    query="filter message like 'run failed'\n"
    "| stats count(*) as failures, max(@timestamp) as last by error, operation\n"
    "| sort failures desc\n"
    "| limit 50",
)
WHO_RAN_WHAT = LogQuery(
    name="Who ran what",
    query="# The audit trail states which role started an execution.\n"
    "filter ispresent(estimatedUsd)\n"
    "| stats count(*) as operations, min(@timestamp) as first, max(@timestamp) as last by execution\n"
    "| sort last desc\n"
    "| limit 100",
)
QUERIES = (RUN_EVENTS, RUN_COSTS, SLOWEST_RUNS, FAILURES_BY_CAUSE, WHO_RAN_WHAT)
"""The saved queries."""
MAX_MEMORY = LogQuery(
    name="Memory of the session function",
    query="filter @type = 'REPORT'\n"
    "| stats max(@maxMemoryUsed / 1000000) as usedMB, max(@memorySize / 1000000) as allocatedMB by bin(1h) as hour\n"
    "| sort hour desc\n"
    "| limit 24",
)
"""Lambda writes the used memory to the log only. https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html"""


def save_queries(scope: Construct, folder: str, log_group_name: str) -> None:
    """Creates the saved queries for a log group. The console shows them in a folder.

    Args:
        scope: parent construct.
        folder: the name of the folder, unique in the account and Region.
        log_group_name: the log group.
    """
    for query in QUERIES:
        logs.CfnQueryDefinition(
            scope,
            query.name.title().replace(" ", ""),
            name=f"{folder}/{query.name}",
            query_string=query.query,
            log_group_names=[log_group_name],
        )
