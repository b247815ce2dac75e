"""Grants for the topics of alarms, their subscriptions and their channels of Slack."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import CREATED_WITH_TAG, REQUEST_TAG, ROLES, Grant, actions, passed_to

_TOPICS = tuple(f"arn:{{partition}}:sns:{{region}}:{{account}}:{{prefix}}{name}" for name in ("alarms", "owner-alarms"))
_SLACK_TYPES = ("AWS::Chatbot::SlackChannelConfiguration",)

NOTIFICATION_GRANTS = (
    Grant(
        "AlarmTopics",
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription"),
        actions(
            "sns",
            *("CreateTopic", "DeleteTopic", "GetTopicAttributes", "SetTopicAttributes", "GetDataProtectionPolicy"),
            *("Subscribe", "ListSubscriptionsByTopic", "ListTagsForResource", "TagResource", "UntagResource"),
        ),
        _TOPICS,
        applies_to=features.alarm_topics,
    ),
    Grant(
        "Subscriptions",
        ("AWS::SNS::Subscription",),
        actions("sns", "Unsubscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes"),
        (*_TOPICS, *(f"{topic}:*" for topic in _TOPICS)),
        applies_to=features.alarm_topics,
    ),
    Grant(
        "MakeSlackChannels",
        _SLACK_TYPES,
        actions("chatbot", "CreateSlackChannelConfiguration"),
        ("*",),
        REQUEST_TAG,
        features.slack,
        CREATED_WITH_TAG,
    ),
    Grant(
        "SlackChannels",
        _SLACK_TYPES,
        actions(
            "chatbot",
            *("UpdateSlackChannelConfiguration", "DeleteSlackChannelConfiguration"),
            *("AssociateToConfiguration", "DisassociateFromConfiguration", "ListAssociations"),
            *("TagResource", "UntagResource"),
        ),
        ("arn:{partition}:chatbot::{account}:chat-configuration/slack-channel/{prefix}*",),
        applies_to=features.slack,
    ),
    Grant(
        "FindSlackChannels",
        _SLACK_TYPES,
        actions("chatbot", "DescribeSlackChannelConfigurations", "ListTagsForResource"),
        ("*",),
        applies_to=features.slack,
        unscoped_reason="IAM has no resource for these actions; they read settings and no messages",
    ),
    Grant(
        "HandOverRolesToSlack",
        _SLACK_TYPES,
        actions("iam", "PassRole"),
        (ROLES,),
        passed_to("chatbot"),
        features.slack,
    ),
    Grant(
        # https://docs.aws.amazon.com/chatbot/latest/adminguide/using-service-linked-roles.html
        "MakeTheServiceRoleOfSlack",
        _SLACK_TYPES,
        actions("iam", "CreateServiceLinkedRole"),
        (
            "arn:{partition}:iam::{account}:role/aws-service-role/management.chatbot.amazonaws.com/"
            "AWSServiceRoleForAWSChatbot",
        ),
        {"StringEquals": {"iam:AWSServiceName": "management.chatbot.amazonaws.com"}},
        features.slack,
    ),
)
