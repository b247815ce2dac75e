"""Checks the subscriptions of alarm topics against the other options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue
from sandpiper_contract.aws import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.model import Environment


def _check_one_topic(environment: Environment) -> Iterator[ConfigIssue]:
    for name, subscriptions in environment.own_alarm_topics.items():
        option = name.replace("subscriptions", "topic_arn")
        if getattr(environment, option) is not None:
            yield ConfigIssue(
                key_path=(name,),
                problem=f"is set together with {option}",
                allowed=f"one of {name}, {option}",
                remedy="remove one of them; subscribe to an existing topic where it is created",
                depends_on=((option,),),
            )
        if subscriptions.is_empty:
            yield ConfigIssue(
                key_path=(name,),
                problem="has no recipient",
                allowed="at least one of emails, https, slack",
                remedy="add one, or remove the option",
            )


def _check_slack_region(environment: Environment) -> Iterator[ConfigIssue]:
    """Rejects Slack in China and GovCloud, where AWS::Chatbot::SlackChannelConfiguration is unavailable."""
    if partition_of(environment.region) == "aws":
        return
    for name, subscriptions in environment.own_alarm_topics.items():
        if subscriptions.slack is not None:
            yield ConfigIssue(
                key_path=(name, "slack"),
                problem=f"is set, but {environment.region} has no Amazon Q Developer in chat applications",
                allowed="no slack in China and GovCloud",
                remedy="use an incoming address of the channel in emails",
                depends_on=(("region",),),
            )


SUBSCRIPTION_CHECKS = (_check_one_topic, _check_slack_region)
