"""Random requests for objects of a data bucket, with the policy that Sandpiper gives it or with a variant of it."""

from __future__ import annotations

import copy
import random
from typing import Any

from sandpiper_contract.aws import BATCH_WORKFLOW, SESSION_FUNCTION, WORKFLOW_READER
from sandpiper_contract.bucket_policy import ObjectAccess, customer_key_statement, object_access_statements
from tests.support.policy_generator import (
    ACCOUNT,
    BUCKET,
    CUSTOMER_KEY,
    OTHER,
    OTHER_VPC,
    REGION,
    VPC,
    Case,
    is_service,
    sample,
)

ROLES = f"arn:aws:iam::{ACCOUNT}:role/"
READERS, WRITERS, ADMINISTRATORS = ([f"{ROLES}{name}"] for name in ("audit/reader", "author", "admin"))
EXISTING = f"{ROLES}existing"
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
PRINCIPALS = {
    **{
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/run-1": role
        for role in (
            f"{ROLES}sandpiper-dev-claims-SessionFunctionRole1A2B3C4D-ABCDEFGHIJKL",
            f"{ROLES}sandpiper-dev-claims-InterpreteroneExecutionRole0a-ABCDEFGHIJKL",
            f"{ROLES}sandpiper-dev-claims-ReadersruncodeRole0a-ABCDEFGHIJKL",
            f"{ROLES}sandpiper-test-claims-SessionFunctionRole1A2B3C4D-ABCDEFGHIJKL",
            f"{ROLES}reader",
            EXISTING,
            *(*READERS, *WRITERS, *ADMINISTRATORS),
        )
    },
    f"arn:aws:iam::{ACCOUNT}:user/alice": f"arn:aws:iam::{ACCOUNT}:user/alice",
    f"arn:aws:sts::{OTHER}:assumed-role/admin/run-1": f"arn:aws:iam::{OTHER}:role/admin",
    "cloudtrail.amazonaws.com": None,
}
"""Principals, each with the value of `aws:PrincipalArn`."""
PATHS = (
    *("inputs/a.csv", "runs/report/e1/S/files/a.png", "runs/report/e1/S/claim.json"),
    *("sandbox/one/a.csv", "sandbox/one/runs/claim.json", "sandbox/two/inputs/a"),
)
ACTIONS = (
    *("GetObject", "GetObjectVersion", "GetObjectTagging", "ListMultipartUploadParts"),
    *("PutObject", "PutObjectTagging", "DeleteObject", "AbortMultipartUpload", "PutObjectRetention"),
)
TENANTS = ("claims", "claims-2", "motor", "-", "*")
COMPONENTS = (SESSION_FUNCTION, WORKFLOW_READER, BATCH_WORKFLOW)
OTHER_OPERATORS = {
    "ArnNotLike": ("ArnNotEquals", "ArnLike", "StringNotLike", "ArnNotLikeIfExists"),
    "ArnLike": ("ArnEquals", "ArnNotLike", "StringEquals"),
    "StringNotEquals": ("StringEquals", "StringNotEqualsIgnoreCase", "StringNotLike"),
    "NumericLessThan": ("NumericLessThanEquals", "NumericGreaterThan", "NumericLessThanIfExists"),
    "Bool": ("BoolIfExists",),
}
"""Operators that a variant of a policy may have instead."""


def bucket_policy_cases(count: int, seed: int) -> list[Case]:
    """Returns the cases of a seed."""
    rng = random.Random(seed)
    return [_case(rng) for _ in range(count)]


def _case(rng: random.Random) -> Case:
    """Returns a case of a principal that is allowed everything by its own policies."""
    principal = rng.choice(list(PRINCIPALS))
    action = f"s3:{rng.choice(ACTIONS)}"
    key = f"tenants/{rng.choice(TENANTS[:3])}/{rng.choice(PATHS)}" if rng.random() < 0.9 else "shared/rates.csv"
    resource = f"{BUCKET}/{key}"
    if rng.random() < 0.05:
        action, resource = "s3:PutBucketPolicy", BUCKET
    case = Case(principal, action, resource, ACCOUNT, _context(rng, principal, action))
    case.identity = [] if is_service(principal) else [ALLOW_ALL]
    case.resource_policy = {"Version": "2012-10-17", "Statement": _statements(rng)}
    return case


def _context(rng: random.Random, principal: str, action: str) -> dict[str, Any]:
    arn = PRINCIPALS[principal]
    context: dict[str, Any] = {
        "aws:SecureTransport": rng.choice(("true", "true", "true", "true", "false")),
        "aws:RequestedRegion": REGION,
        "aws:ResourceAccount": ACCOUNT,
        "aws:PrincipalIsAWSService": str(arn is None).lower(),
        "s3:TlsVersion": rng.choice(("1.1", "1.2", "1.3", "1.3", "1.3")),
        **sample(rng, {"aws:SourceVpc": rng.choice((VPC, OTHER_VPC))}),
    }
    if action == "s3:PutObject":
        context |= sample(rng, {CUSTOMER_KEY: "AES256"}, 0.2)
    if arn is not None:
        # The ARN of the session is not the value of the key. A service that sent it would be denied.
        arn = principal if rng.random() < 0.05 else arn
        tags = {
            "aws:PrincipalTag/sandpiper:tenant": rng.choice(TENANTS),
            "aws:PrincipalTag/sandpiper:environment": rng.choice(("dev", "dev", "dev", "test")),
        }
        tags |= sample(rng, {"aws:PrincipalTag/sandpiper:component": rng.choice(COMPONENTS)}, 0.4)
        context |= {"aws:PrincipalArn": arn, "aws:PrincipalAccount": arn.split(":")[4], **sample(rng, tags, 0.8)}
    return context


def _statements(rng: random.Random) -> list[dict[str, Any]]:
    access = ObjectAccess(
        environment="dev",
        role_names="sandpiper-dev-*",
        session_function_names="sandpiper-dev-*-SessionFunctionRole*",
        tenants_prefix="tenants",
        readers=READERS if rng.random() < 0.7 else (),
        writers=WRITERS if rng.random() < 0.7 else (),
        administrators=ADMINISTRATORS if rng.random() < 0.7 else (),
        execution_roles={EXISTING: ["tenants/claims/sandbox/one"]} if rng.random() < 0.7 else {},
        shared=["shared"] if rng.random() < 0.5 else (),
    )
    tls: dict[str, Any] = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": f"{BUCKET}/*"}
    statements = [
        tls | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        tls | {"Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}}},
        customer_key_statement(BUCKET),
        *object_access_statements(BUCKET, ROLES, access),
    ]
    if rng.random() < 0.7:  # some of the statements, so that single ones decide
        statements = rng.sample(statements, 3)
    granted = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"{BUCKET}/*"}
    variants = [_variant(rng, copy.deepcopy(each)) for each in statements]
    return [*variants, *([granted] if rng.random() < 0.3 else [])]


def _variant(rng: random.Random, statement: dict[str, Any]) -> dict[str, Any]:
    """Returns the statement, in one of four cases with another operator or without its variable."""
    if rng.random() < 0.75:
        return statement
    conditions = statement.get("Condition", {})
    for operator in [each for each in conditions if each in OTHER_OPERATORS and rng.random() < 0.7]:
        keys = conditions.pop(operator)
        conditions.setdefault(rng.choice(OTHER_OPERATORS[operator]), {}).update(keys)
    if isinstance(statement.get("NotResource"), list) and rng.random() < 0.5:
        without_default = [each.replace(", '-'}", "}") for each in statement["NotResource"]]
        statement["NotResource"] = without_default
    return statement
