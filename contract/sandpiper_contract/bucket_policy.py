"""Builds the statements of the data bucket's policy, as JSON. They deny access to objects and allow nothing.

The number of statements does not depend on the number of tenants: the tag of a role selects the folder of its tenant.
All statements apply to objects only, so that the policy never denies the administration of the bucket: who may change
the policy can always restore access.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sandpiper_contract.aws import BATCH_WORKFLOW, COMPONENT_TAG, ENVIRONMENT_TAG, TENANT_TAG, WORKFLOW_READER
from sandpiper_contract.settings import BATCH_ITEMS_NAME, INPUTS, RECORD_NAME, RUNS, SANDBOX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Statement = dict[str, Any]

MAX_BUCKET_POLICY_BYTES = 20_480
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""
OBJECT_READS = ("s3:GetObject*", "s3:ListMultipartUploadParts")
"""Actions that read an object, its versions, tags, ACL or attributes. Every other action on an object counts as a
write, also actions that AWS adds later."""
NO_TENANT = "-"
"""Replaces the tag of a principal without one. No tenant can have this name."""


@dataclass(frozen=True, kw_only=True)
class ObjectAccess:
    """The principals that can have access to objects of a data bucket, within their own policies.

    Attributes:
        environment: the value of the tag `sandpiper:environment` of the roles in tenants' stacks.
        role_names: pattern of the names of these roles, such as `sandpiper-dev-*`.
        session_function_names: pattern of the names of the roles of session functions, which alone write records.
        tenants_prefix: the folder with one folder for each tenant. The tag `sandpiper:tenant` of a role selects it.
        readers: ARNs of roles that read all objects.
        writers: ARNs of roles that read all objects and write inputs.
        administrators: ARNs of roles that read and write all objects except idempotency records.
        execution_roles: folders by the ARN of the existing execution role that uses them.
        shared: folders outside of `tenants_prefix` that roles of tenants use.
    """

    environment: str
    role_names: str
    session_function_names: str
    tenants_prefix: str
    readers: Sequence[str] = ()
    writers: Sequence[str] = ()
    administrators: Sequence[str] = ()
    execution_roles: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])
    shared: Sequence[str] = ()


def object_access_statements(bucket_arn: str, role_arn_prefix: str, access: ObjectAccess) -> list[Statement]:
    """Returns the statements that limit access to objects of tenants.

    In a pattern, `*` also matches slashes. So statements on roles of tenants name the folder of the tenant instead of
    `*`: code can use any name, such as `runs/`, in its own folder. For the roles that are named, a name such as
    `inputs/runs/a.csv` counts as one of `runs/`.

    `aws:PrincipalArn` is the ARN of the role, also for the sessions of a role. AWS services without a role have no
    such ARN and are denied.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

    Args:
        bucket_arn: The bucket.
        role_arn_prefix: The ARN of a role of the account without its name, such as
            `arn:aws:iam::111122223333:role/`.
        access: The principals.
    """
    existing = access.execution_roles
    named = [*access.readers, *access.writers, *access.administrators, *existing]
    # The first statement denies all roles that are neither named nor of tenants. The others have to exempt only the
    # named roles that have such a name, so that the policy contains a long list once.
    exempt = [arn for arn in named if fnmatchcase(arn.partition(":role/")[2], access.role_names)]
    tenant_roles = f"{role_arn_prefix}{access.role_names}"
    session_functions = f"{role_arn_prefix}{access.session_function_names}"
    tenants = f"{bucket_arn}/{access.tenants_prefix}"
    own_tenant = f"{tenants}/${{aws:PrincipalTag/{TENANT_TAG}, '{NO_TENANT}'}}"
    every_action = {"Action": "s3:*"}
    writes = {"NotAction": list(OBJECT_READS)}
    all_tenants = {"Resource": f"{tenants}/*"}
    records = {"Resource": f"{tenants}/*/{RUNS}/*/{RECORD_NAME}"}
    component = f"aws:PrincipalTag/{COMPONENT_TAG}"
    reader = {component: WORKFLOW_READER}
    batch_workflow = {component: BATCH_WORKFLOW}
    readers_of_runs = {component: [WORKFLOW_READER, BATCH_WORKFLOW]}

    statements = [
        _deny("OnlyRolesOfTenants", every_action, all_tenants, _unless(tenant_roles, *named)),
        _deny(
            "OnlyOfThisEnvironment",
            every_action,
            all_tenants,
            {
                **_only(tenant_roles),
                **_unless(*exempt),
                "StringNotEquals": {f"aws:PrincipalTag/{ENVIRONMENT_TAG}": access.environment},
            },
        ),
        _deny(
            "OnlyTheirOwnTenant",
            every_action,
            {"NotResource": [bucket_arn, f"{own_tenant}/*", *(f"{bucket_arn}/{each}/*" for each in access.shared)]},
            {**_only(tenant_roles), **_unless(*exempt)},
        ),
        # The folder of a tag such as `claims/runs` would be a part of the folder of another tenant.
        _deny("TagsWithoutSlash", every_action, all_tenants, {"StringLike": {f"aws:PrincipalTag/{TENANT_TAG}": "*/*"}}),
        _deny(
            "InputsAndRunsOfSessionFunctions",
            every_action,
            {"Resource": [f"{own_tenant}/{part}/*" for part in (INPUTS, RUNS)]},
            {**_only(tenant_roles), **_unless(session_functions, *exempt), "StringNotEquals": readers_of_runs},
        ),
        # Not limited to a name: a role with the tag is never more than a reader, whatever its name.
        _deny(
            "WorkflowReadersOnlyRuns",
            every_action,
            {"NotResource": [bucket_arn, f"{own_tenant}/{RUNS}/*"]},
            {"StringEquals": reader},
        ),
        _deny(
            "BatchWorkflowsOnlyItems",
            every_action,
            {"NotResource": [bucket_arn, f"{own_tenant}/{RUNS}/*/{BATCH_ITEMS_NAME}"]},
            {"StringEquals": batch_workflow},
        ),
        _deny("WorkflowReadersOnlyRead", writes, all_tenants, {"StringEquals": readers_of_runs}),
        _deny("RecordsOfSessionFunctions", writes, records, _unless(tenant_roles, *existing)),
    ]
    named_like_tenants = [arn for arn in access.administrators if arn in exempt]
    if named_like_tenants:
        statements.append(_deny("AdministratorsKeepRecords", writes, records, _only(*named_like_tenants)))
    if access.readers:
        statements.append(_deny("ReadersOnlyRead", writes, all_tenants, _only(*access.readers)))
    if access.writers:
        others = {"Resource": [f"{tenants}/*/{part}/*" for part in (RUNS, SANDBOX)]}
        statements.append(_deny("WritersWriteInputs", writes, others, _only(*access.writers)))
    for number, (role, folders) in enumerate(existing.items()):
        others = {"NotResource": [bucket_arn, *(f"{bucket_arn}/{folder}/*" for folder in folders)]}
        statements.append(_deny(f"ExecutionRole{number}", every_action, others, _only(role)))
    return statements


def customer_key_statement(bucket_arn: str) -> Statement:
    """Returns the statement that denies SSE-C: an object that is encrypted with the key of a program.

    No other principal could read such an object.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
    """
    condition = {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}
    return _deny("CustomerProvidedKeys", {"Action": "s3:PutObject"}, {"Resource": f"{bucket_arn}/*"}, condition)


def _unless(*arns: str) -> Statement:
    return {"ArnNotLike": {"aws:PrincipalArn": list(arns)}} if arns else {}


def _only(*arns: str) -> Statement:
    return {"ArnLike": {"aws:PrincipalArn": list(arns)}}


def _deny(sid: str, actions: Statement, resources: Statement, conditions: Statement) -> Statement:
    condition = {"Condition": conditions} if conditions else {}
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", **actions, **resources, **condition}
