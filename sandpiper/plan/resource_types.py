"""The CloudFormation resource types that the plan treats specially, and the names that reports use for types."""

from __future__ import annotations

import re

ALARM = "AWS::CloudWatch::Alarm"
INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
ROLE = "AWS::IAM::Role"
FUNCTION = "AWS::Lambda::Function"
WORKFLOW = "AWS::StepFunctions::StateMachine"
BUCKET = "AWS::S3::Bucket"
KEY = "AWS::KMS::Key"
LOG_GROUP = "AWS::Logs::LogGroup"

DATA_TYPES = (BUCKET, KEY, LOG_GROUP)
"""Types that hold data, or whose deletion makes data unreadable."""
ROLE_PROPERTIES = {INTERPRETER: "ExecutionRoleArn", FUNCTION: "Role", WORKFLOW: "RoleArn"}
"""The property that names the role of a resource, by type."""
TYPE_NAMES = {
    "AWS::CloudTrail::Trail": "audit trail",
    "AWS::CloudWatch::CompositeAlarm": "composite alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::Chatbot::SlackChannelConfiguration": "channel of Slack",
    "AWS::EC2::SecurityGroup": "security group",
    "AWS::EC2::Subnet": "subnet",
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::VPCEndpoint": "VPC endpoint",
    "AWS::IAM::Policy": "policy",
    "AWS::Lambda::EventInvokeConfig": "retries of function",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SSM::Parameter": "parameter",
    "Custom::SandpiperLiveSessions": "session stopper entry",
    ALARM: "alarm",
    BUCKET: "bucket",
    FUNCTION: "function",
    INTERPRETER: "interpreter",
    KEY: "key",
    LOG_GROUP: "log group",
    ROLE: "role",
    WORKFLOW: "workflow",
}


def type_name(resource_type: str) -> str:
    """Returns the name of a type in reports; for an unlisted type, the words of the last part of its identifier."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", resource_type.rpartition("::")[2]).lower()
    return TYPE_NAMES.get(resource_type, words)
