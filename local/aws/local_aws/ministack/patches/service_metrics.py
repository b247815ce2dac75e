"""Metrics that Step Functions and EventBridge publish, and MiniStack does not.

https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ministack.services import eventbridge

from local_aws.ministack.patches import cloudwatch_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
STATES, EVENTS = "AWS/States", "AWS/Events"
EXECUTION_METRICS = {
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}
RULE = "rule "
DEFAULT_BUS = "default"
_matches_pattern_view = eventbridge._matches_pattern_view


def install() -> None:
    """Replaces MiniStack's function that matches an event with the pattern of a rule."""
    eventbridge._matches_pattern_view = matches_pattern_view


def record_start(record: Mapping[str, Any]) -> None:
    """Records that an execution has started."""
    cloudwatch_metrics.record_metric(STATES, "ExecutionsStarted", 1, "Count", _dimensions(record))


def record_end(record: Mapping[str, Any]) -> None:
    """Records the outcome of an execution and its duration in milliseconds. Executions of a Map Run have none."""
    if record.get("mapRunArn"):
        return
    dimensions = _dimensions(record)
    cloudwatch_metrics.record_metric(STATES, EXECUTION_METRICS[record["status"]], 1, "Count", dimensions)
    duration = _time(record["stopDate"]) - _time(record["startDate"])
    cloudwatch_metrics.record_metric(STATES, "ExecutionTime", duration * 1000, "Milliseconds", dimensions)


def _dimensions(record: Mapping[str, Any]) -> dict[str, str]:
    return {"StateMachineArn": record["stateMachineArn"]}


def _time(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def matches_pattern_view(pattern: Any, view: Any, source: str = "") -> bool:
    """Returns whether an event matches a pattern. An event that matches a rule is counted."""
    is_match = _matches_pattern_view(pattern, view, source)
    if is_match and source.startswith(RULE):
        bus, _, name = source.removeprefix(RULE).partition("|")
        others = {} if bus == DEFAULT_BUS else {"EventBusName": bus}
        cloudwatch_metrics.record_metric(EVENTS, "MatchedEvents", 1, "Count", {"RuleName": name, **others})
    return is_match
