"""What a role needs so that CloudFormation may make, change and end a resource in it: the actions, by type.

The main actions of each type, on the resources that the Service Authorization Reference names; not those that only
read. A type that is not here takes every action of its service: who may do everything with a service may do what was
left out of the table.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from local_aws.ministack.stub_resources import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Permission:
    """One thing that the role must be allowed to do; `keys` are condition keys."""

    action: str
    resource: str
    keys: Mapping[str, str | list[str]] = field(default_factory=dict[str, "str | list[str]"])


@dataclass(frozen=True)
class ResourceActions:
    """What handling resources of a type takes.

    Attributes:
        on: their ARN. `{name}` is the name or physical id; any other field is a property, with all its items.
        create: actions that always are needed to make one.
        update: actions for a change of a property that is not in `settings`; none: it is made anew.
        delete: actions to end one.
        name: where the name is in the properties, with a dot for each step. Without it CloudFormation makes one up.
        made_on: what `create` is judged on where the ARN is not known before.
        made_in: ARNs of what it is made in, by the property that names it: `create` is judged on these, too.
        settings: actions that setting a property takes, at first and later.
        endings: actions that ending one takes besides, where a property is set.
        passes: the service to which a property hands a role.
        lower_case: whether a name that CloudFormation makes up is in lower case.
        longest: characters of such a name at most.
    """

    on: str
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    name: str = ""
    made_on: str = ""
    made_in: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    endings: Mapping[str, str] = field(default_factory=dict[str, str])
    passes: Mapping[str, str] = field(default_factory=dict[str, str])
    lower_case: bool = False
    longest: int = 64

    def name_in(self, properties: Properties) -> str | None:
        """The name that a template gives; None without one."""
        return named(properties, self.name)


def _attached(on: str, put: str, delete: str) -> ResourceActions:
    """A part of another resource, which is put and put again."""
    return ResourceActions(on, (put,), (put,), (delete,))


_FUNCTION = "arn:aws:lambda:{region}:{account}:function:"
_EC2 = "arn:aws:ec2:{region}:{account}:"
_VPC = {"VpcId": f"{_EC2}vpc/{{VpcId}}"}
_RESOLVER = "arn:aws:route53resolver:{region}:{account}:"
_LOGS = "arn:aws:logs:{region}:{account}:"
_LATER = frozenset(
    {
        *("bedrock-agentcore:TagResource", "iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy"),
        "lambda:UpdateFunctionCode",
    }
)
"""Actions for a setting that the action which makes the resource has for itself."""

RESOURCE_ACTIONS: Mapping[str, ResourceActions] = {
    "AWS::BedrockAgentCore::CodeInterpreterCustom": ResourceActions(
        "arn:aws:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{name}",
        create=("bedrock-agentcore:CreateCodeInterpreter",),
        delete=("bedrock-agentcore:DeleteCodeInterpreter",),
        name="Name",
        made_on="*",
        settings={"Tags": "bedrock-agentcore:TagResource"},
        passes={"ExecutionRoleArn": "bedrock-agentcore.amazonaws.com"},
    ),
    "AWS::Budgets::Budget": ResourceActions(
        "arn:aws:budgets::{account}:budget/{name}",
        create=("budgets:ModifyBudget",),
        update=("budgets:ModifyBudget",),
        delete=("budgets:ModifyBudget",),
        name="Budget.BudgetName",
        settings={"ResourceTags": "budgets:TagResource"},
    ),
    "AWS::CloudFormation::Stack": ResourceActions(
        "arn:aws:cloudformation:{region}:{account}:stack/{name}/*",
        create=("cloudformation:CreateStack",),
        update=("cloudformation:UpdateStack",),
        delete=("cloudformation:DeleteStack",),
    ),
    "AWS::CloudWatch::Alarm": ResourceActions(
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        create=("cloudwatch:PutMetricAlarm",),
        update=("cloudwatch:PutMetricAlarm",),
        delete=("cloudwatch:DeleteAlarms",),
        name="AlarmName",
        settings={"Tags": "cloudwatch:TagResource"},
        longest=255,
    ),
    "AWS::CloudWatch::CompositeAlarm": ResourceActions(
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        create=("cloudwatch:PutCompositeAlarm",),
        update=("cloudwatch:PutCompositeAlarm",),
        delete=("cloudwatch:DeleteAlarms",),
        name="AlarmName",
        settings={"Tags": "cloudwatch:TagResource"},
        longest=255,
    ),
    "AWS::CloudWatch::Dashboard": ResourceActions(
        "arn:aws:cloudwatch::{account}:dashboard/{name}",
        create=("cloudwatch:PutDashboard",),
        update=("cloudwatch:PutDashboard",),
        delete=("cloudwatch:DeleteDashboards",),
        name="DashboardName",
        longest=255,
    ),
    "AWS::DynamoDB::Table": ResourceActions(
        "arn:aws:dynamodb:{region}:{account}:table/{name}",
        create=("dynamodb:CreateTable",),
        update=("dynamodb:UpdateTable",),
        delete=("dynamodb:DeleteTable",),
        name="TableName",
        settings={
            "PointInTimeRecoverySpecification": "dynamodb:UpdateContinuousBackups",
            "Tags": "dynamodb:TagResource",
            "TimeToLiveSpecification": "dynamodb:UpdateTimeToLive",
        },
        longest=255,
    ),
    "AWS::EC2::FlowLog": ResourceActions(
        f"{_EC2}vpc-flow-log/{{name}}",
        create=("ec2:CreateFlowLogs",),
        delete=("ec2:DeleteFlowLogs",),
        made_on=f"{_EC2}vpc-flow-log/*",
        made_in={"ResourceId": f"{_EC2}vpc/{{ResourceId}}"},
        settings={"Tags": "ec2:CreateTags"},
        passes={"DeliverLogsPermissionArn": "vpc-flow-logs.amazonaws.com"},
    ),
    "AWS::EC2::RouteTable": ResourceActions(
        f"{_EC2}route-table/{{name}}",
        create=("ec2:CreateRouteTable",),
        delete=("ec2:DeleteRouteTable",),
        made_on=f"{_EC2}route-table/*",
        made_in=_VPC,
        settings={"Tags": "ec2:CreateTags"},
    ),
    "AWS::EC2::SecurityGroup": ResourceActions(
        f"{_EC2}security-group/{{name}}",
        create=("ec2:CreateSecurityGroup",),
        delete=("ec2:DeleteSecurityGroup",),
        made_on=f"{_EC2}security-group/*",
        made_in=_VPC,
        settings={
            "SecurityGroupEgress": "ec2:AuthorizeSecurityGroupEgress",
            "SecurityGroupIngress": "ec2:AuthorizeSecurityGroupIngress",
            "Tags": "ec2:CreateTags",
        },
    ),
    "AWS::EC2::SecurityGroupEgress": ResourceActions(
        f"{_EC2}security-group/{{GroupId}}",
        create=("ec2:AuthorizeSecurityGroupEgress",),
        delete=("ec2:RevokeSecurityGroupEgress",),
    ),
    "AWS::EC2::SecurityGroupIngress": ResourceActions(
        f"{_EC2}security-group/{{GroupId}}",
        create=("ec2:AuthorizeSecurityGroupIngress",),
        delete=("ec2:RevokeSecurityGroupIngress",),
    ),
    "AWS::EC2::Subnet": ResourceActions(
        f"{_EC2}subnet/{{name}}",
        create=("ec2:CreateSubnet",),
        update=("ec2:ModifySubnetAttribute",),
        delete=("ec2:DeleteSubnet",),
        made_on=f"{_EC2}subnet/*",
        made_in=_VPC,
        settings={"Tags": "ec2:CreateTags"},
    ),
    "AWS::EC2::SubnetRouteTableAssociation": ResourceActions(
        f"{_EC2}route-table/{{RouteTableId}}",
        create=("ec2:AssociateRouteTable",),
        delete=("ec2:DisassociateRouteTable",),
        made_in={"SubnetId": f"{_EC2}subnet/{{SubnetId}}"},
    ),
    "AWS::EC2::VPC": ResourceActions(
        f"{_EC2}vpc/{{name}}",
        create=("ec2:CreateVpc",),
        update=("ec2:ModifyVpcAttribute",),
        delete=("ec2:DeleteVpc",),
        made_on=f"{_EC2}vpc/*",
        settings={
            "EnableDnsHostnames": "ec2:ModifyVpcAttribute",
            "EnableDnsSupport": "ec2:ModifyVpcAttribute",
            "Tags": "ec2:CreateTags",
        },
    ),
    "AWS::EC2::VPCEndpoint": ResourceActions(
        f"{_EC2}vpc-endpoint/{{name}}",
        create=("ec2:CreateVpcEndpoint",),
        update=("ec2:ModifyVpcEndpoint",),
        delete=("ec2:DeleteVpcEndpoints",),
        made_on=f"{_EC2}vpc-endpoint/*",
        made_in={
            **_VPC,
            "RouteTableIds": f"{_EC2}route-table/{{RouteTableIds}}",
            "SecurityGroupIds": f"{_EC2}security-group/{{SecurityGroupIds}}",
            "SubnetIds": f"{_EC2}subnet/{{SubnetIds}}",
        },
        settings={"Tags": "ec2:CreateTags"},
    ),
    "AWS::ECR::Repository": ResourceActions(
        "arn:aws:ecr:{region}:{account}:repository/{name}",
        create=("ecr:CreateRepository",),
        delete=("ecr:DeleteRepository",),
        name="RepositoryName",
        settings={
            "ImageScanningConfiguration": "ecr:PutImageScanningConfiguration",
            "ImageTagMutability": "ecr:PutImageTagMutability",
            "LifecyclePolicy": "ecr:PutLifecyclePolicy",
            "RepositoryPolicyText": "ecr:SetRepositoryPolicy",
            "Tags": "ecr:TagResource",
        },
        lower_case=True,
        longest=256,
    ),
    "AWS::Events::Rule": ResourceActions(
        "arn:aws:events:{region}:{account}:rule/{name}",
        create=("events:PutRule",),
        update=("events:PutRule",),
        delete=("events:DeleteRule",),
        name="Name",
        settings={"Targets": "events:PutTargets"},
        endings={"Targets": "events:RemoveTargets"},
        passes={"RoleArn": "events.amazonaws.com", "Targets": "events.amazonaws.com"},
    ),
    "AWS::IAM::InstanceProfile": ResourceActions(
        "arn:aws:iam::{account}:instance-profile{Path}{name}",
        create=("iam:CreateInstanceProfile",),
        update=("iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile"),
        delete=("iam:DeleteInstanceProfile",),
        name="InstanceProfileName",
        settings={"Roles": "iam:AddRoleToInstanceProfile"},
        endings={"Roles": "iam:RemoveRoleFromInstanceProfile"},
        longest=128,
    ),
    "AWS::IAM::ManagedPolicy": ResourceActions(
        "arn:aws:iam::{account}:policy{Path}{name}",
        create=("iam:CreatePolicy",),
        update=("iam:CreatePolicyVersion",),
        delete=("iam:DeletePolicy",),
        name="ManagedPolicyName",
        longest=128,
    ),
    "AWS::IAM::Policy": ResourceActions(
        "arn:aws:iam::{account}:role/{Roles}",
        create=("iam:PutRolePolicy",),
        update=("iam:PutRolePolicy",),
        delete=("iam:DeleteRolePolicy",),
    ),
    "AWS::IAM::Role": ResourceActions(
        "arn:aws:iam::{account}:role{Path}{name}",
        create=("iam:CreateRole",),
        update=("iam:UpdateRole",),
        delete=("iam:DeleteRole",),
        name="RoleName",
        settings={
            "AssumeRolePolicyDocument": "iam:UpdateAssumeRolePolicy",
            "ManagedPolicyArns": "iam:AttachRolePolicy",
            "PermissionsBoundary": "iam:PutRolePermissionsBoundary",
            "Policies": "iam:PutRolePolicy",
            "Tags": "iam:TagRole",
        },
        endings={"ManagedPolicyArns": "iam:DetachRolePolicy", "Policies": "iam:DeleteRolePolicy"},
    ),
    "AWS::KMS::Alias": ResourceActions(
        "arn:aws:kms:{region}:{account}:{name}",
        create=("kms:CreateAlias",),
        update=("kms:UpdateAlias",),
        delete=("kms:DeleteAlias",),
        name="AliasName",
    ),
    "AWS::KMS::Key": ResourceActions(
        "arn:aws:kms:{region}:{account}:key/{name}",
        create=("kms:CreateKey",),
        update=("kms:UpdateKeyDescription",),
        delete=("kms:ScheduleKeyDeletion",),
        made_on="*",
        settings={"Tags": "kms:TagResource"},
    ),
    "AWS::Lambda::Alias": ResourceActions(
        f"{_FUNCTION}{{FunctionName}}", ("lambda:CreateAlias",), ("lambda:UpdateAlias",), ("lambda:DeleteAlias",)
    ),
    "AWS::Lambda::EventInvokeConfig": ResourceActions(
        f"{_FUNCTION}{{FunctionName}}",
        create=("lambda:PutFunctionEventInvokeConfig",),
        update=("lambda:UpdateFunctionEventInvokeConfig",),
        delete=("lambda:DeleteFunctionEventInvokeConfig",),
    ),
    "AWS::Lambda::EventSourceMapping": ResourceActions(
        "arn:aws:lambda:{region}:{account}:event-source-mapping:{name}",
        create=("lambda:CreateEventSourceMapping",),
        update=("lambda:UpdateEventSourceMapping",),
        delete=("lambda:DeleteEventSourceMapping",),
        made_on="*",
    ),
    "AWS::Lambda::Function": ResourceActions(
        f"{_FUNCTION}{{name}}",
        create=("lambda:CreateFunction",),
        update=("lambda:UpdateFunctionConfiguration",),
        delete=("lambda:DeleteFunction",),
        name="FunctionName",
        settings={
            "Code": "lambda:UpdateFunctionCode",
            "ReservedConcurrentExecutions": "lambda:PutFunctionConcurrency",
            "Tags": "lambda:TagResource",
        },
        passes={"Role": "lambda.amazonaws.com"},
    ),
    "AWS::Lambda::LayerVersion": ResourceActions(
        "arn:aws:lambda:{region}:{account}:layer:{name}",
        create=("lambda:PublishLayerVersion",),
        delete=("lambda:DeleteLayerVersion",),
        name="LayerName",
    ),
    "AWS::Lambda::Permission": _attached(
        f"{_FUNCTION}{{FunctionName}}", "lambda:AddPermission", "lambda:RemovePermission"
    ),
    "AWS::Lambda::Url": ResourceActions(
        f"{_FUNCTION}{{TargetFunctionArn}}",
        create=("lambda:CreateFunctionUrlConfig",),
        update=("lambda:UpdateFunctionUrlConfig",),
        delete=("lambda:DeleteFunctionUrlConfig",),
    ),
    "AWS::Lambda::Version": ResourceActions(
        f"{_FUNCTION}{{FunctionName}}", create=("lambda:PublishVersion",), delete=("lambda:DeleteFunction",)
    ),
    "AWS::Logs::Delivery": ResourceActions(
        f"{_LOGS}delivery:{{name}}",
        create=("logs:CreateDelivery",),
        update=("logs:UpdateDeliveryConfiguration",),
        delete=("logs:DeleteDelivery",),
        made_on=f"{_LOGS}delivery:*",
        settings={"Tags": "logs:TagResource"},
    ),
    "AWS::Logs::DeliveryDestination": ResourceActions(
        f"{_LOGS}delivery-destination:{{name}}",
        create=("logs:PutDeliveryDestination",),
        update=("logs:PutDeliveryDestination",),
        delete=("logs:DeleteDeliveryDestination",),
        name="Name",
        settings={"DeliveryDestinationPolicy": "logs:PutDeliveryDestinationPolicy", "Tags": "logs:TagResource"},
    ),
    "AWS::Logs::DeliverySource": ResourceActions(
        f"{_LOGS}delivery-source:{{name}}",
        create=("logs:PutDeliverySource",),
        update=("logs:PutDeliverySource",),
        delete=("logs:DeleteDeliverySource",),
        name="Name",
        settings={"Tags": "logs:TagResource"},
    ),
    "AWS::Logs::LogGroup": ResourceActions(
        "arn:aws:logs:{region}:{account}:log-group:{name}",
        create=("logs:CreateLogGroup",),
        delete=("logs:DeleteLogGroup",),
        name="LogGroupName",
        settings={
            "DataProtectionPolicy": "logs:PutDataProtectionPolicy",
            "KmsKeyId": "logs:AssociateKmsKey",
            "RetentionInDays": "logs:PutRetentionPolicy",
            "Tags": "logs:TagResource",
        },
        longest=512,
    ),
    "AWS::Logs::MetricFilter": _attached(
        "arn:aws:logs:{region}:{account}:log-group:{LogGroupName}", "logs:PutMetricFilter", "logs:DeleteMetricFilter"
    ),
    "AWS::Logs::QueryDefinition": _attached("*", "logs:PutQueryDefinition", "logs:DeleteQueryDefinition"),
    "AWS::Logs::ResourcePolicy": _attached("*", "logs:PutResourcePolicy", "logs:DeleteResourcePolicy"),
    "AWS::Logs::SubscriptionFilter": ResourceActions(
        "arn:aws:logs:{region}:{account}:log-group:{LogGroupName}",
        create=("logs:PutSubscriptionFilter",),
        update=("logs:PutSubscriptionFilter",),
        delete=("logs:DeleteSubscriptionFilter",),
        passes={"RoleArn": "logs.amazonaws.com"},
    ),
    "AWS::Route53Resolver::FirewallDomainList": ResourceActions(
        f"{_RESOLVER}firewall-domain-list/{{name}}",
        create=("route53resolver:CreateFirewallDomainList",),
        delete=("route53resolver:DeleteFirewallDomainList",),
        made_on=f"{_RESOLVER}firewall-domain-list/*",
        settings={"Domains": "route53resolver:UpdateFirewallDomains", "Tags": "route53resolver:TagResource"},
    ),
    "AWS::Route53Resolver::FirewallRuleGroup": ResourceActions(
        f"{_RESOLVER}firewall-rule-group/{{name}}",
        create=("route53resolver:CreateFirewallRuleGroup",),
        delete=("route53resolver:DeleteFirewallRuleGroup",),
        made_on=f"{_RESOLVER}firewall-rule-group/*",
        settings={"FirewallRules": "route53resolver:CreateFirewallRule", "Tags": "route53resolver:TagResource"},
        endings={"FirewallRules": "route53resolver:DeleteFirewallRule"},
    ),
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": ResourceActions(
        f"{_RESOLVER}firewall-rule-group-association/{{name}}",
        create=("route53resolver:AssociateFirewallRuleGroup",),
        update=("route53resolver:UpdateFirewallRuleGroupAssociation",),
        delete=("route53resolver:DisassociateFirewallRuleGroup",),
        made_on=f"{_RESOLVER}firewall-rule-group-association/*",
        settings={"Tags": "route53resolver:TagResource"},
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfig": ResourceActions(
        f"{_RESOLVER}resolver-query-log-config/{{name}}",
        create=("route53resolver:CreateResolverQueryLogConfig",),
        delete=("route53resolver:DeleteResolverQueryLogConfig",),
        made_on=f"{_RESOLVER}resolver-query-log-config/*",
        settings={"Tags": "route53resolver:TagResource"},
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation": ResourceActions(
        f"{_RESOLVER}resolver-query-log-config/{{ResolverQueryLogConfigId}}",
        create=("route53resolver:AssociateResolverQueryLogConfig",),
        delete=("route53resolver:DisassociateResolverQueryLogConfig",),
    ),
    "AWS::S3::Bucket": ResourceActions(
        "arn:aws:s3:::{name}",
        create=("s3:CreateBucket",),
        update=("s3:CreateBucket",),
        delete=("s3:DeleteBucket",),
        name="BucketName",
        settings={
            "BucketEncryption": "s3:PutEncryptionConfiguration",
            "CorsConfiguration": "s3:PutBucketCORS",
            "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
            "LoggingConfiguration": "s3:PutBucketLogging",
            "NotificationConfiguration": "s3:PutBucketNotification",
            "OwnershipControls": "s3:PutBucketOwnershipControls",
            "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
            "Tags": "s3:PutBucketTagging",
            "VersioningConfiguration": "s3:PutBucketVersioning",
        },
        lower_case=True,
        longest=63,
    ),
    "AWS::S3::BucketPolicy": _attached("arn:aws:s3:::{Bucket}", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
    "AWS::SNS::Subscription": ResourceActions("{TopicArn}", create=("sns:Subscribe",), delete=("sns:Unsubscribe",)),
    "AWS::SNS::Topic": ResourceActions(
        "arn:aws:sns:{region}:{account}:{name}",
        create=("sns:CreateTopic",),
        update=("sns:SetTopicAttributes",),
        delete=("sns:DeleteTopic",),
        name="TopicName",
        settings={"Subscription": "sns:Subscribe", "Tags": "sns:TagResource"},
        longest=256,
    ),
    "AWS::SNS::TopicPolicy": _attached("{Topics}", "sns:SetTopicAttributes", "sns:SetTopicAttributes"),
    "AWS::SQS::Queue": ResourceActions(
        "arn:aws:sqs:{region}:{account}:{name}",
        create=("sqs:CreateQueue",),
        update=("sqs:SetQueueAttributes",),
        delete=("sqs:DeleteQueue",),
        name="QueueName",
        settings={"Tags": "sqs:TagQueue"},
        longest=80,
    ),
    "AWS::SQS::QueuePolicy": _attached(
        "arn:aws:sqs:{region}:{account}:{Queues}", "sqs:SetQueueAttributes", "sqs:SetQueueAttributes"
    ),
    "AWS::SSM::Parameter": ResourceActions(
        "arn:aws:ssm:{region}:{account}:parameter/{name}",
        create=("ssm:PutParameter",),
        update=("ssm:PutParameter",),
        delete=("ssm:DeleteParameter",),
        name="Name",
        settings={"Tags": "ssm:AddTagsToResource"},
    ),
    "AWS::SecretsManager::Secret": ResourceActions(
        "arn:aws:secretsmanager:{region}:{account}:secret:{name}",
        create=("secretsmanager:CreateSecret",),
        update=("secretsmanager:UpdateSecret",),
        delete=("secretsmanager:DeleteSecret",),
        name="Name",
        made_on="arn:aws:secretsmanager:{region}:{account}:secret:{name}-??????",
        settings={"Tags": "secretsmanager:TagResource"},
    ),
    "AWS::StepFunctions::StateMachine": ResourceActions(
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        create=("states:CreateStateMachine",),
        update=("states:UpdateStateMachine",),
        delete=("states:DeleteStateMachine",),
        name="StateMachineName",
        settings={"Tags": "states:TagResource"},
        passes={"RoleArn": "states.amazonaws.com"},
        longest=80,
    ),
}

_CUSTOM = _attached("{ServiceToken}", "lambda:InvokeFunction", "lambda:InvokeFunction")
_NOTHING = ResourceActions("*")
"""CloudFormation's own types, which call no service."""

