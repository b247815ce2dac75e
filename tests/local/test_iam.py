"""IAM of the embedded AWS: what is deployed is what is judged, grant by grant; and who may assume what."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandpiper.failure import Failure
from tests.local.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tests.local.conftest import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it takes grants away and makes users")

ACCOUNT, REGION = "123456789012", "us-east-1"
SESSION_FUNCTION, STATE_MACHINE = "SessionFunctionRole", "RunCodeRole"
SANDBOX, PUBLIC = "InterpretersandboxExecutionRol", "InterpreterpublicExecutionRole"
CLAIM = """
import boto3
s3 = boto3.client("s3")
"""


@dataclass(frozen=True)
class Grant:
    """One action that one role was deployed with; `role` is how its logical id begins."""

    role: str
    action: str


def without(product: Product) -> Callable[[Grant], Any]:
    """Takes a grant away from a deployed role for a while."""

    @contextmanager
    def taken(grant: Grant) -> Generator[None]:
        iam, before = product.session.client("iam"), inline_policies(product)[grant.role]
        (name,) = {name for _, name, _ in before}
        role = before[0][0]
        statements = [statement for _, _, statement in before]
        put(iam, role, name, [reduced for statement in statements if (reduced := reduce(statement, grant.action))])
        try:
            yield
        finally:
            put(iam, role, name, statements)

    return taken


def inline_policies(product: Product) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Role, policy name and statement of every statement, by how the role's logical id begins."""
    iam = product.session.client("iam")
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        key = next((key for key in (SESSION_FUNCTION, STATE_MACHINE, SANDBOX, PUBLIC) if f"-{key}" in name), None)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"] if key else []:
            document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            found.setdefault(key or "", []).extend((name, policy, statement) for statement in document["Statement"])
    return found


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def reduce(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    kept = [other for other in actions_of(statement) if other != action]
    return statement | {"Action": kept} if kept else None


def put(iam: Any, role: str, policy: str, statements: list[dict[str, Any]]) -> None:
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)


# What each grant is for: what is done, and how it fails without.


def run(product: Product) -> None:
    product.run("print(1)")


def run_with_input(product: Product) -> None:
    uri = f"s3://{product.place.bucket}/{product.place.prefix}/inputs/iam/in.txt"
    product.session.client("s3").put_object(
        Bucket=product.place.bucket, Key=f"{product.place.prefix}/inputs/iam/in.txt", Body=b"x"
    )
    product.run("print(1)", inputs=[{"path": "in.txt", "s3Uri": uri}])


def run_with_output(product: Product) -> None:
    product.run("open('out.txt', 'w').write('x')")


def run_and_end(product: Product) -> None:
    product.run("print(1)")
    live = product.live_sessions()
    for identifier in product.place.interpreters.values():
        for session in live:
            try:
                product.session.client("bedrock-agentcore").stop_code_interpreter_session(
                    codeInterpreterIdentifier=identifier, sessionId=session
                )
            except ClientError:
                continue
    if live:
        raise Failure(f"{len(live)} session stayed")


def from_inside(interpreter: str, code: str) -> Callable[[Product], None]:
    def do(product: Product) -> None:
        place = f"{product.place.prefix}/sandbox/{interpreter}"
        product.session.client("s3").put_object(Bucket=product.place.bucket, Key=f"{place}/in.txt", Body=b"x")
        names = f"bucket, place = {product.place.bucket!r}, {place!r}\n"
        result = product.run(CLAIM + names + code, interpreter=interpreter).result
        if result["exitCode"] != 0:
            raise Failure(result["stderr"])

    return do


