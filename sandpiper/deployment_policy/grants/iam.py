"""Grants for the roles of interpreters, functions and state machines."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import BOUNDARY, ROLES, Grant, actions, passed_to

_ROLE_TYPES = ("AWS::IAM::Role",)
_POLICY_TYPES = ("AWS::IAM::Role", "AWS::IAM::Policy")

IAM_GRANTS = (
    Grant("MakeRoles", _ROLE_TYPES, actions("iam", "CreateRole"), (ROLES,), applies_to=features.no_boundary),
    Grant(
        "MakeBoundedRoles",
        _ROLE_TYPES,
        actions("iam", "CreateRole", "PutRolePermissionsBoundary"),
        (ROLES,),
        BOUNDARY,
        features.boundary,
    ),
    Grant(
        "Roles",
        _POLICY_TYPES,
        actions(
            "iam",
            *("GetRole", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy", "DeleteRole"),
            *("GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"),
            *("ListRoleTags", "TagRole", "UntagRole"),
        ),
        (ROLES,),
    ),
    Grant("PoliciesOfRoles", _POLICY_TYPES, actions("iam", "PutRolePolicy"), (ROLES,), applies_to=features.no_boundary),
    Grant(
        "PoliciesOfBoundedRoles",
        _POLICY_TYPES,
        actions("iam", "PutRolePolicy"),
        (ROLES,),
        BOUNDARY,
        features.boundary,
    ),
    Grant(
        "HandOverRoles",
        ("AWS::BedrockAgentCore::CodeInterpreterCustom", "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"),
        actions("iam", "PassRole"),
        (ROLES,),
        passed_to("bedrock-agentcore", "lambda", "states"),
    ),
)
