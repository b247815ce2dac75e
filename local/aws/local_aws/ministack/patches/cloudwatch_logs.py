"""Log events in the embedded metric format become metrics.

MiniStack stores them only. Every service appends its events by the same function.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import new_uuid
from ministack.services import cloudwatch_logs

from local_aws.cloudwatch.emf import extract
from local_aws.ministack.patches import cloudwatch_alarms, cloudwatch_metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Event = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
_append_log_events = cloudwatch_logs._append_log_events


def install() -> None:
    """Replaces MiniStack's function that appends log events."""
    cloudwatch_logs._append_log_events = append_log_events


def append_log_events(stream: Any, events: Sequence[Event]) -> None:
    """Appends events to a log stream, and records the metrics in them."""
    _append_log_events(stream, events)
    samples = [sample for event in events for sample in extract(event["message"])]
    for sample in samples:
        metric, datum = sample.metric, sample.datum
        cloudwatch_metrics.record_metric(
            metric.namespace,
            metric.name,
            datum.minimum,
            datum.unit,
            metric.dimensions,
            timestamp=datum.timestamp,
            count=datum.count,
        )
    if samples:
        cloudwatch_alarms.evaluate_soon()


def write(group_name: str, stream_name: str, messages: Iterable[str]) -> bool:
    """Writes messages to a log group, as a service that delivers its logs. Returns False if it does not exist."""
    if group_name not in cloudwatch_logs._log_groups:
        return False
    streams = cloudwatch_logs._log_groups[group_name]["streams"]
    if stream_name not in streams:
        cloudwatch_logs._create_log_stream({"logGroupName": group_name, "logStreamName": stream_name})
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": each, "ingestionTime": now, "eventId": new_uuid()} for each in messages]
    append_log_events(streams[stream_name], events)
    cloudwatch_logs._fanout_to_subscription_filters(group_name, stream_name, events)
    return True
