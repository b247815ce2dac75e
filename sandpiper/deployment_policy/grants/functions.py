"""Grants for Lambda functions and Step Functions state machines."""

from __future__ import annotations

from sandpiper.deployment_policy.grant import Grant, actions
from sandpiper_contract.aws import SESSION_STOPPER_TYPE

_FUNCTIONS = "arn:{partition}:lambda:{region}:{account}:function:{name_prefix}*"

FUNCTION_GRANTS = (
    Grant(
        "Functions",
        ("AWS::Lambda::Function", "AWS::Lambda::EventInvokeConfig"),
        actions(
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
        # The only function that a stack invokes: the custom resource that stops an interpreter's sessions.
        "EndLiveSessions",
        (SESSION_STOPPER_TYPE,),
        actions("lambda", "InvokeFunction"),
        (_FUNCTIONS + "SessionStopper*",),
    ),
    Grant(
        # The rules that stop the sessions of stopped executions, and their permission to invoke the function.
        "Rules",
        ("AWS::Events::Rule",),
        actions(
            "events",
            *("PutRule", "DescribeRule", "DeleteRule", "PutTargets", "RemoveTargets", "ListTargetsByRule"),
            *("TagResource", "UntagResource", "ListTagsForResource"),
        ),
        ("arn:{partition}:events:{region}:{account}:rule/{name_prefix}*",),
    ),
    Grant(
        "InvocationsByRules",
        ("AWS::Lambda::Permission",),
        actions("lambda", "AddPermission", "RemovePermission", "GetPolicy"),
        (_FUNCTIONS + "SessionFunction*",),
        {"StringEqualsIfExists": {"lambda:Principal": "events.amazonaws.com"}},
    ),
    Grant(
        "CodeOfFunctions",
        ("AWS::Lambda::Function",),
        actions("s3", "GetObject"),
        ("arn:{partition}:s3:::cdk-{qualifier}-assets-{account}-{region}/*",),
    ),
    Grant(
        "Workflows",
        ("AWS::StepFunctions::StateMachine",),
        actions(
            "states",
            *("CreateStateMachine", "DescribeStateMachine", "UpdateStateMachine", "DeleteStateMachine"),
            *("ListTagsForResource", "TagResource", "UntagResource"),
        ),
        ("arn:{partition}:states:{region}:{account}:stateMachine:{prefix}*",),
    ),
)