_PREFIXES = {
    "ApiGatewayV2": "apigateway",
    "CertificateManager": "acm",
    "Cognito": "cognito-idp",
    "DocDB": "rds",
    "EFS": "elasticfilesystem",
    "ElasticLoadBalancingV2": "elasticloadbalancing",
    "KinesisAnalyticsV2": "kinesisanalytics",
    "KinesisFirehose": "firehose",
    "Location": "geo",
    "MSK": "kafka",
    "OpenSearchService": "es",
    "S3ObjectLambda": "s3-object-lambda",
    "StepFunctions": "states",
}
"""Services whose actions begin otherwise than their types."""


def handling(resource_type: str) -> ResourceActions:
    """What handling resources of a type takes; every action of its service where the table does not know it."""
    if known := RESOURCE_ACTIONS.get(resource_type):
        return known
    vendor, _, rest = resource_type.partition("::")
    if vendor == "Custom" or resource_type == "AWS::CloudFormation::CustomResource":
        return _CUSTOM
    service = rest.partition("::")[0]
    if service in ("CDK", "CloudFormation"):
        return _NOTHING
    every = (f"{_PREFIXES.get(service, service.lower())}:*",)
    return ResourceActions("*", every, every, every)


def create_permissions(
    resource_type: str, name: str, properties: Properties, place: Mapping[str, str]
) -> list[Permission]:
    """What making a resource takes. `place` is the account and the region."""
    of_type, properties = handling(resource_type), _as_written(properties)
    keys = _tag_keys(properties.get("Tags"))
    if boundary := properties.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = str(boundary)
    settings = [
        action for setting, action in of_type.settings.items() if setting in properties and action not in _LATER
    ]
    made = _resources(of_type.made_on or of_type.on, name, properties, place)
    made_in = [
        resource
        for setting, on in of_type.made_in.items()
        if setting in properties
        for resource in _resources(on, name, properties, place)
    ]
    # What has no ARN yet may be any: only who may set this with all of them may set it with what is made.
    set_on = _resources(of_type.on, "*", properties, place) if of_type.made_on == "*" else made
    return [
        *(Permission(action, resource, keys) for action in of_type.create for resource in made),
        *(Permission(action, resource) for action in of_type.create for resource in made_in),
        *(
            Permission(action, resource, _keys_of_setting(action, of_type, properties, keys))
            for action in settings
            for resource in set_on
        ),
        *_passed(of_type, properties, properties),
    ]


