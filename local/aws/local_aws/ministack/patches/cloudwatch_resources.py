"""Alarms as CloudFormation resources: those on expressions, and composite alarms.

MiniStack's CloudFormation rejects alarms on expressions and has no composite alarms.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from local_aws.cloudwatch.alarm import Alarm
from local_aws.cloudwatch.alarm_state import State
from local_aws.ministack.patches import cloudwatch_alarms
from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
PLACEHOLDER = {"MetricName": "-", "Namespace": "-"}
COMPOSITE_MEMBERS = (
    *("ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmRule", "InsufficientDataActions", "OKActions"),
    *("ActionsSuppressor", "ActionsSuppressorExtensionPeriod", "ActionsSuppressorWaitPeriod"),
)
_metric_alarm_record = provisioners._cw_metric_alarm_record


def install() -> None:
    """Replaces MiniStack's record of the properties of an alarm."""
    provisioners._cw_metric_alarm_record = metric_alarm_record


def metric_alarm_record(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the record of an alarm. Raises ValueError if an expression is invalid."""
    if not properties.get("Metrics"):
        return _metric_alarm_record(name, properties)
    others = {key: value for key, value in properties.items() if key != "Metrics"}
    record = _metric_alarm_record(name, {"Threshold": 0, **PLACEHOLDER, **others})
    record = cloudwatch_alarms.with_expressions(record, properties)
    Alarm.parse({**record, "StateValue": State.OK.value})
    return record


class CompositeAlarm:
    """The handlers of `AWS::CloudWatch::CompositeAlarm`."""

    create_only: tuple[str, ...] = ("AlarmName",)

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Calls PutCompositeAlarm."""
        name = properties.get("AlarmName") or provisioners._physical_name(stack_name, logical_id, max_len=255)
        return self._put(name, properties)

    def update(
        self,
        physical_id: str,
        before: dict[str, Any],  # noqa: ARG002 - signature of ResourceType
        after: dict[str, Any],
        stack_name: str,  # noqa: ARG002 - signature of ResourceType
    ) -> tuple[str, dict[str, str]]:
        """Calls PutCompositeAlarm."""
        return self._put(physical_id, after)

    def _put(self, name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        members = {member: properties[member] for member in COMPOSITE_MEMBERS if member in properties}
        request = {"AlarmName": name, **members}
        request["ActionsEnabled"] = str(members.get("ActionsEnabled", True)).lower() == "true"
        _raise_error(cloudwatch._put_composite_alarm({}, request, False, True))
        cloudwatch.cloudformation_set_metric_alarm_tags(name, properties.get("Tags", []))
        return name, {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"}

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:  # noqa: ARG002 - signature of ResourceType
        """Calls DeleteAlarms, which ignores an alarm that does not exist."""
        _raise_error(cloudwatch._delete_alarms({}, {"AlarmNames": [physical_id]}, False, True))


def _raise_error(response: tuple[int, Any, bytes]) -> None:
    """Raises ValueError with the message of an error response."""
    status, _, body = response
    if status != 200:
        raise ValueError(json.loads(body)["message"])
