"""AWS facts that more than one package relies on, and the tags that Sandpiper sets on AWS resources."""

from __future__ import annotations

PARTITIONS = {
    "cn-": "aws-cn",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
}
"""Partitions by the prefix of their region names. All other regions are in the partition `aws`.

https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
"""
DNS_SUFFIXES = {
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
"""DNS suffixes of service endpoints (`AWS::URLSuffix`) by partition. All others have `amazonaws.com`."""

BOOTSTRAP_QUALIFIER = "hnb659fds"
"""The default qualifier in the names of the resources that `cdk bootstrap` creates.

https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html
"""

EMBEDDED_ACCOUNT = "123456789012"
"""The account of the embedded AWS. AWS uses this number in examples and never assigns it."""
AGENTCORE = "bedrock-agentcore"
"""The service's name in IAM actions, ARNs and service principals."""
MANAGED_INTERPRETER = "aws.codeinterpreter.v1"
"""The identifier of AWS's managed interpreter, which every account has. It has no execution role."""
INTERPRETER_NAME = r"[a-zA-Z][a-zA-Z0-9_]{0,47}"
"""Pattern of a custom interpreter's name (AWS::BedrockAgentCore::CodeInterpreterCustom, Name)."""
INTERPRETER_ID = rf"{INTERPRETER_NAME}-[a-zA-Z0-9]{{10}}"
"""Pattern of a custom interpreter's identifier: its name, a hyphen and ten characters."""
MAX_CERTIFICATES = 10
"""Maximum number of root certificates of an interpreter.

AWS::BedrockAgentCore::CodeInterpreterCustom, Certificates.
"""
MAX_SUBNETS = MAX_SECURITY_GROUPS = 16
"""Maximum number of subnets, and of security groups, of an interpreter in VPC mode.

AWS::BedrockAgentCore::CodeInterpreterCustom, VpcConfig.
"""

ZONE_LETTERS = "abcdefgh"
"""The letters of the availability zones that an environment's network can use. Each zone gets an eighth of its
addresses."""

ROLE_ARN = r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[!-#%-)+->@-~]+/)?([A-Za-z0-9_+=,.@-]{1,64})"
"""Pattern of the ARN of one role, with its account and name as groups. Paths have no `*`, `?` or `$`."""
AWS_MANAGED_ROLE = r":role/aws-service-role/|:role/.*AWSReservedSSO_"
"""Pattern of service-linked roles and roles of IAM Identity Center. Only AWS can change their trust and policies.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
"""
MAX_REVIEW_CHARACTERS = 200
"""Maximum length of the reason and the owner of a permission."""

MAX_INLINE_POLICY_CHARACTERS = 10_240
"""Maximum number of characters of all inline policies of a role together, not counting white space.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

MIN_STACK_NAME_CHARACTERS = 24
"""CloudFormation keeps at least this many characters of a stack's name, and of a logical ID, in a generated name of 64.

AWS does not document it. `IdentifierUtils` of CloudFormation's resource types splits 50 characters evenly
(https://github.com/aws-cloudformation/cloudformation-cli-java-plugin), as in the name of the role
`IamDeniedCustomResourceSt-CrHandlerServiceRole2D0F6-UlztxgkpoGK1` (https://github.com/aws/aws-cdk-cli/pull/1676). Older
names have a suffix of 13 instead of 12 characters.
"""

ENVIRONMENT_TAG = "sandpiper:environment"
TENANT_TAG = "sandpiper:tenant"
OWNER_TAG = "sandpiper:owner"
COMPONENT_TAG = "sandpiper:component"
"""Tag of the roles of session functions and of batch workflows, and of the roles that readers of a workflow assume.

The S3 endpoint of a network and the policy of the data bucket name roles by this tag: their names do not exist before
the roles, which are created after the network and the bucket.
"""
SESSION_FUNCTION = "session-function"
WORKFLOW_READER = "workflow-reader"
BATCH_WORKFLOW = "batch-workflow"
"""The values of `COMPONENT_TAG`."""

SESSION_STOPPER_TYPE = "Custom::SandpiperLiveSessions"
"""CloudFormation type of the custom resource that stops an interpreter's sessions before its deletion."""


def partition_of(region: str) -> str:
    """Returns the partition that a region belongs to, such as `aws-cn` for `cn-north-1`."""
    return next((partition for prefix, partition in PARTITIONS.items() if region.startswith(prefix)), "aws")


def dns_suffix_of(partition: str) -> str:
    """Returns the DNS suffix of a partition's service endpoints, such as `amazonaws.com`."""
    return DNS_SUFFIXES.get(partition, "amazonaws.com")
