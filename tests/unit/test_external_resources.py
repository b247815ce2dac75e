"""The checks of policies that Sandpiper does not manage: of existing roles and of existing data buckets."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sandpiper.environment import Environment
from sandpiper.environment.object_access import object_access
from sandpiper.plan.target import DeploymentTarget
from sandpiper.status.external.bucket_policy import Bucket, bucket_policy_problems
from sandpiper.status.external.permissions import Folder, permission_problems
from sandpiper.status.external.trust import TrustedInterpreter, trust_problems
from sandpiper_contract.bucket_policy import customer_key_statement, object_access_statements
from sandpiper_policy.errors import PolicyError

ACCOUNT = "111122223333"
TARGET = DeploymentTarget(ACCOUNT, "eu-west-1")
SERVICE = "bedrock-agentcore.amazonaws.com"
RUN = TrustedInterpreter("dev__claims__run_0a1b2c3d", TARGET)
WEB = TrustedInterpreter("dev__claims__web_0a1b2c3d", TARGET)
INTERPRETER = f"arn:aws:bedrock-agentcore:eu-west-1:{ACCOUNT}:code-interpreter-custom"
PATTERN = f"{INTERPRETER}/dev__claims__run_????????-??????????"
BROAD = "trusts other resources than its interpreters"


def trust(
    arn: str | list[str] = PATTERN,
    account: str | list[str] = ACCOUNT,
    principal: object = None,
    **elements: Any,
) -> dict[str, Any]:
    """Returns a trust policy with one statement; `elements` replace its elements."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": principal or {"Service": SERVICE},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": arn}},
    }
    return {"Version": "2012-10-17", "Statement": [{**statement, **elements}]}


TRUSTED: dict[str, dict[str, Any]] = {
    "the recommended pattern": trust(),
    "any end of the identifier": trust(f"{INTERPRETER}/dev__claims__run_????????-*"),
    "the exact interpreter": trust(f"{INTERPRETER}/dev__claims__run_0a1b2c3d-??????????"),
    "StringLike": trust(
        Condition={"StringLike": {"aws:SourceArn": PATTERN}, "StringEquals": {"AWS:sourceaccount": ACCOUNT}}
    ),
}


@pytest.mark.parametrize("document", TRUSTED.values(), ids=TRUSTED)
def test_a_trust_policy_for_the_interpreter_alone_has_no_problem(document: dict[str, Any]) -> None:
    assert list(trust_problems(document, [RUN])) == []


UNTRUSTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no conditions": (trust(Condition={}), ["does not require aws:SourceAccount", "does not require aws:SourceArn"]),
    "no account": (
        trust(Condition={"ArnLike": {"aws:SourceArn": PATTERN}}),
        ["does not require aws:SourceAccount"],
    ),
    "no ARN": (
        trust(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        ["does not require aws:SourceArn"],
    ),
    "account IfExists": (
        trust(
            Condition={
                "StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT},
                "ArnLike": {"aws:SourceArn": PATTERN},
            }
        ),
        ["does not require aws:SourceAccount"],
    ),
    "ARN IfExists": (
        trust(
            Condition={
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnLikeIfExists": {"aws:SourceArn": PATTERN},
            }
        ),
        ["does not require aws:SourceArn"],
    ),
    "ForAllValues": (
        trust(
            Condition={
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ForAllValues:ArnLike": {"aws:SourceArn": PATTERN},
            }
        ),
        ["does not require aws:SourceArn"],
    ),
    "another account, too": (
        trust(account=[ACCOUNT, "444455556666"]),
        [f"trusts other accounts than {ACCOUNT} (aws:SourceAccount)"],
    ),
    "all accounts but one": (
        trust(
            Condition={
                "StringNotEquals": {"aws:SourceAccount": "444455556666"},
                "ArnLike": {"aws:SourceArn": PATTERN},
            }
        ),
        ["does not require aws:SourceAccount"],
    ),
    "AWS's example": (
        trust(f"arn:aws:bedrock-agentcore:eu-west-1:{ACCOUNT}:*"),
        [f"{BROAD} (aws:SourceArn is like arn:aws:bedrock-agentcore:eu-west-1:{ACCOUNT}:*, can be "],
    ),
    "all interpreters": (trust(f"{INTERPRETER}/*"), [f"{BROAD} (aws:SourceArn is like {INTERPRETER}/*"]),
    "names that start like the interpreter's": (
        trust(f"{INTERPRETER}/dev__claims__run_*"),
        [f"{BROAD} (aws:SourceArn is like {INTERPRETER}/dev__claims__run_*)"],
    ),
    "every region": (
        trust(PATTERN.replace("eu-west-1", "*")),
        [f"{BROAD} (aws:SourceArn is like {PATTERN.replace('eu-west-1', '*')})"],
    ),
    "one more interpreter": (
        trust([PATTERN, f"{INTERPRETER}/other_0a1b2c3d-0123456789"]),
        [f"{BROAD} (aws:SourceArn is like {INTERPRETER}/other_0a1b2c3d-0123456789)"],
    ),
    "everything but one interpreter": (
        trust(
            Condition={
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnNotLike": {"aws:SourceArn": f"{INTERPRETER}/secret-0123456789"},
            }
        ),
        ["does not require aws:SourceArn"],
    ),
    "another service": (trust(principal={"Service": [SERVICE, "ec2.amazonaws.com"]}), ["trusts ec2.amazonaws.com as"]),
    "an account": (
        trust(principal={"Service": SERVICE, "AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        [f"trusts arn:aws:iam::{ACCOUNT}:root as well"],
    ),
    "everyone": (trust(principal="*"), ["trusts everyone as well"]),
    "no service": (
        trust(principal={"AWS": "444455556666"}),
        ["trusts 444455556666 as well", f"does not trust {SERVICE} for dev__claims__run_0a1b2c3d"],
    ),
    "another interpreter only": (
        trust(f"{INTERPRETER}/dev__claims__web_????????-??????????"),
        [f"does not trust {SERVICE} for dev__claims__run_0a1b2c3d", BROAD],
    ),
    "a deny": (
        {
            "Version": "2012-10-17",
            "Statement": [
                *trust()["Statement"],
                {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"},
            ],
        },
        [f"does not trust {SERVICE} for dev__claims__run_0a1b2c3d"],
    ),
}


@pytest.mark.parametrize(("document", "expected"), UNTRUSTED.values(), ids=UNTRUSTED)
def test_each_problem_of_a_trust_policy_is_named(document: dict[str, Any], expected: list[str]) -> None:
    problems = list(trust_problems(document, [RUN]))
    assert len(problems) == len(expected), problems
    for problem, text in zip(problems, expected, strict=True):
        assert problem.startswith(text)


def test_a_role_of_two_interpreters_has_to_trust_both_and_no_others() -> None:
    both = [PATTERN, PATTERN.replace("run", "web")]
    assert list(trust_problems(trust(both), [RUN, WEB])) == []
    assert list(trust_problems(trust(both), [RUN])) == [f"{BROAD} (aws:SourceArn is like {both[1]})"]
    (problem,) = trust_problems(trust(PATTERN), [RUN, WEB])
    assert problem == f"does not trust {SERVICE} for dev__claims__web_0a1b2c3d, whose sessions cannot use it"


FOLDER = Folder("data", "tenants/claims/sandbox/run")
OWN = "arn:aws:s3:::data/tenants/claims/sandbox/run/*"


def allowed(action: str | list[str], resource: str | list[str] = OWN, **elements: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **elements}
    return {"Version": "2012-10-17", "Statement": [{key: value for key, value in statement.items() if value}]}


HARMLESS: dict[str, dict[str, Any]] = {
    "its folder": allowed(["s3:GetObject", "s3:PutObject"]),
    "keys in its folder": allowed(
        "s3:ListBucket",
        "arn:aws:s3:::data",
        Condition={"StringLike": {"s3:prefix": "tenants/claims/sandbox/run/*"}},
    ),
    "another service": allowed("dynamodb:GetItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/rates"),
    "a deny of everything": {"Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}},
}


@pytest.mark.parametrize("document", HARMLESS.values(), ids=HARMLESS)
def test_permissions_on_the_folders_of_interpreters_have_no_problem(document: dict[str, Any]) -> None:
    assert list(permission_problems("policy Own", document, [FOLDER])) == []


RISKY: dict[str, tuple[dict[str, Any], str]] = {
    "everything": (allowed("*", "arn:aws:s3:::data/tenants/claims/sandbox/run/*"), "*, every action"),
    "IAM": (allowed("iam:*", "arn:aws:iam::1:role/a"), "iam:*, an action of IAM"),
    "one action of IAM": (allowed("IAM:CreateRole", "arn:aws:iam::1:role/a"), "IAM:CreateRole, an action of IAM"),
    "passing roles": (allowed("iam:PassRole", "arn:aws:iam::1:role/a"), "iam:PassRole, with which code can give roles"),
    "assuming roles": (
        allowed("sts:AssumeRole", "arn:aws:iam::1:role/a"),
        "sts:AssumeRole, with which code can assume",
    ),
    "assuming roles by a wildcard": (allowed("sts:*", "arn:aws:iam::1:role/a"), "sts:*, with which code can assume"),
    "a wildcard": (allowed("s3:Get*"), "s3:Get*, a wildcard"),
    "all actions but some": (allowed([], OWN, NotAction=["iam:*"]), "all actions except iam:*"),
    "all resources": (allowed("s3:GetObject", "*"), "s3:GetObject on all resources"),
    "all resources but some": (
        allowed("s3:GetObject", [], NotResource=["arn:aws:s3:::a/*"]),
        "resources by NotResource",
    ),
    "another bucket": (allowed("s3:GetObject", "arn:aws:s3:::lake/*"), "s3:GetObject on arn:aws:s3:::lake/*, which"),
    "all buckets": (allowed("s3:GetObject", "arn:aws:s3:::*"), "s3:GetObject on arn:aws:s3:::*, which"),
    "all services": (allowed("s3:GetObject", "arn:aws:*"), "s3:GetObject on arn:aws:*, which"),
    "another tenant": (
        allowed("s3:GetObject", "arn:aws:s3:::data/tenants/motor/sandbox/run/*"),
        "s3:GetObject on arn:aws:s3:::data/tenants/motor/sandbox/run/*, which is no folder of its interpreters",
    ),
    "a name that starts like the folder": (
        allowed("s3:GetObject", "arn:aws:s3:::data/tenants/claims/sandbox/run*"),
        "s3:GetObject on arn:aws:s3:::data/tenants/claims/sandbox/run*, which",
    ),
    "all keys of the bucket": (
        allowed("s3:ListBucket", "arn:aws:s3:::data"),
        "s3:ListBucket on arn:aws:s3:::data, which",
    ),
    "all keys, if a prefix is given": (
        allowed(
            "s3:ListBucket", "arn:aws:s3:::data", Condition={"StringLikeIfExists": {"s3:prefix": f"{FOLDER.path}/*"}}
        ),
        "s3:ListBucket on arn:aws:s3:::data, which",
    ),
}


@pytest.mark.parametrize(("document", "expected"), RISKY.values(), ids=RISKY)
def test_each_problem_of_permissions_is_named(document: dict[str, Any], expected: str) -> None:
    (problem,) = permission_problems("policy Own", document, [FOLDER])
    assert problem.startswith(f"statement 1 of policy Own allows {expected}")


ENVIRONMENT = Environment.model_validate(
    {
        **{"name": "dev", "account": ACCOUNT, "region": "eu-west-1", "owner": "tests"},
        "tenants": {name: {"interpreters": {"run": {}}} for name in ("claims", "motor")},
    }
)
BUCKET = Bucket("lake", "dev", TARGET)
ARN = "arn:aws:s3:::lake"
TLS = [
    {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [ARN, f"{ARN}/*"], "Condition": each}
    for sid, each in (
        ("Tls", {"Bool": {"aws:SecureTransport": "false"}}),
        ("TlsVersion", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    )
]
COMPLETE: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        *TLS,
        customer_key_statement(ARN),
        *object_access_statements(ARN, f"arn:aws:iam::{ACCOUNT}:role/", object_access(ENVIRONMENT)),
    ],
}


def bucket_problems(document: dict[str, Any] | None) -> list[str]:
    return list(bucket_policy_problems(document, BUCKET, list(ENVIRONMENT.all_tenants)))


def test_the_policy_of_a_bucket_that_sandpiper_creates_has_no_problem() -> None:
    assert bucket_problems(COMPLETE) == []


FOR_ADMINISTRATORS = "RecordsOfSessionFunctions"
"""The statement that limits administrators, which an environment with an existing bucket cannot have."""


@pytest.mark.parametrize("sid", [each["Sid"] for each in COMPLETE["Statement"] if each["Sid"] != FOR_ADMINISTRATORS])
def test_each_missing_statement_is_a_problem(sid: str) -> None:
    policy = copy.deepcopy(COMPLETE)
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != sid]
    assert len(policy["Statement"]) == len(COMPLETE["Statement"]) - 1
    assert bucket_problems(policy)


def test_a_bucket_without_a_policy_denies_nothing() -> None:
    assert bucket_problems(None) == [
        "does not deny identities of the account, such as administrators, to read objects",
        "does not deny identities of the account, such as administrators, to write objects",
        "does not deny identities of the account, such as administrators, to forge the records of runs",
        "does not deny the roles of one tenant the objects of another",
        "does not deny roles whose tag is a folder of a tenant",
        "does not deny readers of workflows to read inputs",
        "does not deny readers of workflows to write",
        "does not deny workflows of batches to read files of runs",
        "does not deny code in sessions to forge the records of runs",
        "does not deny requests without TLS",
        "does not deny requests with TLS before version 1.2",
        "does not deny objects that are encrypted with a key of the request (SSE-C)",
    ]


def with_statement(effect: str, **elements: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": f"{ARN}/*", **elements}
    return {**COMPLETE, "Statement": [*COMPLETE["Statement"], statement]}


def test_other_statements_hide_no_problem_and_cause_those_that_they_are() -> None:
    from_vpc = {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}
    hiding = {"Statement": with_statement("Deny", Condition=from_vpc)["Statement"][-1], "Version": "2012-10-17"}
    assert len(bucket_problems(hiding)) == 12
    assert bucket_problems(with_statement("Deny")) == [
        "denies its session function to read inputs/",
        "denies its session function to write runs/",
    ]
    only_claims = with_statement("Deny", Resource=f"{ARN}/tenants/claims/inputs/*")
    assert bucket_problems(only_claims) == ["denies its session function to read inputs/ (tenant claims)"]
    # Allows of other identities do not count, because the denies do.
    assert bucket_problems(with_statement("Allow")) == []
    organization = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    public: dict[str, Any] = {"Version": "2012-10-17"}
    public["Statement"] = [with_statement("Allow", Condition=organization)["Statement"][-1], *TLS]
    assert bucket_problems(public)[0] == "allows identities of other accounts"
    public["Statement"] = [with_statement("Allow")["Statement"][-1], *TLS]
    assert bucket_problems(public)[:2] == ["allows requests without credentials", "allows identities of other accounts"]


def test_a_policy_that_cannot_be_evaluated_is_an_error() -> None:
    document = {
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"NoSuch": {"a": "b"}}}
    }
    with pytest.raises(PolicyError):
        list(permission_problems("policy Own", document, [FOLDER]))
    with pytest.raises(PolicyError):
        list(trust_problems({"Statement": []}, [RUN]))
    with pytest.raises(PolicyError):
        bucket_problems({"Statement": {**document["Statement"], "Principal": "*"}})
