"""Rules about execution roles: what code in an interpreter can do."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET
from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import (
    at_statement,
    execution_role,
    execution_roles,
    execution_statements,
    granted,
    interpreters,
    required_values,
)
from sandpiper_policy.model.identities import IdentityKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.statements import PolicyStatement

_PREFIX = re.compile(r"arn:[\w-]+:s3:::[^*?/]+/(?:[^*?]+/\*|[^*?]+[^/*?])")
"""One object, or all objects below a prefix that ends in a slash."""
_BUCKET_ARN = re.compile(r"arn:[\w-]+:s3:::([^/]+)(?:/.*)?", re.DOTALL)
_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:GetObjectVersion", "s3:AbortMultipartUpload")
_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_FORBIDDEN = (
    *("iam:PassRole", "iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:CreateAccessKey"),
    *("iam:CreatePolicyVersion", "iam:UpdateAssumeRolePolicy", "iam:GetRole", "iam:ListRoles"),
    *("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:GetFederationToken"),
    *("bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:StartCodeInterpreterSession"),
    *("bedrock-agentcore:InvokeCodeInterpreter", "bedrock-agentcore:StopCodeInterpreterSession"),
    *("bedrock-agentcore:ListCodeInterpreterSessions", "bedrock-agentcore:DeleteCodeInterpreter"),
    *("bedrock-agentcore:CreateAgentRuntime", "bedrock-agentcore:GetWorkloadAccessToken"),
    *("organizations:LeaveOrganization", "kms:PutKeyPolicy", "kms:CreateGrant", "s3:PutBucketPolicy"),
    *("lambda:UpdateFunctionCode", "states:UpdateStateMachine", "cloudformation:CreateStack"),
)
_FORBIDDEN_SERVICES = ("iam:", "bedrock-agentcore:", "organizations:")
_IAM_DOCS = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege"
_ROLE_DOCS = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-create.html"
_PATHFINDING = "https://pathfinding.cloud/paths/bedrock-002"


def _no_wildcard_actions(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        action = one.syntax.action
        wide = [value for value in action.values if "*" in value or "?" in value]
        if action.negated:
            yield at_statement(model, one, "the execution role has NotAction, which allows every other action")
        elif wide:
            yield at_statement(model, one, f"the execution role has the action {', '.join(wide)[:200]}")


def _no_wildcard_resources(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        if one.syntax.resource.negated:
            yield at_statement(model, one, "the execution role has NotResource, which allows every other resource")
            continue
        wide = [value for value in one.syntax.resource.values if _is_wide(value)]
        if wide:
            yield at_statement(model, one, f"the execution role has the resource {', '.join(wide)[:200]}")


def _is_wide(resource: str) -> bool:
    """Returns whether a pattern can match resources of other names, accounts or services."""
    if resource == "*":
        return True
    parts = resource.split(":", 5)
    name = re.split(r"[/:]", parts[-1], maxsplit=1)
    return any("*" in part or "?" in part for part in (*parts[:5], name[0])) or (
        parts[-1].endswith("/*") and (len(parts) > 2 and parts[2] != "s3" and parts[-1].count("/") == 1)
    )


def _s3_by_prefix(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        if not granted(one, *_OBJECT_ACTIONS) or one.syntax.resource.negated:
            continue
        for value in one.syntax.resource.values:
            if _BUCKET_ARN.fullmatch(value) and "/" in value and not _PREFIX.fullmatch(value):
                yield at_statement(
                    model, one, f"{model.readable(value)[:200]} is not a folder: a prefix, a slash and /*"
                )


def _list_by_prefix(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        if granted(one, "s3:ListBucket"):
            prefixes = required_values(one, "s3:prefix")
            wide = [value for value in prefixes if not re.fullmatch(r"[^*?]+/\*?|[^*?]+", value)]
            if not prefixes or wide:
                shown = f"with s3:prefix {', '.join(wide)[:200]}" if wide else "without s3:prefix"
                yield at_statement(model, one, f"the execution role lists buckets {shown}")


def _no_forbidden_actions(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        found = granted(one, *_FORBIDDEN)
        written = [
            value
            for value in one.syntax.action.values
            if not one.syntax.action.negated and value.lower().startswith(_FORBIDDEN_SERVICES)
        ]
        if found or written:
            shown = ", ".join(dict.fromkeys((*written, *found)))
            yield at_statement(model, one, f"code in the interpreter can use {shown[:200]}")


def _resource_account(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        if granted(one, *_OBJECT_ACTIONS, "s3:ListBucket") and not required_values(one, "aws:ResourceAccount"):
            yield at_statement(
                model,
                one,
                "aws:ResourceAccount is not required: a bucket of this name in another account counts",
            )


def _boundary(model: ReviewModel) -> Iterator[Occurrence]:
    for role in execution_roles(model).values():
        if role.kind is IdentityKind.ROLE and not role.boundary_arn:
            yield Occurrence(role.location, "the execution role has no permissions boundary")


def _one_role_per_interpreter(model: ReviewModel) -> Iterator[Occurrence]:
    users: dict[str, dict[str, Resource]] = defaultdict(dict)
    for one in interpreters(model):
        role = execution_role(model, one)
        if role is not None:
            users[role.address][one.address] = one
    for role, by_address in users.items():
        for one in by_address.values() if len(by_address) > 1 else ():
            yield Occurrence(
                one.at("ExecutionRoleArn"),
                f"{len(by_address)} interpreters share the execution role {model.readable(role)[:200]}",
                tuple(by_address),
            )


def _managed_policies(model: ReviewModel) -> Iterator[Occurrence]:
    for role in execution_roles(model).values():
        for arn in role.managed_arns:
            yield Occurrence(
                role.location, f"the execution role has the policy {model.readable(arn)[:200]}, which is not reviewed"
            )


def _foreign_buckets(model: ReviewModel) -> Iterator[Occurrence]:
    known = {one.physical_id for one in model.of_type(BUCKET)}
    for one in execution_statements(model):
        buckets = dict.fromkeys(_foreign(one, known))
        if buckets and granted(one, *_OBJECT_ACTIONS):
            writes = bool(granted(one, *_WRITES))
            verb = "writes to" if writes else "reads from"
            yield at_statement(
                model,
                one,
                f"code {verb} {', '.join(map(model.readable, buckets))[:200]}, which the templates do not contain",
                severity=Severity.MEDIUM if writes else Severity.LOW,
            )


def _foreign(statement: PolicyStatement, known: set[str]) -> Iterator[str]:
    for value in statement.syntax.resource.values:
        match = _BUCKET_ARN.fullmatch(value)
        if match is not None and "*" not in match[1] and match[1] not in known:
            yield match[1]


def _key_context(model: ReviewModel) -> Iterator[Occurrence]:
    for one in execution_statements(model):
        if granted(one, "kms:Decrypt", "kms:GenerateDataKey") and not any(
            condition.key.lower() == "kms:viaservice" or condition.key.lower().startswith("kms:encryptioncontext")
            for condition in one.syntax.conditions
        ):
            yield at_statement(model, one, "code in the interpreter can use the KMS key for everything it encrypts")


RULES = (
    Rule(
        id="role-actions",
        group="execution_role",
        severity=Severity.HIGH,
        title="An execution role lists its actions.",
        reason="A wildcard or NotAction includes actions that were not reviewed, and future ones.",
        source=_IAM_DOCS,
        remedy="List the actions that the code needs.",
        check=_no_wildcard_actions,
    ),
    Rule(
        id="role-resources",
        group="execution_role",
        severity=Severity.HIGH,
        title="An execution role names its resources.",
        reason="With `*` or NotResource, code reaches resources of other teams and accounts.",
        source=_IAM_DOCS,
        remedy="Name the ARNs. In Amazon S3, name a folder.",
        check=_no_wildcard_resources,
    ),
    Rule(
        id="role-s3-prefix",
        group="execution_role",
        severity=Severity.HIGH,
        title="An execution role reads and writes objects below a prefix that ends in a slash.",
        reason="`BUCKET/*` is every object. `BUCKET/data*` is also `BUCKET/database/`.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-policies-s3.html",
        remedy="Use arn:aws:s3:::BUCKET/PREFIX/*.",
        check=_s3_by_prefix,
    ),
    Rule(
        id="role-s3-list",
        group="execution_role",
        severity=Severity.MEDIUM,
        title="An execution role lists a bucket below a prefix only.",
        reason="Names of objects are data: code could see files of other tenants and runs.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html",
        remedy="Add StringLike s3:prefix PREFIX/*.",
        check=_list_by_prefix,
    ),
    Rule(
        id="role-forbidden-actions",
        group="execution_role",
        severity=Severity.HIGH,
        title="An execution role has no IAM, AgentCore or role-assuming actions, and changes no code or policy.",
        reason="Code would get more permissions than were reviewed, or start further sessions.",
        source=_PATHFINDING,
        remedy="Remove the actions. Let the caller do what needs them.",
        check=_no_forbidden_actions,
    ),
    Rule(
        id="role-resource-account",
        group="execution_role",
        severity=Severity.MEDIUM,
        title="An execution role requires the account of each bucket.",
        reason="After a bucket is deleted, another account can create one with its name and receive the data.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html",
        remedy="Add StringEquals aws:ResourceAccount with the account of the bucket.",
        check=_resource_account,
    ),
    Rule(
        id="role-boundary",
        group="execution_role",
        severity=Severity.LOW,
        title="An execution role has a permissions boundary.",
        reason="A boundary limits the role when a later change grants too much.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
        remedy="Set permissions_boundary in the environment file.",
        check=_boundary,
    ),
    Rule(
        id="role-shared",
        group="execution_role",
        severity=Severity.HIGH,
        title="Each interpreter has its own execution role.",
        reason="Code in one interpreter has the data of the other.",
        source=_ROLE_DOCS,
        remedy="Create a role for each interpreter.",
        check=_one_role_per_interpreter,
    ),
    Rule(
        id="role-managed-policy",
        group="execution_role",
        severity=Severity.HIGH,
        title="An execution role has no policy that the templates do not contain.",
        reason="Its content is not reviewed, and changes without a review. AWS managed policies are broad.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html",
        remedy="Replace it by an inline policy with the required statements.",
        check=_managed_policies,
    ),
    Rule(
        id="role-foreign-bucket",
        group="execution_role",
        severity=Severity.MEDIUM,
        title="Code reads and writes buckets that the templates contain.",
        reason="The policy, the encryption and the owner of another bucket are not reviewed.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
        remedy="Accept the finding after a review of the bucket.",
        check=_foreign_buckets,
    ),
    Rule(
        id="role-key",
        group="execution_role",
        severity=Severity.MEDIUM,
        title="An execution role uses a KMS key through a service and for an encryption context.",
        reason="Without a condition, code decrypts everything that the key encrypts, such as logs and variables.",
        source="https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html",
        remedy="Require kms:ViaService and kms:EncryptionContext:aws:s3:arn.",
        check=_key_context,
    ),
)
