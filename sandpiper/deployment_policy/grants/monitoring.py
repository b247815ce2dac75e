"""Grants for log groups, saved queries, alarms, dashboards and the budget."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import Grant, actions

_LOG_GROUPS = "arn:{partition}:logs:{region}:{account}:log-group:"

MONITORING_GRANTS = (
    Grant(
        "Logs",
        ("AWS::Logs::LogGroup",),
        actions(
            "logs",
            *("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
            *("ListTagsForResource", "TagResource", "UntagResource", "GetDataProtectionPolicy"),
        ),
        (_LOG_GROUPS + "{prefix}*", _LOG_GROUPS + "/aws/vendedlogs/states/{prefix}*"),
    ),
    Grant(
        "EncryptLogs",
        ("AWS::Logs::LogGroup",),
        actions("logs", "AssociateKmsKey", "DisassociateKmsKey"),
        (_LOG_GROUPS + "{prefix}*", _LOG_GROUPS + "/aws/vendedlogs/states/{prefix}*"),
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
