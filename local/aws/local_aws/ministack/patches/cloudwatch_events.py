"""The events of alarms on the default event bus.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.services import eventbridge

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
DETAIL_TYPE = "CloudWatch Alarm State Change"
log = logging.getLogger(__name__)


def publish_state_change(record: Mapping[str, Any], old: str, new: str, reason: str) -> None:
    """Publishes that an alarm has changed its state. An error does not affect the alarm."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    state = {"value": new, "reason": reason, "timestamp": now}
    if data := record.get("StateReasonData"):
        state["reasonData"] = data
    detail = {
        "alarmName": record["AlarmName"],
        "state": state,
        "previousState": {"value": old},
        "configuration": _configuration(record),
    }
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "Resources": [record["AlarmArn"]],
    }
    try:
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        log.warning("The event of the alarm %s was not published", record["AlarmName"], exc_info=True)


def _configuration(record: Mapping[str, Any]) -> dict[str, Any]:
    description = {"description": record.get("AlarmDescription") or ""}
    if rule := record.get("AlarmRule"):
        return {**description, "alarmRule": rule}
    return {**description, "metrics": [_metric(query) for query in record.get("Metrics") or [_query(record)]]}


def _query(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the metric of an alarm as a query."""
    metric = {name: record.get(name) for name in ("Namespace", "MetricName", "Dimensions")}
    stat = record.get("ExtendedStatistic") or record.get("Statistic")
    return {"Id": "m1", "MetricStat": {"Metric": metric, "Period": record.get("Period"), "Stat": stat}}


def _metric(query: Mapping[str, Any]) -> dict[str, Any]:
    common = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    stat = query.get("MetricStat")
    if stat is None:
        return {**common, "expression": query["Expression"]}
    metric = {
        "namespace": stat["Metric"]["Namespace"],
        "name": stat["Metric"]["MetricName"],
        "dimensions": {each["Name"]: each["Value"] for each in stat["Metric"].get("Dimensions") or ()},
    }
    return {**common, "metricStat": {"metric": metric, "period": int(stat["Period"]), "stat": stat["Stat"]}}
