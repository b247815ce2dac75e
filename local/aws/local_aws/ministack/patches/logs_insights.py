"""Queries of CloudWatch Logs Insights. MiniStack supports `fields`, `filter`, `sort` and `limit` only."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, get_account_id, json_response, new_uuid
from ministack.services import cloudwatch_logs

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.logs_insights.query import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"


def install() -> None:
    """Replaces MiniStack's StartQuery. Its other operations return what it stores."""
    cloudwatch_logs._start_query = start_query


def start_query(request: Mapping[str, Any]) -> Any:
    """StartQuery. The query has ended when this returns."""
    groups = cloudwatch_logs._resolve_query_log_groups(request)
    missing = [name for name in groups if name not in cloudwatch_logs._log_groups]
    if missing or not groups:
        message = f"Log group '{missing[0]}' does not exist" if missing else "A log group is required"
        return error_response_json(
            "ResourceNotFoundException" if missing else "InvalidParameterException", message, 400
        )
    try:
        query = parse(request.get("queryString", ""))
    except InvalidQueryError as error:
        return error_response_json("MalformedQueryException", str(error), 400)
    start, end = request.get("startTime", 0) * 1000, request.get("endTime", int(time.time())) * 1000 + 999
    records = _records(groups, start, end)
    rows, matched = query.run(records, request.get("limit"))
    identifier = new_uuid()
    cloudwatch_logs._queries[identifier] = {
        **{name: request.get(name) for name in ("logGroupName", "logGroupNames", "logGroupIdentifiers", "queryString")},
        "queryId": identifier,
        "startTime": start // 1000,
        "endTime": end // 1000,
        "status": "Complete",
        "results": [[{"field": name, "value": value} for name, value in row.items()] for row in rows],
        "statistics": {
            "recordsMatched": float(matched),
            "recordsScanned": float(len(records)),
            "bytesScanned": float(sum(len(record["@message"]) for record in records)),
        },
    }
    return json_response({"queryId": identifier})


def _records(groups: list[str], start: int, end: int) -> list[dict[str, Any]]:
    """Returns the events of log groups in a range of milliseconds, in the order of time."""
    found = [
        {
            "@timestamp": float(event["timestamp"]),
            "@message": event["message"],
            "@logStream": stream_name,
            "@log": f"{get_account_id()}:{group}",
            "@ingestionTime": float(event.get("ingestionTime", event["timestamp"])),
            "@ptr": event.get("eventId", ""),
        }
        for group in groups
        for stream_name, stream in cloudwatch_logs._log_groups[group]["streams"].items()
        for event in list(stream["events"])
        if start <= event["timestamp"] <= end
    ]
    return sorted(found, key=lambda record: record["@timestamp"])
