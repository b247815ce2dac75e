"""Grants for the environment's VPC.

Creating actions require the environment's tag in the request, changing actions require it on the resource. Creating
something in a VPC also needs access to the VPC, so creation and change are separate statements for separate resource
types. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import REQUEST_TAG, RESOURCE_TAG, ROLES, Grant, actions, passed_to

_ARN = "arn:{partition}:ec2:{region}:{account}:"
_RESOURCES = tuple(
    f"{_ARN}{name}/*" for name in ("vpc", "subnet", "route-table", "security-group", "vpc-endpoint", "vpc-flow-log")
)
_TYPES = tuple(
    f"AWS::EC2::{name}"
    for name in (
        *("VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "SecurityGroup", "SecurityGroupEgress"),
        *("SecurityGroupIngress", "VPCEndpoint", "FlowLog"),
    )
)
_CREATE_IN_VPC = ("CreateSubnet", "CreateRouteTable", "CreateSecurityGroup")

EC2_GRANTS = (
    Grant("MakeVpc", _TYPES, actions("ec2", "CreateVpc"), (_ARN + "vpc/*",), REQUEST_TAG, features.network),
    Grant(
        "MakePartsOfTheVpc",
        _TYPES,
        actions("ec2", *_CREATE_IN_VPC),
        (_ARN + "subnet/*", _ARN + "route-table/*", _ARN + "security-group/*"),
        REQUEST_TAG,
        features.network,
    ),
    Grant(
        "MakeEndpointsAndFlowLogs",
        _TYPES,
        actions("ec2", "CreateVpcEndpoint", "CreateFlowLogs"),
        (_ARN + "vpc-endpoint/*", _ARN + "vpc-flow-log/*"),
        REQUEST_TAG,
        features.network,
    ),
    Grant(
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
        "TagNetworkAtCreation",
        _TYPES,
        actions("ec2", "CreateTags"),
        _RESOURCES,
        {
            "StringEquals": {
                **REQUEST_TAG["StringEquals"],
                "ec2:CreateAction": ["CreateVpc", *_CREATE_IN_VPC, "CreateVpcEndpoint", "CreateFlowLogs"],
            }
        },
        features.network,
    ),
    Grant(
        "Network",
        _TYPES,
        actions(
            "ec2",
            *(*_CREATE_IN_VPC, "CreateVpcEndpoint", "CreateFlowLogs"),
            *("ModifyVpcAttribute", "ModifySubnetAttribute", "ModifyVpcEndpoint"),
            *("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
            *("RevokeSecurityGroupIngress", "UpdateSecurityGroupRuleDescriptionsEgress"),
            *("UpdateSecurityGroupRuleDescriptionsIngress", "AssociateRouteTable", "DisassociateRouteTable"),
            *("ReplaceRouteTableAssociation", "CreateTags", "DeleteTags"),
            *("DeleteVpc", "DeleteSubnet", "DeleteRouteTable", "DeleteSecurityGroup", "DeleteVpcEndpoints"),
            "DeleteFlowLogs",
        ),
        _RESOURCES,
        RESOURCE_TAG,
        features.network,
    ),
    Grant(
        # A rule is authorized on itself, before it has tags, and on its group, which `Network` limits by tag.
        "RulesOfSecurityGroups",
        _TYPES,
        actions("ec2", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress"),
        (_ARN + "security-group-rule/*",),
        applies_to=features.network,
    ),
    Grant("ReadVpc", _TYPES, actions("ec2", "DescribeVpcAttribute"), (_ARN + "vpc/*",), applies_to=features.network),
    Grant(
        "FindNetwork",
        _TYPES,
        (
            *actions("ec2", "DescribeVpcs", "DescribeSubnets", "DescribeRouteTables"),
            *actions("ec2", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeVpcEndpoints"),
            *actions("ec2", "DescribePrefixLists", "DescribeManagedPrefixLists", "DescribeAvailabilityZones"),
            *actions("ec2", "DescribeNetworkAcls", "DescribeVpcEndpointServices", "DescribeVpcEncryptionControls"),
            *actions("ec2", "DescribeFlowLogs", "DescribeInstances", "DescribeTags"),
            *actions("autoscaling", "DescribeTags"),
        ),
        ("*",),
        applies_to=features.network,
        unscoped_reason="EC2 has no resource for searches and lists; they read settings and change nothing",
    ),
    Grant(
        # A dependent action of CreateVpcEndpoint, for the endpoint's private DNS names.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        "NamesOfEndpoints",
        ("AWS::EC2::VPCEndpoint",),
        actions("route53", "AssociateVPCWithHostedZone"),
        ("arn:{partition}:route53:::hostedzone/*",),
        applies_to=features.interface_endpoints,
        unscoped_reason="an endpoint's private hosted zone is unknown before creation, and IAM does not check tags of "
        "zones: any VPC of this account can be associated with any private hosted zone of this account",
    ),
    Grant(
        "HandOverTheFlowLogsRole",
        ("AWS::EC2::FlowLog",),
        actions("iam", "PassRole"),
        (ROLES,),
        passed_to("vpc-flow-logs"),
        features.network,
    ),
)