def update_permissions(
    resource_type: str, name: str, before: Properties, after: Properties, place: Mapping[str, str]
) -> list[Permission]:
    """What changing a resource takes, by the properties that differ."""
    of_type, before, after = handling(resource_type), _as_written(before), _as_written(after)
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    others = [key for key in changed if key not in of_type.settings]
    renamed = of_type.name_in(before) != of_type.name_in(after)
    if renamed or (others and not of_type.update):
        made = of_type.name_in(after) or name
        return [
            *create_permissions(resource_type, made, after, place),
            *delete_permissions(resource_type, name, before, place),
        ]
    actions = [*(of_type.settings[key] for key in changed if key not in others), *(of_type.update if others else ())]
    keys = _own_keys(before)
    if "Tags" in changed:
        keys |= _tag_keys(after.get("Tags"))
    if boundary := after.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = str(boundary)
    return [
        *(
            Permission(action, resource, keys)
            for action in actions
            for resource in _resources(of_type.on, name, after, place)
        ),
        *_passed(of_type, after, changed),
    ]


def delete_permissions(
    resource_type: str, name: str, properties: Properties, place: Mapping[str, str]
) -> list[Permission]:
    """What ending a resource takes."""
    of_type, properties = handling(resource_type), _as_written(properties)
    endings = [action for setting, action in of_type.endings.items() if properties.get(setting)]
    keys = _own_keys(properties)
    return [
        Permission(action, resource, keys)
        for action in (*endings, *of_type.delete)
        for resource in _resources(of_type.on, name, properties, place)
    ]


