"""The alarms of the templates, and the misuses that none of them detects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import ALARM
from sandpiper.review.reading.values import as_mapping, as_text

if TYPE_CHECKING:
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource


@dataclass(frozen=True)
class AlarmRow:
    """An alarm.

    Attributes:
        name: Its name.
        meaning: Its description.
        condition: When it triggers.
        notifies: The topics that it notifies; empty for none.
    """

    name: str
    meaning: str
    condition: str
    notifies: tuple[str, ...]


@dataclass(frozen=True)
class Misuse:
    """A way to misuse interpreters.

    Attributes:
        name: What is done.
        metrics: Metrics that show it. An alarm on one of them detects it.
        trace: Where it can be found afterwards.
    """

    name: str
    metrics: tuple[str, ...]
    trace: str


MISUSES = (
    Misuse(
        "Many concurrent runs or sessions", ("ActiveSessionCount", "Throttles", "Throttled"), "metrics of AgentCore"
    ),
    Misuse("Long use of processors, such as mining", ("CPUUsed-vCPUHours",), "metrics of AgentCore, costs"),
    Misuse("Requests that policies deny", ("AccessDenied",), "logs of the session function, audit trail"),
    Misuse("Names that a network does not allow", ("FirewallRuleQueryVolume",), "query log of the network"),
    Misuse("Sessions that outlive their run", ("SessionsNotStopped",), "sandpiper status"),
    Misuse("Data sent to a bucket of another account", (), "data events of that bucket, which its account has"),
    Misuse("Data sent over the internet by code with the network PUBLIC", (), "no log of this environment"),
    Misuse("Use of an execution role outside of its sandbox", (), "audit trail: source address of the role's requests"),
    Misuse("Code in AWS's managed interpreter", (), "audit trail: type AWS::BedrockAgentCore::CodeInterpreter"),
    Misuse("Deployment of other templates or policies", (), "CloudTrail management events, sandpiper status"),
    Misuse("Reads of many results by an allowed reader", (), "audit trail: data events of the bucket"),
)
"""Misuses with the metrics that alarms can use. Sources: docs/alarms.md, docs/audit.md and docs/network.md."""


def alarms_of(model: ReviewModel) -> tuple[AlarmRow, ...]:
    """Returns every alarm of the templates by name."""
    found = {one.address: _row(model, one) for one in model.of_type(ALARM)}
    return tuple(sorted(found.values(), key=lambda one: one.name))


def misuses_without_alarm(model: ReviewModel) -> tuple[Misuse, ...]:
    """Returns the misuses whose metrics no alarm uses."""
    used = {name for one in model.of_type(ALARM) for name in _metrics(one)}
    return tuple(one for one in MISUSES if not used & set(one.metrics))


def _row(model: ReviewModel, alarm: Resource) -> AlarmRow:
    number, period = as_text(alarm.get("Threshold")), as_text(alarm.get("Period"))
    metrics = ", ".join(_metrics(alarm)) or "an expression"
    operator = {"GreaterThanOrEqualToThreshold": "at least", "GreaterThanThreshold": "above"}
    verb = operator.get(as_text(alarm.get("ComparisonOperator")), "compared with")
    condition = f"{metrics} {verb} {number or 'a threshold'}{f' in {period} s' if period else ''}"
    name = as_text(alarm.get("AlarmName")) or alarm.logical_id
    topics = tuple(model.readable(as_text(one)) for one in alarm.items("AlarmActions"))
    return AlarmRow(model.readable(name), as_text(alarm.get("AlarmDescription")), condition, topics)


def _metrics(alarm: Resource) -> tuple[str, ...]:
    """Returns the names of the metrics of an alarm, also of those in expressions."""
    direct = as_text(alarm.get("MetricName"))
    queries = [as_mapping(one) for one in alarm.items("Metrics")]
    nested = [as_text(as_mapping(as_mapping(one.get("MetricStat")).get("Metric")).get("MetricName")) for one in queries]
    expressions = [as_text(one.get("Expression")) for one in queries]
    named = [name for one in MISUSES for name in one.metrics if any(f"{name}" in text for text in expressions)]
    return tuple(dict.fromkeys(filter(None, (direct, *nested, *named))))
