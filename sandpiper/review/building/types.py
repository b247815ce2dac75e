"""The CloudFormation types that a review knows, and where they have roles and policies."""

from __future__ import annotations

from sandpiper.plan.resource_types import BUCKET, FUNCTION, INTERPRETER, KEY, ROLE, WORKFLOW
from sandpiper_policy.model.graph import NodeKind

RUNTIME = "AWS::BedrockAgentCore::Runtime"
USER, GROUP, MANAGED_POLICY = "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::ManagedPolicy"
PERMISSION = "AWS::Lambda::Permission"
ENDPOINT = "AWS::EC2::VPCEndpoint"

IDENTITY_TYPES = {ROLE: "role", USER: "user", GROUP: "group"}
POLICY_TYPES = {
    "AWS::IAM::Policy": {"Roles": "role", "Users": "user", "Groups": "group"},
    "AWS::IAM::RolePolicy": {"RoleName": "role"},
    "AWS::IAM::UserPolicy": {"UserName": "user"},
    "AWS::IAM::GroupPolicy": {"GroupName": "group"},
    MANAGED_POLICY: {"Roles": "role", "Users": "user", "Groups": "group"},
}
"""Types with an identity-based policy in `PolicyDocument`: the properties that name identities, and their kind."""
RESOURCE_POLICIES = {
    "AWS::DynamoDB::Table": (("ResourcePolicy", "PolicyDocument"), None),
    "AWS::ECR::Repository": (("RepositoryPolicyText",), None),
    "AWS::KMS::Key": (("KeyPolicy",), None),
    "AWS::KMS::ReplicaKey": (("KeyPolicy",), None),
    FUNCTION: (("ResourcePolicy",), None),  # of a deployed function only: a template has permissions instead
    "AWS::Logs::ResourcePolicy": (("PolicyDocument",), None),
    "AWS::S3::AccessPoint": (("Policy",), "Bucket"),
    "AWS::S3::BucketPolicy": (("PolicyDocument",), "Bucket"),
    "AWS::SNS::TopicPolicy": (("PolicyDocument",), "Topics"),
    "AWS::SQS::QueuePolicy": (("PolicyDocument",), "Queues"),
    "AWS::SecretsManager::ResourcePolicy": (("ResourcePolicy",), "SecretId"),
    ENDPOINT: (("PolicyDocument",), None),
}
"""By type: the property with the policy, and the property that names the resources, if they are other ones."""
PROGRAM_ROLES = {FUNCTION: "Role", INTERPRETER: "ExecutionRoleArn", RUNTIME: "RoleArn", WORKFLOW: "RoleArn"}
"""Types that run with a role, and the property that names it."""
NODE_KINDS = {
    BUCKET: NodeKind.BUCKET,
    FUNCTION: NodeKind.FUNCTION,
    INTERPRETER: NodeKind.INTERPRETER,
    KEY: NodeKind.KEY,
    RUNTIME: NodeKind.OTHER,
    WORKFLOW: NodeKind.STATE_MACHINE,
}
"""Types of resources that are nodes of the graph. Identities are nodes, too."""
