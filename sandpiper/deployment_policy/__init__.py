"""Contains the IAM policies with which CloudFormation can deploy, change and delete one environment.

They replace AdministratorAccess in `cdk bootstrap --cloudformation-execution-policies`. The policies do not allow
running code in an interpreter, but a template can create a role that is allowed to. The permissions of the deployed
functions and interpreters are separate: each role of the environment has its own policy.

`grants` is the table of what a deployment needs. `statements` and `documents` turn it into policies.
"""

from sandpiper.deployment_policy.documents import MAX_POLICIES, MAX_POLICY_CHARACTERS, policy_documents
from sandpiper.deployment_policy.grant import Grant
from sandpiper.deployment_policy.grants import GRANTS
from sandpiper.deployment_policy.statements import (
    MIN_STACK_NAME_CHARACTERS,
    generated_name_prefix,
    policy_statements,
    unscoped_grants,
)

__all__ = [
    "GRANTS",
    "MAX_POLICIES",
    "MAX_POLICY_CHARACTERS",
    "MIN_STACK_NAME_CHARACTERS",
    "Grant",
    "generated_name_prefix",
    "policy_documents",
    "policy_statements",
    "unscoped_grants",
]
