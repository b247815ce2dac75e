"""Grants for the Route 53 Resolver DNS Firewall and the log of DNS queries.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53resolver.html
"""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import REQUEST_TAG, REQUEST_TAG_ON_UNTAGGED, RESOURCE_TAG, Grant, actions

_ARN = "arn:{partition}:route53resolver:{region}:{account}:"
_RESOURCES = tuple(
    f"{_ARN}{name}/*"
    for name in (
        *("firewall-domain-list", "firewall-rule-group", "firewall-rule-group-association"),
        "resolver-query-log-config",
    )
)
_TYPES = tuple(
    f"AWS::Route53Resolver::{name}"
    for name in (
        *("FirewallDomainList", "FirewallRuleGroup", "FirewallRuleGroupAssociation"),
        *("ResolverQueryLoggingConfig", "ResolverQueryLoggingConfigAssociation"),
    )
)

DNS_FIREWALL_GRANTS = (
    Grant(
        "MakeDnsFirewall",
        _TYPES,
        actions(
            "route53resolver", "CreateFirewallDomainList", "CreateFirewallRuleGroup", "CreateResolverQueryLogConfig"
        ),
        _RESOURCES,
        REQUEST_TAG,
        features.network,
    ),
    Grant(
        "TagDnsFirewall",
        _TYPES,
        actions("route53resolver", "TagResource"),
        _RESOURCES,
        REQUEST_TAG_ON_UNTAGGED,
        features.network,
        "Resolver has no condition key for tagging at creation: a domain list, rule group, association or query log "
        "of this account and region without the tag can be tagged, and then be changed and deleted; one with another "
        "environment's tag cannot",
    ),
    Grant(
        "AssociateDnsFirewall",
        _TYPES,
        actions("route53resolver", "AssociateFirewallRuleGroup"),
        (_ARN + "firewall-rule-group-association/*",),
        REQUEST_TAG,
        features.network,
        "IAM checks the association, which must be created with the tag, but neither the VPC nor the rule group: any "
        "VPC of this account and region can be associated with any rule group of it",
    ),
    Grant(
        "AssociateQueryLog",
        _TYPES,
        actions("route53resolver", "AssociateResolverQueryLogConfig"),
        (_ARN + "resolver-query-log-config/*",),
        RESOURCE_TAG,
        features.network,
        "IAM checks the query log, which must have the tag, but not the VPC: the DNS queries of any VPC of this "
        "account and region can be logged to the environment's query log",
    ),
    Grant(
        "DnsFirewall",
        _TYPES,
        actions(
            "route53resolver",
            *("UpdateFirewallDomains", "CreateFirewallRule", "UpdateFirewallRule", "DeleteFirewallRule"),
            *("UpdateFirewallRuleGroupAssociation", "TagResource", "UntagResource"),
            *("DeleteFirewallDomainList", "DeleteFirewallRuleGroup", "DisassociateFirewallRuleGroup"),
            *("DisassociateResolverQueryLogConfig", "DeleteResolverQueryLogConfig"),
        ),
        _RESOURCES,
        RESOURCE_TAG,
        features.network,
    ),
    Grant(
        # Without a tag condition: CloudFormation also reads resources that were deleted, which have no tags.
        "ReadDnsFirewall",
        _TYPES,
        actions(
            "route53resolver",
            *("GetFirewallDomainList", "ListFirewallDomains", "GetFirewallRuleGroup", "ListFirewallRules"),
            *("GetFirewallRuleGroupAssociation", "GetResolverQueryLogConfig", "ListTagsForResource"),
        ),
        _RESOURCES,
        applies_to=features.network,
    ),
    Grant(
        # Dependent actions of a query log, and the resource policy that lets Resolver write to its log group.
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-query-logs.html
        "LogDeliveriesOfTheWholeAccount",
        (*_TYPES, "AWS::Logs::ResourcePolicy"),
        actions(
            "logs",
            *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery"),
            *("ListLogDeliveries", "PutResourcePolicy", "DeleteResourcePolicy"),
        ),
        ("*",),
        applies_to=features.network,
        unscoped_reason="CloudWatch Logs has no resource for deliveries and resource policies: those of other "
        "applications in this account and region can also be changed or deleted, and with them the permission to "
        "write to their log groups",
    ),
    Grant(
        "FindDnsFirewall",
        _TYPES,
        actions(
            "route53resolver",
            *("GetResolverQueryLogConfigAssociation", "ListFirewallRuleGroupAssociations"),
            *("ListResolverQueryLogConfigAssociations", "ListResolverQueryLogConfigs"),
        ),
        ("*",),
        applies_to=features.network,
        unscoped_reason="Resolver has no resource for associations and lists; they read settings and change nothing",
    ),
    Grant(
        # The first query log of an account creates this role.
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/using-service-linked-roles.html
        "RoleThatLogsDnsQueries",
        ("AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",),
        actions("iam", "CreateServiceLinkedRole"),
        (
            "arn:{partition}:iam::{account}:role/aws-service-role/route53resolver.amazonaws.com/"
            "AWSServiceRoleForRoute53Resolver",
        ),
        {"StringEquals": {"iam:AWSServiceName": "route53resolver.amazonaws.com"}},
        features.network,
    ),
)
