"""What CloudFormation's role takes to deploy one environment, change it and delete it.

For `cdk bootstrap --cloudformation-execution-policies`, instead of AdministratorAccess. It starts no session of an
interpreter itself; a template may make what does. Not what runs later: each role of the environment has its own policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sandpiper.environment import VpcInterpreter
from sandpiper.names import data_bucket_name
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER, ENVIRONMENT_TAG, SESSION_STOPPER_TYPE, partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.environment import Environment

MAX_POLICY_CHARACTERS = 6_144
"""Of a managed policy, spaces not counted: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
MAX_POLICIES = 10
"""Managed policies of a role, unless the account was granted more (the same page)."""
MIN_STACK_NAME_CHARACTERS = 24
"""CloudFormation cuts generated names to 64 characters: of a long stack's name at least so many are left. AWS does not
document it; it is what names such as `infrastructure-prod-vpc--CustomVpcRestrictDefaultSG-0123456789AB` show."""


@dataclass(frozen=True)
class Grant:
    """Actions on resources. Texts in braces are what `_places` has; `applies_to` says which environments need it.

    `types` are the CloudFormation types that take it. A grant that no name, tag or boundary holds to the environment
    says why that has to be.
    """

    name: str
    types: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, str | list[str]]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    applies_to: Callable[[Environment], bool] = lambda _: True
    unscoped_reason: str = ""


def _has_bucket(environment: Environment) -> bool:
    return environment.data_bucket.name is None


def _has_key(environment: Environment) -> bool:
    return _has_bucket(environment) and environment.data_bucket.key == "own"


def _has_network(environment: Environment) -> bool:
    return environment.network is not None


def _has_vpc_interpreters(environment: Environment) -> bool:
    return any(
        isinstance(interpreter, VpcInterpreter)
        for tenant in environment.all_tenants.values()
        for interpreter in tenant.interpreters.values()
    )


def _has_endpoints(environment: Environment) -> bool:
    return environment.network is not None and bool(environment.network.endpoints)


def _has_budget(environment: Environment) -> bool:
    return environment.budget is not None


def _has_boundary(environment: Environment) -> bool:
    return environment.permissions_boundary is not None


def _has_no_boundary(environment: Environment) -> bool:
    return not _has_boundary(environment)


_ASKED_FOR = {"StringEquals": {f"aws:RequestTag/{ENVIRONMENT_TAG}": "{environment}"}}
_TAGGED = {"StringEquals": {f"aws:ResourceTag/{ENVIRONMENT_TAG}": "{environment}"}}
_ASKED_FOR_AND_NO_OTHERS = _ASKED_FOR | {
    "StringEqualsIfExists": {f"aws:ResourceTag/{ENVIRONMENT_TAG}": "{environment}"}
}
"""For services that tell IAM nothing of whether a tag is given at creation or later, as EC2 does: what has no such tag
may be given it, and what is another environment's may not."""
_BOUNDED = {"StringEquals": {"iam:PermissionsBoundary": "{boundary}"}}
_INTERPRETERS = "arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{environment}__*"
_ROLES = "arn:{partition}:iam::{account}:role/{names}*"
_FUNCTIONS = "arn:{partition}:lambda:{region}:{account}:function:{names}*"
_LOGS = "arn:{partition}:logs:{region}:{account}:log-group:"
_EC2 = "arn:{partition}:ec2:{region}:{account}:"
_NETWORK = tuple(
    _EC2 + kind
    for kind in ("vpc/*", "subnet/*", "route-table/*", "security-group/*", "vpc-endpoint/*", "vpc-flow-log/*")
)
_RESOLVER = "arn:{partition}:route53resolver:{region}:{account}:"
_FIREWALLS = tuple(
    _RESOLVER + kind
    for kind in (
        *("firewall-domain-list/*", "firewall-rule-group/*", "firewall-rule-group-association/*"),
        "resolver-query-log-config/*",
    )
)
_NETWORK_TYPES = tuple(
    f"AWS::EC2::{name}"
    for name in (
        *("VPC", "Subnet", "RouteTable", "SubnetRouteTableAssociation", "SecurityGroup", "SecurityGroupEgress"),
        *("SecurityGroupIngress", "VPCEndpoint", "FlowLog"),
    )
)
_FIREWALL_TYPES = tuple(
    f"AWS::Route53Resolver::{name}"
    for name in (
        *("FirewallDomainList", "FirewallRuleGroup", "FirewallRuleGroupAssociation"),
        *("ResolverQueryLoggingConfig", "ResolverQueryLoggingConfigAssociation"),
    )
)


