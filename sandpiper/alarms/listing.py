"""Reads the alarms of an environment from CloudWatch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import boto3

STATES = ("ALARM", "INSUFFICIENT_DATA", "OK")
"""The states of an alarm, the most urgent first."""
RUNBOOK = re.compile(r" ?Runbook: (\S+)")
TEAM = re.compile(r" ?For the ([^.]+)\.")


@dataclass(frozen=True, kw_only=True)
class AlarmStatus:
    """An alarm and its state.

    Attributes:
        name: the alarm's name.
        arn: its ARN.
        state: one of `STATES`.
        since: when it got this state.
        reason: why, as CloudWatch states it.
        condition: the metric and its threshold, or the rule of a composite alarm.
        meaning: what happened when it is in the state ALARM.
        team: the team that it is for. Empty if its description names none.
        runbook: the path of its runbook. Empty if its description names none.
        topics: the ARNs that are notified.
        is_composite: whether it combines other alarms.
    """

    name: str
    arn: str
    state: str
    since: datetime
    reason: str
    condition: str
    meaning: str
    team: str
    runbook: str
    topics: tuple[str, ...]
    is_composite: bool


def list_alarms(session: boto3.Session, environment: str) -> list[AlarmStatus]:
    """Returns the alarms of an environment, those in the state ALARM first, then by name.

    Args:
        session: the credentials and the region.
        environment: the environment's name.

    Raises:
        CliError: AWS refused the call or cannot be reached.
    """
    paginator = session.client("cloudwatch").get_paginator("describe_alarms")
    found: list[AlarmStatus] = []
    with aws_errors_as_cli_errors("cloudwatch:DescribeAlarms"):
        for page in paginator.paginate(
            AlarmNamePrefix=stack_name(environment, ""), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        ):
            found += [_status(alarm, _metric_condition(alarm)) for alarm in _each(page.get("MetricAlarms", ()))]
            found += [
                _status(alarm, alarm["AlarmRule"], is_composite=True)
                for alarm in _each(page.get("CompositeAlarms", ()))
            ]
    return sorted(found, key=lambda alarm: (STATES.index(alarm.state), alarm.name))


def _each(alarms: Iterable[Any]) -> list[dict[str, Any]]:
    return [dict(alarm) for alarm in alarms]


def _status(alarm: Mapping[str, Any], condition: str, *, is_composite: bool = False) -> AlarmStatus:
    description = alarm.get("AlarmDescription", "")
    runbook, team = RUNBOOK.search(description), TEAM.search(description)
    return AlarmStatus(
        name=alarm["AlarmName"],
        arn=alarm["AlarmArn"],
        state=alarm["StateValue"],
        since=alarm["StateUpdatedTimestamp"],
        reason=alarm.get("StateReason", ""),
        condition=condition,
        meaning=TEAM.sub("", RUNBOOK.sub("", description)).strip(),
        team=team.group(1) if team else "",
        runbook=runbook.group(1) if runbook else "",
        topics=tuple(alarm.get("AlarmActions", ())) if alarm.get("ActionsEnabled", True) else (),
        is_composite=is_composite,
    )


COMPARISONS = {
    "GreaterThanOrEqualToThreshold": ">=",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
}


def _metric_condition(alarm: Mapping[str, Any]) -> str:
    """Returns the condition of an alarm on a metric, such as `Sandpiper Throttled Sum >= 5 in 5 min`."""
    comparison = COMPARISONS.get(alarm.get("ComparisonOperator", ""), alarm.get("ComparisonOperator", ""))
    if "MetricName" in alarm:
        metric = f"{alarm['Namespace']} {alarm['MetricName']} {alarm.get('Statistic', '')}"
        period = alarm["Period"]
    else:
        (query, *_) = [each for each in alarm["Metrics"] if each.get("ReturnData", True)]
        metric, period = query.get("Expression", query["Id"]), query.get("Period", 0)
    return f"{metric} {comparison} {alarm.get('Threshold', 'the expected band')!s} in {period / 60:g} min"