def _as_written(properties: Properties) -> Properties:
    """Properties without the tags that CloudFormation itself adds, which no policy has to allow."""
    tags = properties.get("Tags")
    if isinstance(tags, list):
        kept: Any = [tag for tag in cast("list[Mapping[str, Any]]", tags) if not tag["Key"].startswith("aws:")]
    else:
        named = cast("Mapping[str, Any]", tags or {})
        kept = {name: value for name, value in named.items() if not name.startswith("aws:")}
    others = {name: value for name, value in properties.items() if name != "Tags"}
    return others | {"Tags": kept} if kept else others


def _passed(of_type: ResourceActions, properties: Properties, names: Iterable[str]) -> list[Permission]:
    return [
        Permission("iam:PassRole", role, {"iam:PassedToService": of_type.passes[name]})
        for name in names
        if name in of_type.passes
        for role in _roles(properties.get(name))
    ]


def _roles(value: Any) -> list[str]:
    """The roles in a property: itself, or what is called `RoleArn` in its items."""
    if isinstance(value, str):
        return [value]
    items = cast("Sequence[Mapping[str, Any]]", value or ())
    return [str(item["RoleArn"]) for item in items if "RoleArn" in item]


def _keys_of_setting(
    action: str, of_type: ResourceActions, properties: Properties, asked: Mapping[str, str | list[str]]
) -> Mapping[str, str | list[str]]:
    """Condition keys for a call that goes with the one that makes a resource, or comes after it.

    Tags are asked for with it, of which EC2 tells the action; what comes after finds them on the resource.
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html)
    """
    if action != of_type.settings.get("Tags"):
        return _own_keys(properties)
    return {**asked, "ec2:CreateAction": of_type.create[0].partition(":")[2]} if action == "ec2:CreateTags" else asked