def _of(service: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names)


GRANTS: tuple[Grant, ...] = (
    Grant(
        "MakeInterpreters",
        ("AWS::BedrockAgentCore::CodeInterpreterCustom",),
        _of("bedrock-agentcore", "CreateCodeInterpreter"),
        ("*",),
        _ASKED_FOR,
        unscoped_reason="what is not made yet has no ARN; the tag that it must be made with holds it",
    ),
    Grant(
        "Interpreters",
        ("AWS::BedrockAgentCore::CodeInterpreterCustom",),
        _of(
            "bedrock-agentcore",
            *("GetCodeInterpreter", "DeleteCodeInterpreter", "ListTagsForResource", "TagResource", "UntagResource"),
        ),
        (_INTERPRETERS,),
    ),
    Grant(
        # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html
        "InterpretersInVpcs",
        ("AWS::BedrockAgentCore::CodeInterpreterCustom",),
        _of("iam", "CreateServiceLinkedRole"),
        (
            "arn:{partition}:iam::{account}:role/aws-service-role/network.bedrock-agentcore.amazonaws.com/"
            "AWSServiceRoleForBedrockAgentCoreNetwork",
        ),
        {"StringEquals": {"iam:AWSServiceName": "network.bedrock-agentcore.amazonaws.com"}},
        _has_vpc_interpreters,
    ),
    Grant("MakeRoles", ("AWS::IAM::Role",), _of("iam", "CreateRole"), (_ROLES,), applies_to=_has_no_boundary),
    Grant(
        "MakeBoundedRoles",
        ("AWS::IAM::Role",),
        _of("iam", "CreateRole", "PutRolePermissionsBoundary"),
        (_ROLES,),
        _BOUNDED,
        _has_boundary,
    ),
    Grant(
        "Roles",
        ("AWS::IAM::Role", "AWS::IAM::Policy"),
        _of(
            "iam",
            *("GetRole", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy", "DeleteRole"),
            *("GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"),
            *("ListRoleTags", "TagRole", "UntagRole"),
        ),
        (_ROLES,),
    ),
    Grant(
        "PoliciesOfRoles",
        ("AWS::IAM::Role", "AWS::IAM::Policy"),
        _of("iam", "PutRolePolicy"),
        (_ROLES,),
        applies_to=_has_no_boundary,
    ),
    Grant(
        "PoliciesOfBoundedRoles",
        ("AWS::IAM::Role", "AWS::IAM::Policy"),
        _of("iam", "PutRolePolicy"),
        (_ROLES,),
        _BOUNDED,
        _has_boundary,
    ),
    Grant(
        "HandOverRoles",
        ("AWS::BedrockAgentCore::CodeInterpreterCustom", "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"),
        _of("iam", "PassRole"),
        (_ROLES,),
        {
            "StringEquals": {
                "iam:PassedToService": [
                    "bedrock-agentcore.amazonaws.com",
                    "lambda.amazonaws.com",
                    "states.amazonaws.com",
                ]
            }
        },
    ),
    Grant(
        "Functions",
        ("AWS::Lambda::Function", "AWS::Lambda::EventInvokeConfig"),
        _of(
            "lambda",
            *("CreateFunction", "GetFunction", "GetFunctionConfiguration", "DeleteFunction"),
            *("UpdateFunctionCode", "UpdateFunctionConfiguration", "GetFunctionCodeSigningConfig"),
            *("GetFunctionRecursionConfig", "GetRuntimeManagementConfig", "GetFunctionScalingConfig"),
            *("PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency"),
            *("PutFunctionEventInvokeConfig", "GetFunctionEventInvokeConfig", "UpdateFunctionEventInvokeConfig"),
            *("DeleteFunctionEventInvokeConfig", "ListTags", "TagResource", "UntagResource"),
        ),
        (_FUNCTIONS,),
    ),
    Grant(
        # The one function that a stack calls itself, when it ends live sessions.
        "EndLiveSessions",
        (SESSION_STOPPER_TYPE,),
        _of("lambda", "InvokeFunction"),
        (_FUNCTIONS + "SessionStopper*",),
    ),
    Grant(
        "CodeOfFunctions",
        ("AWS::Lambda::Function",),
        _of("s3", "GetObject"),
        ("arn:{partition}:s3:::cdk-{qualifier}-assets-{account}-{region}/*",),
    ),
    Grant(
        "Workflows",
        ("AWS::StepFunctions::StateMachine",),
        _of(
            "states",
            *("CreateStateMachine", "DescribeStateMachine", "UpdateStateMachine", "DeleteStateMachine"),
            *("ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:states:{region}:{account}:stateMachine:{prefix}*",),
    ),
    Grant(
        "Logs",
        ("AWS::Logs::LogGroup",),
        _of(
            "logs",
            *("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
            *("ListTagsForResource", "TagResource", "UntagResource", "GetDataProtectionPolicy"),
        ),
        (_LOGS + "{prefix}*", _LOGS + "/aws/vendedlogs/states/{prefix}*"),
    ),
    Grant(
        "FindLogs",
        ("AWS::Logs::LogGroup",),
        _of("logs", "DescribeLogGroups", "DescribeResourcePolicies", "DescribeIndexPolicies"),
        ("*",),
        unscoped_reason="searches name nothing that IAM could hold them to; they read settings, and no line of a log",
    ),
    Grant(
        "Alarms",
        ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"),
        _of(
            "cloudwatch",
            *("PutMetricAlarm", "PutCompositeAlarm", "DescribeAlarms", "DeleteAlarms"),
            *("ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:cloudwatch:{region}:{account}:alarm:{prefix}*",),
    ),
    Grant(
        "Dashboards",
        ("AWS::CloudWatch::Dashboard",),
        _of(
            "cloudwatch",
            *("PutDashboard", "GetDashboard", "DeleteDashboards", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:cloudwatch::{account}:dashboard/{prefix}*",),
    ),
    Grant(
        "Budget",
        ("AWS::Budgets::Budget",),
        _of("budgets", "ViewBudget", "ModifyBudget", "ListTagsForResource", "TagResource", "UntagResource"),
        ("arn:{partition}:budgets::{account}:budget/sandpiper-{environment}",),
        applies_to=_has_budget,
    ),
    Grant(
        # ViewBudget depends on it.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html
        "CostsForTheBudget",
        ("AWS::Budgets::Budget",),
        _of("billing", "GetBillingViewData"),
        ("arn:{partition}:billing::{account}:billingview/primary",),
        applies_to=_has_budget,
    ),
    Grant(
        "Buckets",
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy"),
        _of(
            "s3",
            *("CreateBucket", "DeleteBucket", "ListBucket", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
            *("GetEncryptionConfiguration", "PutEncryptionConfiguration"),
            *("GetLifecycleConfiguration", "PutLifecycleConfiguration", "GetBucketLogging", "PutBucketLogging"),
            *("GetBucketOwnershipControls", "PutBucketOwnershipControls"),
            *("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
            *("GetBucketVersioning", "PutBucketVersioning", "GetBucketTagging", "PutBucketTagging"),
            *("ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:s3:::{bucket}", "arn:{partition}:s3:::{bucket}-logs"),
        applies_to=_has_bucket,
    ),
    Grant(
        "MakeKeys",
        ("AWS::KMS::Key",),
        _of("kms", "CreateKey"),
        ("*",),
        _ASKED_FOR,
        _has_key,
        "what is not made yet has no ARN; the tag that it must be made with holds it",
    ),
    Grant(
        "TagKeys",
        ("AWS::KMS::Key",),
        _of("kms", "TagResource"),
        ("arn:{partition}:kms:{region}:{account}:key/*",),
        _ASKED_FOR_AND_NO_OTHERS,
        _has_key,
        "KMS does not tell IAM whether a tag is given at creation: a key of this account and region without the tag "
        "can be given it, and from then on be deleted and have its policy changed; one with another value of the tag "
        "cannot",
    ),
    Grant(
        "Keys",
        ("AWS::KMS::Key",),
        _of(
            "kms",
            *("DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "EnableKeyRotation", "GetKeyRotationStatus"),
            *("UpdateKeyDescription", "ListResourceTags", "TagResource", "UntagResource", "ScheduleKeyDeletion"),
        ),
        ("arn:{partition}:kms:{region}:{account}:key/*",),
        _TAGGED,
        _has_key,
    ),
    Grant(
        "Parameters",
        ("AWS::SSM::Parameter",),
        _of(
            "ssm",
            *("PutParameter", "GetParameter", "GetParameters", "DeleteParameter", "DeleteParameters"),
            *("ListTagsForResource", "AddTagsToResource", "RemoveTagsFromResource"),
        ),
        ("arn:{partition}:ssm:{region}:{account}:parameter/sandpiper/{environment}/*",),
    ),
    Grant(
        "VersionOfBootstrap",
        (),
        _of("ssm", "GetParameters"),
        ("arn:{partition}:ssm:{region}:{account}:parameter/cdk-bootstrap/{qualifier}/version",),
    ),
    Grant(
        "FindParameters",
        ("AWS::SSM::Parameter",),
        _of("ssm", "DescribeParameters"),
        ("*",),
        unscoped_reason="a search names nothing that IAM could hold it to; it reads names, and no value",
    ),
    # What is made is held to the tag that it must be made with, and what is changed to the tag that it has: the VPC in
    # which something is made, too. One statement for each set of types of which none is where another is made.
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    Grant("MakeVpc", _NETWORK_TYPES, _of("ec2", "CreateVpc"), (_EC2 + "vpc/*",), _ASKED_FOR, _has_network),
    Grant(
        "MakePartsOfTheVpc",
        _NETWORK_TYPES,
        _of("ec2", "CreateSubnet", "CreateRouteTable", "CreateSecurityGroup"),
        (_EC2 + "subnet/*", _EC2 + "route-table/*", _EC2 + "security-group/*"),
        _ASKED_FOR,
        _has_network,
    ),
    Grant(
        "MakeEndpointsAndFlowLogs",
        _NETWORK_TYPES,
        _of("ec2", "CreateVpcEndpoint", "CreateFlowLogs"),
        (_EC2 + "vpc-endpoint/*", _EC2 + "vpc-flow-log/*"),
        _ASKED_FOR,
        _has_network,
    ),
    Grant(
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
        "TagNetworkAtCreation",
        _NETWORK_TYPES,
        _of("ec2", "CreateTags"),
        _NETWORK,
        {
            "StringEquals": {
                **_ASKED_FOR["StringEquals"],
                "ec2:CreateAction": [
                    *("CreateVpc", "CreateSubnet", "CreateRouteTable", "CreateSecurityGroup", "CreateVpcEndpoint"),
                    "CreateFlowLogs",
                ],
            }
        },
        _has_network,
    ),
    Grant(
        "Network",
        _NETWORK_TYPES,
        _of(
            "ec2",
            *("CreateSubnet", "CreateRouteTable", "CreateSecurityGroup", "CreateVpcEndpoint", "CreateFlowLogs"),
            *("ModifyVpcAttribute", "ModifySubnetAttribute", "ModifyVpcEndpoint"),
            *("AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress"),
            *("RevokeSecurityGroupIngress", "UpdateSecurityGroupRuleDescriptionsEgress"),
            *("UpdateSecurityGroupRuleDescriptionsIngress", "AssociateRouteTable", "DisassociateRouteTable"),
            *("ReplaceRouteTableAssociation", "CreateTags", "DeleteTags"),
            *("DeleteVpc", "DeleteSubnet", "DeleteRouteTable", "DeleteSecurityGroup", "DeleteVpcEndpoints"),
            "DeleteFlowLogs",
        ),
        _NETWORK,
        _TAGGED,
        _has_network,
    ),
    Grant(
        # A rule that is not made yet. Its group is asked for besides, which `Network` allows by its tag alone.
        "RulesOfSecurityGroups",
        _NETWORK_TYPES,
        _of("ec2", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress"),
        (_EC2 + "security-group-rule/*",),
        applies_to=_has_network,
    ),
    Grant("ReadVpc", _NETWORK_TYPES, _of("ec2", "DescribeVpcAttribute"), (_EC2 + "vpc/*",), applies_to=_has_network),
    Grant(
        "FindNetwork",
        _NETWORK_TYPES,
        (
            *_of("ec2", "DescribeVpcs", "DescribeSubnets", "DescribeRouteTables"),
            *_of("ec2", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeVpcEndpoints"),
            *_of("ec2", "DescribePrefixLists", "DescribeManagedPrefixLists", "DescribeAvailabilityZones"),
            *_of("ec2", "DescribeNetworkAcls", "DescribeVpcEndpointServices", "DescribeVpcEncryptionControls"),
            *_of("ec2", "DescribeFlowLogs", "DescribeInstances", "DescribeTags"),
            *_of("autoscaling", "DescribeTags"),
        ),
        ("*",),
        applies_to=_has_network,
        unscoped_reason="EC2 knows no resource for what is searched or listed; they read settings and change nothing",
    ),
    Grant(
        # CreateVpcEndpoint depends on it, for the endpoint's private names.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        "NamesOfEndpoints",
        ("AWS::EC2::VPCEndpoint",),
        _of("route53", "AssociateVPCWithHostedZone"),
        ("arn:{partition}:route53:::hostedzone/*",),
        applies_to=_has_endpoints,
        unscoped_reason="an endpoint's private zone is not known before it is made, and zones have no tags that IAM is "
        "asked for: any VPC of this account can be given the names of any private zone of it",
    ),
    Grant(
        "HandOverTheFlowLogsRole",
        ("AWS::EC2::FlowLog",),
        _of("iam", "PassRole"),
        (_ROLES,),
        {"StringEquals": {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"}},
        _has_network,
    ),
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53resolver.html
    Grant(
        "MakeDnsFirewall",
        _FIREWALL_TYPES,
        _of("route53resolver", "CreateFirewallDomainList", "CreateFirewallRuleGroup", "CreateResolverQueryLogConfig"),
        _FIREWALLS,
        _ASKED_FOR,
        _has_network,
    ),
    Grant(
        "TagDnsFirewall",
        _FIREWALL_TYPES,
        _of("route53resolver", "TagResource"),
        _FIREWALLS,
        _ASKED_FOR_AND_NO_OTHERS,
        _has_network,
        "Resolver does not tell IAM whether a tag is given at creation: a domain list, rule group, association or "
        "query log of this account and region without the tag can be given it, and from then on be changed and "
        "deleted; one with another value of the tag cannot",
    ),
    Grant(
        "AssociateDnsFirewall",
        _FIREWALL_TYPES,
        _of("route53resolver", "AssociateFirewallRuleGroup"),
        (_RESOLVER + "firewall-rule-group-association/*",),
        _ASKED_FOR,
        _has_network,
        "IAM is asked for the association, which must be made with the tag, and neither for the VPC nor for the rule "
        "group: any VPC of this account and region can be given the rules of any group of it",
    ),
    Grant(
        "AssociateQueryLog",
        _FIREWALL_TYPES,
        _of("route53resolver", "AssociateResolverQueryLogConfig"),
        (_RESOLVER + "resolver-query-log-config/*",),
        _TAGGED,
        _has_network,
        "IAM is asked for the query log, which must have the tag, and not for the VPC: the queries of any VPC of this "
        "account and region can be logged to the environment's own log",
    ),
    Grant(
        "DnsFirewall",
        _FIREWALL_TYPES,
        _of(
            "route53resolver",
            *("UpdateFirewallDomains", "CreateFirewallRule", "UpdateFirewallRule", "DeleteFirewallRule"),
            *("UpdateFirewallRuleGroupAssociation", "TagResource", "UntagResource"),
            *("DeleteFirewallDomainList", "DeleteFirewallRuleGroup", "DisassociateFirewallRuleGroup"),
            *("DisassociateResolverQueryLogConfig", "DeleteResolverQueryLogConfig"),
        ),
        _FIREWALLS,
        _TAGGED,
        _has_network,
    ),
    Grant(
        # Of what was deleted, too, which has no tags any more.
        "ReadDnsFirewall",
        _FIREWALL_TYPES,
        _of(
            "route53resolver",
            *("GetFirewallDomainList", "ListFirewallDomains", "GetFirewallRuleGroup", "ListFirewallRules"),
            *("GetFirewallRuleGroupAssociation", "GetResolverQueryLogConfig", "ListTagsForResource"),
        ),
        _FIREWALLS,
        applies_to=_has_network,
    ),
    Grant(
        # What Route 53 Resolver asks of its caller for a log of queries, and the policy that lets it write one group.
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-query-logs.html
        "LogDeliveriesOfTheWholeAccount",
        (*_FIREWALL_TYPES, "AWS::Logs::ResourcePolicy"),
        _of(
            "logs",
            *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery"),
            *("ListLogDeliveries", "PutResourcePolicy", "DeleteResourcePolicy"),
        ),
        ("*",),
        applies_to=_has_network,
        unscoped_reason="CloudWatch Logs knows no resource for deliveries and resource policies: it can also change or "
        "delete those of others in this account and region, and so who may write to their log groups",
    ),
    Grant(
        "FindDnsFirewall",
        _FIREWALL_TYPES,
        _of(
            "route53resolver",
            *("GetResolverQueryLogConfigAssociation", "ListFirewallRuleGroupAssociations"),
            *("ListResolverQueryLogConfigAssociations", "ListResolverQueryLogConfigs"),
        ),
        ("*",),
        applies_to=_has_network,
        unscoped_reason="Resolver knows no resource for associations and lists; they read settings and change nothing",
    ),
    Grant(
        # The first log of queries in an account makes it.
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/using-service-linked-roles.html
        "RoleThatLogsDnsQueries",
        ("AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",),
        _of("iam", "CreateServiceLinkedRole"),
        (
            "arn:{partition}:iam::{account}:role/aws-service-role/route53resolver.amazonaws.com/"
            "AWSServiceRoleForRoute53Resolver",
        ),
        {"StringEquals": {"iam:AWSServiceName": "route53resolver.amazonaws.com"}},
        _has_network,
    ),
)
"""By what is deployed. Actions that only read are those that CloudFormation's own handlers call: each type's schema in
the CloudFormation registry has them (`handlers`)."""


def policy_documents(environment: Environment, qualifier: str = BOOTSTRAP_QUALIFIER) -> dict[str, dict[str, Any]]:
    """The managed policies by name, as few as IAM's size of one allows."""
    bins: list[list[dict[str, Any]]] = []
    for statement in sorted(policy_statements(environment, qualifier), key=_size, reverse=True):
        room = next((each for each in bins if _size(_document([*each, statement])) <= MAX_POLICY_CHARACTERS), None)
        if room is None:
            bins.append([statement])
        else:
            room.append(statement)
    return {
        f"sandpiper-{environment.name}-deployment-{number}": _document(each)
        for number, each in enumerate(bins, start=1)
    }


def policy_statements(environment: Environment, qualifier: str = BOOTSTRAP_QUALIFIER) -> Iterator[dict[str, Any]]:
    """What is allowed: the table's, and what the environment's file names."""
    places = _places(environment, qualifier)
    for grant in GRANTS:
        if grant.applies_to(environment):
            yield {
                "Sid": grant.name,
                "Effect": "Allow",
                "Action": list(grant.actions),
                "Resource": [resource.format_map(places) for resource in grant.resources],
                **({"Condition": _filled(grant.conditions, places)} if grant.conditions else {}),
            }
    interpreters = [each for tenant in environment.all_tenants.values() for each in tenant.interpreters.values()]
    if given := sorted({each.execution_role for each in interpreters} - {"own", "none"}):
        passed_to = {"StringEquals": {"iam:PassedToService": "bedrock-agentcore.amazonaws.com"}}
        yield _statement("HandOverGivenRoles", ["iam:PassRole"], given) | {"Condition": passed_to}
    if secrets := sorted({secret for each in interpreters for secret in each.certificates}):
        # AgentCore reads them as who makes the interpreter.
        # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
        yield _statement("ReadCertificates", ["secretsmanager:GetSecretValue"], secrets)
    callers = {role for each in interpreters for role in each.callers if role.split(":")[4] == environment.account}
    if callers:
        actions = ["iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"]
        yield _statement("PoliciesOfCallers", actions, sorted(callers))


def unscoped_grants(environment: Environment) -> dict[str, str]:
    """Why, by Sid, of each statement that names and tags do not hold to what is the environment's."""
    return {each.name: each.unscoped_reason for each in GRANTS if each.unscoped_reason and each.applies_to(environment)}


def generated_name_prefix(environment: str) -> str:
    """What names that CloudFormation makes up for an environment's stacks begin with."""
    prefix = f"sandpiper-{environment}-"
    return prefix if len(prefix) <= MIN_STACK_NAME_CHARACTERS + 1 else prefix[:MIN_STACK_NAME_CHARACTERS]


def _places(environment: Environment, qualifier: str) -> dict[str, str]:
    return {
        "partition": partition_of(environment.region),
        "region": environment.region,
        "account": environment.account,
        "environment": environment.name,
        "prefix": f"sandpiper-{environment.name}-",
        "names": generated_name_prefix(environment.name),
        "bucket": data_bucket_name(environment.name, environment.account, environment.region),
        "boundary": environment.permissions_boundary or "",
        "qualifier": qualifier,
    }


def _statement(name: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resources}


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    """Conditions with their texts filled in."""
    if isinstance(value, str):
        return value.format_map(places)
    if isinstance(value, list):
        return [_filled(each, places) for each in cast("list[Any]", value)]
    return {name: _filled(each, places) for name, each in value.items()}


def _document(of: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": of}


def _size(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))
