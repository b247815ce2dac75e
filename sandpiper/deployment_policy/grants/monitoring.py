"""Grants for log groups, saved queries, alarms, dashboards and the budget."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import Grant, actions

_LOG_GROUPS = "arn:{partition}:logs:{region}:{account}:log-group:"
_OWN_LOG_GROUPS = tuple(
    _LOG_GROUPS + folder + "{prefix}*"
    for folder in ("", "/aws/vendedlogs/states/", "/aws/vendedlogs/bedrock-agentcore/code-interpreter/")
)
_LOGS = "arn:{partition}:logs:{region}:{account}:"
_DELIVERIES = (_LOGS + "delivery-source:{environment}__*", _LOGS + "delivery-destination:{prefix}*")
_TAGS = ("ListTagsForResource", "TagResource", "UntagResource")

MONITORING_GRANTS = (
    Grant(
        "Logs",
        ("AWS::Logs::LogGroup",),
        actions(
            "logs",
            *("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
            *("ListTagsForResource", "TagResource", "UntagResource", "GetDataProtectionPolicy"),
        ),
        _OWN_LOG_GROUPS,
    ),
    Grant(
        "EncryptLogs",
        ("AWS::Logs::LogGroup",),
        actions("logs", "AssociateKmsKey", "DisassociateKmsKey"),
        _OWN_LOG_GROUPS,
        applies_to=features.own_key,
    ),
    Grant(
        "FindLogs",
        ("AWS::Logs::LogGroup",),
        actions("logs", "DescribeLogGroups", "DescribeResourcePolicies", "DescribeIndexPolicies"),
        ("*",),
        unscoped_reason="IAM has no resource for these searches; they read settings and no log events",
    ),
    Grant(
        "LogSources",
        ("AWS::Logs::DeliverySource",),
        actions("logs", "PutDeliverySource", "GetDeliverySource", "DeleteDeliverySource", *_TAGS),
        _DELIVERIES,  # the reference of actions lists the destination for DeleteDeliverySource
    ),
    Grant(
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-V2-service-specific.html
        "LogsOfInterpreters",
        ("AWS::Logs::DeliverySource",),
        actions("bedrock-agentcore", "AllowVendedLogDeliveryForResource"),
        ("arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{environment}__*",),
    ),
    Grant(
        "LogDestinations",
        ("AWS::Logs::DeliveryDestination",),
        actions(
            "logs",
            *("PutDeliveryDestination", "GetDeliveryDestination", "DeleteDeliveryDestination"),
            *("GetDeliveryDestinationPolicy", *_TAGS),
        ),
        _DELIVERIES[1:],
    ),
    Grant(
        "LogDeliveries",
        ("AWS::Logs::Delivery",),
        actions("logs", "CreateDelivery", "GetDelivery", "DeleteDelivery", "UpdateDeliveryConfiguration", *_TAGS),
        (_LOGS + "delivery:*", *_DELIVERIES),
        unscoped_reason="the id of a delivery is generated; creating one also needs its source and its destination",
    ),
    Grant(
        "FindLogDeliveries",
        ("AWS::Logs::Delivery",),
        actions("logs", "DescribeDeliveries", "DescribeDeliverySources", "DescribeDeliveryDestinations"),
        ("*",),
        unscoped_reason="IAM has no resource for these searches; they read settings and no log events",
    ),
    Grant(
        # CreateDelivery adds the service to these policies.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-vended-logs-permissions-V2.html
        "PoliciesOfDeliveries",
        ("AWS::Logs::Delivery",),
        (*actions("logs", "PutResourcePolicy"), *actions("xray", "PutResourcePolicy", "ListResourcePolicies")),
        ("*",),
        unscoped_reason="IAM has no resource for the resource policies of CloudWatch Logs and X-Ray",
    ),
    Grant(
        "SavedQueries",
        ("AWS::Logs::QueryDefinition",),
        actions("logs", "PutQueryDefinition", "DeleteQueryDefinition", "DescribeQueryDefinitions"),
        ("*",),
        unscoped_reason="CloudWatch Logs has no resource for saved queries; they are text and contain no log events",
    ),
    Grant(
        "Alarms",
        ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"),
        actions(
            "cloudwatch",
            *("PutMetricAlarm", "PutCompositeAlarm", "DescribeAlarms", "DeleteAlarms"),
            *("ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:cloudwatch:{region}:{account}:alarm:{prefix}*",),
    ),
    Grant(
        "Dashboards",
        ("AWS::CloudWatch::Dashboard",),
        actions("cloudwatch", "PutDashboard", "GetDashboard", "DeleteDashboards", "TagResource", "UntagResource"),
        ("arn:{partition}:cloudwatch::{account}:dashboard/{prefix}*",),
    ),
    Grant(
        "Budget",
        ("AWS::Budgets::Budget",),
        actions("budgets", "ViewBudget", "ModifyBudget", "ListTagsForResource", "TagResource", "UntagResource"),
        ("arn:{partition}:budgets::{account}:budget/sandpiper-{environment}",),
        applies_to=features.budget,
    ),
    Grant(
        # A dependent action of ViewBudget.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html
        "CostsForTheBudget",
        ("AWS::Budgets::Budget",),
        actions("billing", "GetBillingViewData"),
        ("arn:{partition}:billing::{account}:billingview/primary",),
        applies_to=features.budget,
    ),
)
