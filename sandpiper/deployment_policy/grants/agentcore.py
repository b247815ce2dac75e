"""Grants for code interpreters."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import CREATED_WITH_TAG, REQUEST_TAG, Grant, actions

_TYPES = ("AWS::BedrockAgentCore::CodeInterpreterCustom",)
_NETWORK_SERVICE = "network.bedrock-agentcore.amazonaws.com"

AGENTCORE_GRANTS = (
    Grant(
        "MakeInterpreters",
        _TYPES,
        actions("bedrock-agentcore", "CreateCodeInterpreter"),
        ("*",),
        REQUEST_TAG,
        unscoped_reason=CREATED_WITH_TAG,
    ),
    Grant(
        "Interpreters",
        _TYPES,
        actions(
            "bedrock-agentcore",
            *("GetCodeInterpreter", "DeleteCodeInterpreter", "ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{environment}__*",),
    ),
    Grant(
        # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html
        "InterpretersInVpcs",
        _TYPES,
        actions("iam", "CreateServiceLinkedRole"),
        (
            f"arn:{{partition}}:iam::{{account}}:role/aws-service-role/{_NETWORK_SERVICE}/"
            "AWSServiceRoleForBedrockAgentCoreNetwork",
        ),
        {"StringEquals": {"iam:AWSServiceName": _NETWORK_SERVICE}},
        features.vpc_interpreters,
    ),
)
