"""Data of a run on the embedded AWS, read with the calls that CloudWatch's console makes."""

from __future__ import annotations

import datetime
import re
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.dashboards.data import LogRows, NoDataError, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import boto3

    from sandpiper.dashboards.alarms import State
    from sandpiper.dashboards.model import LogWidget
    from sandpiper.dashboards.times import Window

MAX_QUERIES = 500
"""Queries of one GetMetricData call. A widget has at most as many metrics."""
MAX_ALARM_NAMES = 100
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""
LOG_SOURCE = re.compile(r"\s*SOURCE\s+'([^']+)'\s*\|", re.IGNORECASE)
LOG_SECONDS = 10
"""How long a log query may run."""
POLL_SECONDS = 0.1
MAX_LOG_ROWS = 50


class EmbeddedData:
    """Reads data from the embedded AWS. Methods raise CliError when it cannot be reached."""

    is_synthetic = False

    def __init__(self, session: boto3.Session) -> None:
        """Creates the clients.

        Args:
            session: the credentials and the region.
        """
        self._cloudwatch = session.client("cloudwatch")
        self._logs = session.client("logs")
        self.name = f"embedded AWS at {self._cloudwatch.meta.endpoint_url}"
        self.now = datetime.datetime.now(datetime.UTC)

    def series(self, queries: Sequence[Mapping[str, Any]], window: Window) -> list[Series]:
        """Returns the result of GetMetricData. Raises NoDataError for a query that it rejects."""
        found: dict[tuple[str, str], dict[int, float]] = {}
        calls = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=list(queries),  # pyright: ignore[reportArgumentType] - created by `metric_queries`
            StartTime=datetime.datetime.fromtimestamp(window.start, datetime.UTC),
            EndTime=datetime.datetime.fromtimestamp(window.end, datetime.UTC),
            ScanBy="TimestampAscending",
        )
        with aws_errors_as_cli_errors("cloudwatch:GetMetricData"):
            try:
                for page in calls:
                    for one in page["MetricDataResults"]:
                        values = found.setdefault((one.get("Id", ""), one.get("Label", "")), {})
                        times = (int(timestamp.timestamp()) for timestamp in one.get("Timestamps", []))
                        values.update(zip(times, one.get("Values", []), strict=False))
            except ClientError as error:
                raise NoDataError(
                    f"CloudWatch rejected the query: {error.response.get('Error', {}).get('Message')}"
                ) from None
        return [Series(id_, label, dict(sorted(values.items()))) for (id_, label), values in found.items()]

    def alarm_states(self, names: Iterable[str]) -> Mapping[str, State]:
        """Returns the states of alarms by name. Alarms that do not exist are missing."""
        states: dict[str, State] = {}
        ordered = sorted(set(names))
        with aws_errors_as_cli_errors("cloudwatch:DescribeAlarms"):
            for start in range(0, len(ordered), MAX_ALARM_NAMES):
                pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
                    AlarmNames=ordered[start : start + MAX_ALARM_NAMES], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
                )
                for page in pages:
                    for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])):
                        states[alarm.get("AlarmName", "")] = alarm.get("StateValue", "INSUFFICIENT_DATA")
        return states

    def log_rows(self, widget: LogWidget, window: Window) -> LogRows:
        """Returns the result of a log query. Raises NoDataError when it fails or takes longer than 10 s."""
        groups, query = log_sources(widget.query)
        with aws_errors_as_cli_errors("logs:StartQuery and logs:GetQueryResults"):
            try:
                rows = self._run(groups, query, window)
            except ClientError as error:
                raise NoDataError(f"The log query failed: {error.response.get('Error', {}).get('Message')}") from None
        columns = tuple(dict.fromkeys(name for row in rows for name in row if name != "@ptr"))
        return LogRows(columns, tuple(tuple(row.get(name, "") for name in columns) for row in rows))

    def _run(self, groups: Sequence[str], query: str, window: Window) -> list[dict[str, str]]:
        started = self._logs.start_query(
            logGroupNames=list(groups),
            startTime=window.start,
            endTime=window.end,
            queryString=query,
            limit=MAX_LOG_ROWS,
        )
        deadline = time.monotonic() + LOG_SECONDS
        while True:
            result = self._logs.get_query_results(queryId=started["queryId"])
            status = result["status"]
            if status == "Complete":
                return [{cell.get("field", ""): cell.get("value", "") for cell in row} for row in result["results"]]
            if status not in ("Running", "Scheduled") or time.monotonic() > deadline:
                raise NoDataError(f"The log query ended with the status {status}.")
            time.sleep(POLL_SECONDS)


def log_sources(query: str) -> tuple[list[str], str]:
    """Splits the query of a widget into its log groups and the query for StartQuery."""
    groups: list[str] = []
    while match := LOG_SOURCE.match(query):
        groups.append(match[1])
        query = query[match.end() :]
    return groups, query.strip()
