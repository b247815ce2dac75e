"""Logs the connections and the DNS queries of a VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53resolver as resolver

from sandpiper_constructs.nag_suppressions import accept_log, accept_policies
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms
    from constructs import Construct


def log_connections(scope: Construct, vpc_id: str, retention: logs.RetentionDays, key: kms.IKey | None) -> None:
    """Logs every accepted and rejected connection: addresses, ports and sizes, but no content."""
    stack = Stack.of(scope)
    group = _log_group(scope, "Connections", retention, key)
    any_flow_log = stack.format_arn(service="ec2", resource="vpc-flow-log", resource_name="*")
    role = iam.Role(
        scope,
        "ConnectionsRole",
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        assumed_by=service_principal(
            "vpc-flow-logs",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": any_flow_log},
            },
        ),
        description="Writes the flow log of the network",
        inline_policies={
            "Write": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                        resources=[group.log_group_arn],
                    )
                ]
            )
        },
    )
    accept_log(group, key, "The log of connections contains addresses and sizes, but no content.")
    accept_policies(role)
    ec2.CfnFlowLog(
        scope,
        "FlowLog",
        resource_type="VPC",
        resource_id=vpc_id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_group_name=group.log_group_name,
        deliver_logs_permission_arn=role.role_arn,
    )


def log_queries(scope: Construct, vpc_id: str, retention: logs.RetentionDays, key: kms.IKey | None) -> None:
    """Logs every query with its answer and the firewall's action."""
    stack = Stack.of(scope)
    group = _log_group(scope, "Queries", retention, key)
    accept_log(group, key, "The log of DNS queries contains names and addresses of hosts.")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
    allowed = group.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[service_principal("delivery.logs")],
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[group.log_group_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": stack.format_arn(service="logs", resource="*")},
            },
        )
    )
    config = resolver.CfnResolverQueryLoggingConfig(scope, "QueryLog", destination_arn=group.log_group_arn)
    if allowed.policy_dependable is not None:  # without this policy, AWS would add a wider one
        config.node.add_dependency(allowed.policy_dependable)
    resolver.CfnResolverQueryLoggingConfigAssociation(
        scope, "QueryLogAssociation", resolver_query_log_config_id=config.ref, resource_id=vpc_id
    )


def _log_group(scope: Construct, name: str, retention: logs.RetentionDays, key: kms.IKey | None) -> logs.LogGroup:
    """Creates a log group that outlives the network: an incident may be investigated later. Its entries expire."""
    return logs.LogGroup(
        scope,
        name,
        retention=retention,
        removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        encryption_key=key,
    )