def _own_keys(properties: Properties) -> dict[str, str | list[str]]:
    """Condition keys for the tags and the boundary of a resource that exists."""
    keys = {
        name.replace("RequestTag", "ResourceTag"): value
        for name, value in _tag_keys(properties.get("Tags")).items()
        if name != "aws:TagKeys"
    }
    if boundary := properties.get("PermissionsBoundary"):
        keys["iam:PermissionsBoundary"] = str(boundary)
    return keys


def _tag_keys(tags: Any) -> dict[str, str | list[str]]:
    """Condition keys for tags, which are a list of keys and values with some types and a mapping with others."""
    if isinstance(tags, list):
        tags = {tag["Key"]: tag["Value"] for tag in cast("list[Mapping[str, Any]]", tags)}
    named = cast("Mapping[str, Any]", tags or {})
    keys: dict[str, str | list[str]] = {f"aws:RequestTag/{name}": str(value) for name, value in named.items()}
    return keys | {"aws:TagKeys": list(named)} if named else keys


def _resources(on: str, name: str, properties: Properties, place: Mapping[str, str]) -> list[str]:
    """The ARNs that `on` stands for: one for every item of a property in it."""
    values: dict[str, Any] = {"Path": "/", **properties, **place, "name": name}
    arns = [on]
    for _, wanted, _, _ in string.Formatter().parse(on):
        if wanted:
            given = values.get(wanted, "*")
            items = cast("list[Any]", given) if isinstance(given, list) else [given]
            arns = [_filled(arn, wanted, str(item)) for arn in arns for item in items]
    return arns


def _filled(arn: str, wanted: str, value: str) -> str:
    """An ARN with a name, an ARN that takes its place, or the name at the end of a queue's URL."""
    if value.startswith("arn:"):
        return value
    text = value.rpartition("/")[2] if value.startswith("http") else value
    return arn.replace(f"{{{wanted}}}", text).replace("//", "/")
