"""The regions that are known to offer custom code interpreters.

Not a gate: a region may gain the service before this list does, so an unlisted one is a warning and never a refusal.
Source: the CloudFormation registry's regional schemas for AWS::BedrockAgentCore::CodeInterpreterCustom, November 2026.
"""

from __future__ import annotations

INTERPRETER_REGIONS = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-5",
        "ap-southeast-7",
        "ca-central-1",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-gov-west-1",
        "us-west-1",
        "us-west-2",
    }
)
