"""Creates encrypted SNS topics for alarms, with subscriptions by e-mail, HTTPS and Slack."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.key_statements import KEY_MANAGEMENT
from sandpiper_constructs.nag_suppressions import SUBSCRIPTION_QUEUE, accept

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLOUDWATCH = "cloudwatch.amazonaws.com"
_NO_COMMANDS = "AWSDenyAll"
"""The AWS managed policy that limits what members of a channel can do. The default would be AdministratorAccess."""


@dataclass(frozen=True, kw_only=True)
class SlackTarget:
    """A channel of Slack by the IDs of its workspace and of the channel."""

    workspace_id: str
    channel_id: str


@dataclass(frozen=True, kw_only=True)
class TopicSubscriptions:
    """Who receives the notifications of a topic.

    Attributes:
        emails: addresses, whose owners confirm the subscription.
        https_urls: endpoints that confirm the subscription by themselves, as PagerDuty does.
        slack: a channel. Default: none.
    """

    emails: tuple[str, ...] = ()
    https_urls: tuple[str, ...] = ()
    slack: SlackTarget | None = None


class AlarmTopics(Construct):
    """Creates topics that only alarms of this account can publish to, encrypted with one new key.

    Example:
        ```python
        from sandpiper_constructs.alarm_topics import AlarmTopics, TopicSubscriptions

        AlarmTopics(stack, "AlarmTopics", topics={"alarms": TopicSubscriptions(emails=("oncall@example.com",))})
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        topics: Mapping[str, TopicSubscriptions],
    ) -> None:
        """Creates the key and the topics.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            topics: the subscriptions of each topic by its name.
        """
        super().__init__(scope, id)
        location = location_of(self)
        self._of_alarms = {
            "StringEquals": {"aws:SourceAccount": location.account},
            "ArnLike": {"aws:SourceArn": location.arn("cloudwatch", "alarm:*")},
        }
        self._key = kms.Key(
            self,
            "Key",
            description="Notifications of alarms",
            enable_key_rotation=True,
            policy=self._key_policy(),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        for name, subscriptions in topics.items():
            self._topic(name, location.arn("sns", name), subscriptions)

    def _key_policy(self) -> iam.PolicyDocument:
        """Returns a policy that lets IAM policies manage the key, and CloudWatch use it for notifications of alarms.

        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        """
        return iam.PolicyDocument(
            statements=[
                _statement("Manage", iam.AccountRootPrincipal(), KEY_MANAGEMENT, "*"),
                _statement(
                    "Publish",
                    iam.ServicePrincipal(_CLOUDWATCH),
                    ("kms:Decrypt", "kms:GenerateDataKey"),
                    "*",
                    self._of_alarms,
                ),
            ]
        )

    def _topic(self, name: str, arn: str, subscriptions: TopicSubscriptions) -> None:
        scope = Construct(self, name)
        topic = sns.CfnTopic(scope, "Topic", topic_name=name, kms_master_key_id=self._key.key_arn)
        publish = ("sns:Publish",)
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        statements = [
            _statement("Publish", iam.ServicePrincipal(_CLOUDWATCH), publish, arn, self._of_alarms),
            _statement("RequireTls", iam.AnyPrincipal(), publish, arn, insecure, effect=iam.Effect.DENY),
        ]
        sns.CfnTopicPolicy(
            scope, "Policy", topics=[topic.ref], policy_document=iam.PolicyDocument(statements=statements)
        )
        endpoints = [("email", each) for each in subscriptions.emails]
        endpoints += [("https", each) for each in subscriptions.https_urls]
        for protocol, endpoint in endpoints:
            # A stable id, so that the order of the recipients has no effect: a new subscription has to be confirmed.
            digest = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
            subscription = sns.CfnSubscription(
                scope, f"{protocol.title()}{digest}", topic_arn=topic.ref, protocol=protocol, endpoint=endpoint
            )
            accept(
                subscription, {SUBSCRIPTION_QUEUE: "A lost notification is no lost alarm: dashboards show its state."}
            )
        if subscriptions.slack is not None:
            _slack_channel(scope, name, topic.ref, subscriptions.slack)


def _slack_channel(scope: Construct, name: str, topic_arn: str, target: SlackTarget) -> None:
    """Creates the configuration of a channel, which shows notifications and can run no commands.

    Its role has no permissions: a notification needs none, and only the graphs in it would read CloudWatch.
    https://docs.aws.amazon.com/chatbot/latest/adminguide/understanding-permissions.html
    """
    role = iam.Role(
        scope,
        "SlackRole",
        assumed_by=cast("iam.IPrincipal", iam.ServicePrincipal("chatbot.amazonaws.com")),
        description="Shows alarms in Slack, without permissions",
    )
    chatbot.CfnSlackChannelConfiguration(
        scope,
        "Slack",
        configuration_name=f"{name}-{target.workspace_id}",  # another workspace replaces it, which needs another name
        slack_workspace_id=target.workspace_id,
        slack_channel_id=target.channel_id,
        iam_role_arn=role.role_arn,
        guardrail_policies=[f"arn:{cdk.Aws.PARTITION}:iam::aws:policy/{_NO_COMMANDS}"],
        sns_topic_arns=[topic_arn],
        logging_level="NONE",
    )


def _statement(
    sid: str,
    principal: Any,
    actions: tuple[str, ...],
    resource: str,
    conditions: dict[str, Any] | None = None,
    *,
    effect: iam.Effect = iam.Effect.ALLOW,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        principals=[principal],
        actions=list(actions),
        resources=[resource],
        conditions=conditions,
        effect=effect,
    )
