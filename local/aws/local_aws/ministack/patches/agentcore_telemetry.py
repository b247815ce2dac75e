"""The telemetry of local-agentcore: its metrics go to CloudWatch, and its logs and spans to their deliveries.

The emulator's clock can be advanced, CloudWatch's cannot: a data point is never in the future. When the clock is
advanced, the data that exists becomes older instead, so that the periods of alarms end.
"""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from local_aws.ministack.patches import cloudwatch_alarms, cloudwatch_metrics, log_deliveries

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
_last_batch = [0]


def record(document: Mapping[str, Any]) -> None:
    """Records a batch. A batch that was sent again has no effect."""
    if document["batch"] <= _last_batch[0]:
        return
    _last_batch[0] = document["batch"]
    now = time.time()
    for point in document["metrics"]:
        cloudwatch_metrics.record_metric(
            point["namespace"],
            point["name"],
            point["value"],
            point["unit"],
            point["dimensions"],
            timestamp=min(point["timestamp"], now),
        )
    for (resource_arn, log_type), entries in groupby(document["logs"], _destination):
        log_deliveries.deliver(resource_arn, log_type, [entry["message"] for entry in entries])
    if document["advancedSeconds"]:
        cloudwatch_alarms.advance(document["advancedSeconds"])
    elif document["metrics"]:
        cloudwatch_alarms.evaluate_soon()


def _destination(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["resourceArn"], entry["logType"]
