"""Constructs in an app without an environment file reject what the file's checks reject."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper_contract.bucket_policy import ObjectAccess
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app

if TYPE_CHECKING:
    from collections.abc import Callable

    import aws_cdk as cdk

    Create = Callable[[cdk.Stack], object]

OTHER_ACCOUNT = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
LATER = datetime.date(2999, 1, 1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> cdk.Stack:
    import aws_cdk as cdk

    app = new_app(tmp_path_factory.mktemp("rules"))
    return cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION))


def interpreter(**options: Any) -> Create:
    def create(stack: cdk.Stack) -> object:
        from sandpiper_constructs.interpreter import CodeInterpreter

        return CodeInterpreter(stack, "Invalid", name_prefix="invalid", **options)

    return create


def public(**options: Any) -> Create:
    def create(_stack: cdk.Stack) -> object:
        from sandpiper_constructs.network_access import PublicAccess

        arguments: dict[str, Any] = {"reason": "pip", "owner": "me", "expires": LATER, **options}
        return PublicAccess(**arguments)

    return create


def with_role(arn: str) -> Create:
    def create(stack: cdk.Stack) -> object:
        from aws_cdk import aws_iam as iam

        role = iam.Role.from_role_arn(stack, f"Role{len(stack.node.children)}", arn, mutable=False)
        return interpreter(execution_role=role)(stack)

    return create


def with_folders(*paths: tuple[str, str]) -> Create:
    """Returns a function that creates an interpreter with folders: the option and the path of each."""

    def create(stack: cdk.Stack) -> object:
        from aws_cdk import aws_s3 as s3

        from sandpiper_constructs.bucket_folder import BucketFolder

        bucket = s3.Bucket.from_bucket_name(stack, f"Bucket{len(stack.node.children)}", "lake")
        options: dict[str, list[BucketFolder]] = {"read": [], "write": []}
        for option, path in paths:
            options[option].append(BucketFolder(bucket=bucket, path=path))
        return interpreter(**options)(stack)

    return create


def callers(*arns: str) -> Create:
    def create(stack: cdk.Stack) -> object:
        from sandpiper_constructs.caller_access import CallerAccess
        from sandpiper_constructs.interpreter import CodeInterpreter

        managed = CodeInterpreter.managed(stack, f"Managed{len(stack.node.children)}")
        return CallerAccess(stack, "Invalid", interpreter=managed, role_arns=arns)

    return create


def function(**options: Any) -> Create:
    def create(stack: cdk.Stack) -> object:
        from aws_cdk import aws_s3 as s3

        from sandpiper_constructs.bucket_folder import BucketFolder
        from sandpiper_constructs.interpreter import CodeInterpreter
        from sandpiper_constructs.session_function import SessionFunction

        number = len(stack.node.children)
        bucket = s3.Bucket.from_bucket_name(stack, f"Data{number}", "data")
        run = {"run": CodeInterpreter.managed(stack, f"Managed{number}")}
        folder = BucketFolder(bucket=bucket, path="tenants/claims")
        return SessionFunction(stack, "Invalid", service="claims", interpreters=run, folder=folder, **options)

    return create


def network(**options: Any) -> Create:
    def create(stack: cdk.Stack) -> object:
        from sandpiper_constructs.sandbox_network import SandboxNetwork

        valid: dict[str, Any] = {"zones": ["us-east-1a"], "s3_prefix_list": "pl-63a5400a", "buckets": {}}
        return SandboxNetwork(stack, "Invalid", **{**valid, **options})

    return create


def bucket(**roles: Any) -> Create:
    def create(stack: cdk.Stack) -> object:
        from sandpiper_constructs.data_bucket import DataBucket

        names = {"role_names": "sandpiper-dev-*", "session_function_names": "sandpiper-dev-*-SessionFunctionRole*"}
        access = ObjectAccess(environment="dev", tenants_prefix="tenants", **names, **roles)
        return DataBucket(stack, "Invalid", name="data", object_access=access)

    return create


def alarm(threshold: int) -> Create:
    def create(stack: cdk.Stack) -> object:
        from sandpiper_constructs.alarms import Alarms, AlarmSpec
        from sandpiper_constructs.metrics import live_sessions_metric

        spec = AlarmSpec(name="sessions", metric=live_sessions_metric(), threshold=threshold, description="Many")
        return Alarms(stack, "Invalid", name_prefix="account", specs=[spec])

    return create


RULES: dict[str, tuple[Create, str]] = {
    "a long reason": (public(reason="x" * 201), "reason has 201 characters; allowed: at most 200"),
    "no reason": (public(reason=" "), "reason is empty; allowed: a sentence that a reviewer can judge"),
    "no owner": (public(owner=""), "owner is empty; allowed: a sentence that a reviewer can judge"),
    "a role of another account": (
        with_role(f"arn:aws:iam::{OTHER_ACCOUNT}:role/code"),
        f"execution_role is 'arn:aws:iam::{OTHER_ACCOUNT}:role/code'; allowed: a role of the stack's account",
    ),
    "a service-linked role": (
        with_role(f"{ROLE}/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"),
        "which is managed by AWS",
    ),
    "a certificate in another region": (
        interpreter(certificates=[f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:root"]),
        f"allowed: secrets in {REGION}",
    ),
    "a folder in another folder": (
        with_folders(("read", "a"), ("write", "a/b")),
        "s3://lake/a/b/ is in s3://lake/a/; allowed: each folder once, to read or to write",
    ),
    "a folder twice": (with_folders(("read", "a"), ("read", "a")), "s3://lake/a/ is in s3://lake/a/"),
    "a folder with a control character": (with_folders(("read", "a\nb")), r"path is 'a\nb'; allowed: names joined by"),
    "a folder with a wildcard": (with_folders(("read", "*")), "path is '*'; allowed: names joined by"),
    "a folder with a trailing slash": (with_folders(("read", "a/")), "path is 'a/'; allowed: names joined by"),
    "a caller by a pattern": (callers(f"{ROLE}/*/agent"), f"role_arns contains '{ROLE}/*/agent'; allowed: arn:aws:iam"),
    "a caller that is a user": (callers(f"arn:aws:iam::{ACCOUNT}:user/me"), "role_arns contains"),
    "a caller that cannot get a policy": (
        callers(f"{ROLE}/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123"),
        "which is managed by AWS",
    ),
    "a session that lives too long": (
        function(session_seconds={"run": (300, 28_801)}),
        "session_seconds of 'run' is 300, 28801; allowed: a default and a maximum of 60 to 28800 seconds",
    ),
    "a session that lives too shortly": (function(session_seconds={"run": (59, 600)}), "is 59, 600; allowed"),
    "a default above the maximum": (function(session_seconds={"run": (601, 600)}), "is 601, 600; allowed"),
    "a lifetime of no interpreter": (function(session_seconds={"web": (300, 600)}), "has 'web'; allowed: run"),
    "no concurrency": (function(reserved_concurrency=0), "reserved_concurrency is 0, so that no code would run"),
    "negative concurrency": (function(reserved_concurrency=-1), "reserved_concurrency is -1; allowed: 1 to 1000"),
    "too little memory": (function(memory_mib=127), "memory_mib is 127; allowed: 128 to 10240"),
    "too much time": (function(timeout_seconds=901), "timeout_seconds is 901; allowed: 1 to 900"),
    "every name": (network(domains=["*"]), "domains contains '*'; allowed: names such as *.example.com"),
    "every name of a top-level domain": (network(domains=["*.com"]), "domains contains '*.com'"),
    "a name twice": (network(domains=["a.example.com"] * 2), "domains contains 'a.example.com'"),
    "no endpoint": (network(endpoints=["com.amazonaws.*"]), "endpoints contains 'com.amazonaws.*'"),
    "any addresses instead of S3's": (network(s3_prefix_list="0.0.0.0/0"), "s3_prefix_list contains '0.0.0.0/0'"),
    "public addresses": (network(cidr="8.8.0.0/20"), "cidr is '8.8.0.0/20'; allowed: a private IPv4 range"),
    "all buckets": (network(buckets={ACCOUNT: ["*"]}), "buckets contains '*'; allowed: a bucket"),
    "all readers": (bucket(readers=["*"]), "object_access names '*'; allowed: ARNs of roles of the account"),
    "readers by a pattern": (bucket(readers=[f"{ROLE}/*"]), f"object_access names '{ROLE}/*'; allowed: ARNs of roles"),
    "a writer of another account": (
        bucket(writers=[f"arn:aws:iam::{OTHER_ACCOUNT}:role/a"]),
        f"object_access names 'arn:aws:iam::{OTHER_ACCOUNT}:role/a'; allowed: ARNs of roles of the account",
    ),
    "an administrator that is a user": (
        bucket(administrators=[f"arn:aws:iam::{ACCOUNT}:user/me"]),
        f"object_access names 'arn:aws:iam::{ACCOUNT}:user/me'; allowed: ARNs of roles of the account",
    ),
    "a reader that also writes": (
        bucket(readers=[f"{ROLE}/a"], writers=[f"{ROLE}/a"]),
        f"object_access names '{ROLE}/a'; allowed: ARNs of roles of the account, without wildcards, each once",
    ),
    "an alarm that is always on": (alarm(0), "the threshold of sessions is 0; allowed: 1 or more"),
}


@pytest.mark.parametrize(("create", "message"), RULES.values(), ids=RULES)
def test_an_invalid_argument_is_rejected_before_a_resource_is_created(
    stack: cdk.Stack, create: Create, message: str
) -> None:
    with pytest.raises(ValueError) as raised:
        create(stack)
    assert message in str(raised.value)
    assert stack.node.try_find_child("Invalid") is None
