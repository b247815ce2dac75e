"""Alarms of CloudWatch: their evaluation, their events, and alarms on expressions.

MiniStack evaluates an alarm on one metric name only when data is put, over all dimensions, and knows neither missing
data nor data points to alarm.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch

from local_aws.cloudwatch.alarm import Alarm, Evaluation, reason
from local_aws.cloudwatch.alarm_state import State
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.ministack.patches import cloudwatch_events, cloudwatch_metrics
from local_aws.ministack.patches.cloudwatch_metrics import STORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    Record = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
EVALUATION_SECONDS = 10
"""How often all alarms are evaluated, besides when alarms are described and soon after data is put."""
NEW_DATA_SECONDS = 0.5
"""How long after new data alarms are evaluated. All take 10 ms, and a busy second has hundreds of data points."""
HOLD_SECONDS = 60
"""How long the state of SetAlarmState stays. CloudWatch evaluates most alarms once a minute."""
EXPRESSION_FIELDS = ("Metrics", "ThresholdMetricId")
METRIC_FIELDS = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic", "Unit")
_put_metric_alarm, _describe_alarms = cloudwatch._put_metric_alarm, cloudwatch._describe_alarms
_set_alarm_state, _dispatch_alarm_actions = cloudwatch._set_alarm_state, cloudwatch._dispatch_alarm_actions
_evaluating = threading.RLock()
_held_until: dict[str, float] = {}
_has_new_data = threading.Event()
log = logging.getLogger(__name__)


def install() -> None:
    """Replaces MiniStack's evaluation of alarms, and starts a thread that evaluates them."""
    cloudwatch._evaluate_alarm = evaluate
    cloudwatch._evaluate_all_alarms = evaluate_soon
    cloudwatch._put_metric_alarm = put_metric_alarm
    cloudwatch._describe_alarms = describe_alarms
    cloudwatch._set_alarm_state = set_alarm_state
    cloudwatch._dispatch_alarm_actions = dispatch_alarm_actions
    threading.Thread(target=_evaluate_forever, name="alarms", daemon=True).start()


def _evaluate_forever() -> None:
    while True:
        if _has_new_data.wait(EVALUATION_SECONDS):
            time.sleep(NEW_DATA_SECONDS)
            _has_new_data.clear()
        evaluate_all()


def evaluate_soon() -> None:
    """Evaluates all metric alarms within a second, once for all data that arrives until then."""
    _has_new_data.set()


def evaluate_all() -> None:
    """Evaluates all metric alarms. Composite alarms follow the alarms of their rules."""
    for record in list(cloudwatch._alarms.values()):
        try:
            evaluate(record)
        except Exception:
            log.exception("The alarm %s was not evaluated", record["AlarmName"])


def evaluate(record: Record) -> None:
    """Evaluates an alarm now, unless its state was set in the last minute."""
    with _evaluating:
        is_complete = record.get("MetricName") or record.get("Metrics")
        if not is_complete or time.monotonic() < _held_until.get(record["AlarmArn"], 0):
            return
        try:
            evaluation = Alarm.parse(record).evaluate(STORE, time.time(), State(record["StateValue"]))
        except InvalidQueryError as error:
            evaluation = Evaluation(State.INSUFFICIENT_DATA, f"The alarm cannot be evaluated: {error}")
        if evaluation.state.value != record["StateValue"]:
            _change_state(record, evaluation)


def _change_state(record: Record, evaluation: Evaluation) -> None:
    old, new = record["StateValue"], evaluation.state.value
    text = reason(evaluation, old)
    now = time.time()
    record.update(StateValue=new, StateReason=text, StateUpdatedTimestamp=now, StateTransitionedTimestamp=now)
    cloudwatch._record_history(record["AlarmName"], old, new, text)
    cloudwatch._dispatch_alarm_actions(record, old, new, text)
    cloudwatch._evaluate_parent_alarms(record)


def dispatch_alarm_actions(record: Record, old: str, new: str, text: str) -> None:
    """Publishes the event of a state change, and notifies the topics of the alarm if its actions are enabled."""
    cloudwatch_events.publish_state_change(record, old, new, text)
    _dispatch_alarm_actions(record, old, new, text)


def put_metric_alarm(parameters: Any, request: Mapping[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    """PutMetricAlarm, also with expressions."""
    try:
        if request.get("Metrics"):
            Alarm.parse({**request, "StateValue": State.OK.value})
    except InvalidQueryError as error:
        return cloudwatch._error("ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor)
    response = _put_metric_alarm(parameters, request, is_cbor, is_json)
    record = cloudwatch._alarms.get(request.get("AlarmName"))
    if response[0] == 200 and record is not None:
        with_expressions(record, request)
        evaluate(record)
    return response


def with_expressions(record: Record, source: Mapping[str, Any]) -> Record:
    """Sets the expressions of an alarm in its record, which then has only these."""
    if source.get("Metrics"):
        for name in METRIC_FIELDS:
            record.pop(name, None)
        record.update({name: source[name] for name in EXPRESSION_FIELDS if source.get(name)})
    if "ThresholdMetricId" in record:
        record.pop("Threshold", None)
    return record


def describe_alarms(*arguments: Any) -> Any:
    """DescribeAlarms. The alarms are evaluated first."""
    evaluate_all()
    return _describe_alarms(*arguments)


def set_alarm_state(parameters: Any, request: Mapping[str, Any], *flags: bool) -> Any:
    """SetAlarmState. The alarm keeps the state until its next evaluation."""
    name = request.get("AlarmName") or cloudwatch._p(parameters, "AlarmName")
    record = cloudwatch._alarms.get(name)
    if record is not None:
        _held_until[record["AlarmArn"]] = time.monotonic() + HOLD_SECONDS
    return _set_alarm_state(parameters, request, *flags)


def advance(seconds: float) -> None:
    """Lets time pass for metrics and alarms: all data becomes older, and no state of SetAlarmState stays."""
    cloudwatch_metrics.make_older(seconds)
    _held_until.clear()
    evaluate_all()
