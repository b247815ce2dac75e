"""Sends the notification of an alarm, to test that it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import boto3

    from sandpiper.alarms.listing import AlarmStatus

REASON = "Test of the notification by `sandpiper alarms test`. Nothing happened."


def select_alarm(alarms: Sequence[AlarmStatus], name: str | None, environment: str) -> AlarmStatus:
    """Returns the alarm with a name, or the first one that notifies a topic.

    Args:
        alarms: the alarms of the environment.
        name: the alarm's name, or its part after `sandpiper-ENV-`. Default: the first with a topic.
        environment: the environment's name.

    Raises:
        CliError: The environment has no such alarm, the alarm has no topic, or it is in the state ALARM already.
    """
    if not alarms:
        raise CliError(f"environment {environment} has no alarms: deploy it first")
    if name is None:
        with_topic = [alarm for alarm in alarms if alarm.topics and alarm.state != "ALARM"]
        if not with_topic:
            raise CliError(
                f"no alarm of {environment} notifies a topic: set alarm_subscriptions or alarm_topic_arn and deploy"
            )
        return with_topic[0]
    full = name if name.startswith("sandpiper-") else f"sandpiper-{environment}-{name}"
    alarm = next((each for each in alarms if each.name == full), None)
    if alarm is None:
        raise CliError(f"no alarm {full}; allowed: {' | '.join(each.name for each in alarms)}")
    if not alarm.topics:
        raise CliError(f"{full} notifies no topic: set alarm_subscriptions or alarm_topic_arn and deploy")
    if alarm.state == "ALARM":
        raise CliError(f"{full} is in the state ALARM, so a test would send no notification; choose another alarm")
    return alarm


def send_test(session: boto3.Session, alarm: AlarmStatus) -> None:
    """Sets an alarm to ALARM, so that CloudWatch notifies its topics, and back to its state.

    CloudWatch evaluates the alarm's metric again after that. The reason in the notification is `REASON`.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html

    Raises:
        CliError: AWS refused a call or cannot be reached.
    """
    client = session.client("cloudwatch")
    with aws_errors_as_cli_errors("cloudwatch:SetAlarmState"):
        client.set_alarm_state(AlarmName=alarm.name, StateValue="ALARM", StateReason=REASON)
        state = "OK" if alarm.state == "OK" else "INSUFFICIENT_DATA"
        client.set_alarm_state(AlarmName=alarm.name, StateValue=state, StateReason=REASON)