GET = "s3.get_object(Bucket=bucket, Key=f'{place}/in.txt')"
PUT = "s3.put_object(Bucket=bucket, Key=f'{place}/out.txt', Body=b'x')"
LIST = "s3.list_objects_v2(Bucket=bucket, Prefix=f'{place}/')"
CAUSES: Mapping[Grant, tuple[Callable[[Product], None], str]] = {
    Grant(SESSION_FUNCTION, "bedrock-agentcore:StartCodeInterpreterSession"): (
        run,
        r"^AccessDenied: .*not authorized to perform: bedrock-agentcore:StartCodeInterpreterSession on resource: arn:",
    ),
    Grant(SESSION_FUNCTION, "bedrock-agentcore:InvokeCodeInterpreter"): (
        run,
        r"^AccessDenied: .*not authorized to perform: bedrock-agentcore:InvokeCodeInterpreter on resource: arn:",
    ),
    Grant(SESSION_FUNCTION, "bedrock-agentcore:StopCodeInterpreterSession"): (run_and_end, "^1 session stayed"),
    Grant(SESSION_FUNCTION, "s3:GetObject"): (run_with_input, r"^StorageError: .*\(AccessDenied\)"),
    Grant(SESSION_FUNCTION, "s3:PutObject"): (run_with_output, r"^StorageError: .*\(AccessDenied\)"),
    Grant(STATE_MACHINE, "lambda:InvokeFunction"): (
        run,
        r"not authorized to perform: lambda:InvokeFunction on resource: arn:",
    ),
    **{
        Grant(role, f"s3:{name}"): (from_inside(interpreter, code), rf"\(AccessDenied\) when calling the {operation}")
        for role, interpreter in ((SANDBOX, "sandbox"), (PUBLIC, "public"))
        for name, code, operation in (
            ("GetObject", GET, "GetObject"),
            ("PutObject", PUT, "PutObject"),
            ("ListBucket", LIST, "ListObjectsV2"),
        )
    },
}
WITHOUT_A_CAUSE_HERE = {
    "Lambda's own service writes the function's log, which MiniStack does itself": [
        Grant(SESSION_FUNCTION, "logs:CreateLogStream"),
        Grant(SESSION_FUNCTION, "logs:PutLogEvents"),
    ],
    "Step Functions has them to deliver its logs and traces, which MiniStack does not": [
        Grant(STATE_MACHINE, action)
        for action in (
            *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups"),
            *("logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries"),
            *("logs:PutResourcePolicy", "logs:UpdateLogDelivery", "xray:GetSamplingRules"),
            *("xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"),
        )
    ],
}
"""Grants that only AWS itself uses."""


def test_every_deployed_grant_is_in_one_of_the_tables(product: Product) -> None:
    deployed = [
        Grant(role, action)
        for role, statements in inline_policies(product).items()
        for _, _, statement in statements
        for action in actions_of(statement)
    ]
    explained = [grant for grants in WITHOUT_A_CAUSE_HERE.values() for grant in grants]
    assert sorted(deployed, key=str) == sorted([*CAUSES, *explained], key=str)


@pytest.mark.parametrize("grant", CAUSES, ids=lambda grant: f"{grant.role}-{grant.action}")
def test_without_a_grant_what_it_is_for_fails_and_with_it_works(product: Product, grant: Grant) -> None:
    do, message = CAUSES[grant]
    do(product)
    with without(product)(grant), pytest.raises(Failure, match=message):
        do(product)
    assert product.live_sessions() == []


# Who may assume a role.


def trust(**principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(*actions: str, resource: str = "*") -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": resource}}
    )


@pytest.fixture(scope="module")
def callers(deployed: Any) -> dict[str, boto3.Session]:  # noqa: ARG001 - the embedded AWS that boto3 talks to
    """A user and a role's session that may do everything, and the account's root."""
    iam = boto3.client("iam")
    iam.create_user(UserName="may-all")
    iam.put_user_policy(UserName="may-all", PolicyName="all", PolicyDocument=allow("*"))
    key = iam.create_access_key(UserName="may-all")["AccessKey"]
    user = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.create_role(RoleName="may-all", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))
    iam.put_role_policy(RoleName="may-all", PolicyName="all", PolicyDocument=allow("*"))
    return {"user": user, "role": assumed(user, f"arn:aws:iam::{ACCOUNT}:role/may-all"), "root": boto3.Session()}


def assumed(session: boto3.Session, role: str, **options: Any) -> boto3.Session:
    made = session.client("sts").assume_role(RoleArn=role, RoleSessionName="test", **options)["Credentials"]
    return boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], REGION)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response.get("Error", {}).get("Code", "")


def test_a_role_of_a_service_is_assumed_by_nobody_else(product: Product, callers: dict[str, boto3.Session]) -> None:
    roles = {role["RoleName"]: role["Arn"] for role in product.session.client("iam").list_roles()["Roles"]}
    of_services = [arn for name, arn in roles.items() if name.startswith("sandpiper-")]
    assert len(of_services) == 4
    for arn in of_services:
        for session in callers.values():
            with pytest.raises(
                ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {arn}"
            ) as no:
                assumed(session, arn)
            assert code_of(no) == "AccessDenied"
        answer = invoke_with(product, arn)
        if "SessionFunction" in arn:
            assert answer == 1
        else:
            assert answer["errorType"] == "AccessDeniedException", arn
            assert "cannot be assumed by Lambda" in answer["errorMessage"]


def invoke_with(product: Product, role: str) -> Any:
    """What a function with a role answers."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", "def handler(event, context): return 1")
    functions = product.session.client("lambda")
    functions.create_function(
        FunctionName="of-another",
        Runtime="python3.11",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
    )
    try:
        return json.load(functions.invoke(FunctionName="of-another")["Payload"])
    finally:
        functions.delete_function(FunctionName="of-another")
