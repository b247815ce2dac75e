"""IAM of the embedded AWS: what is deployed is what is judged, grant by grant; and who may assume what."""

from __future__ import annotations

import io
import json
import re
import urllib.error
import urllib.request
import uuid
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from code_runner.agentcore.limits import DIRECT_TRANSFER_BYTES
from sandpiper.errors import CliError
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
    """One action that one role was deployed with; `role` is how its logical id begins.

    `folder` tells grants of the same action apart: the last one of the objects' address.
    """

    role: str
    action: str
    folder: str = ""


def without(product: Product) -> Callable[[Grant], Any]:
    """Takes a grant away from a deployed role for a while."""

    @contextmanager
    def taken(grant: Grant) -> Generator[None]:
        iam, before = product.session.client("iam"), inline_policies(product)[grant.role]
        (name,) = {name for _, name, _ in before}
        role = before[0][0]
        statements = [statement for _, _, statement in before]
        put(iam, role, name, [reduced for statement in statements if (reduced := reduce(statement, grant))])
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


def folder_of(statement: Mapping[str, Any], role: str) -> str:
    """The session function reaches three folders; every other role has each action once."""
    resources = statement["Resource"]
    objects: str = resources if isinstance(resources, str) else resources[0]
    return objects.split("/")[-2] if role == SESSION_FUNCTION and re.match(r"arn:aws:s3:::.*/", objects) else ""


def reduce(statement: dict[str, Any], grant: Grant) -> dict[str, Any] | None:
    if folder_of(statement, grant.role) != grant.folder:
        return statement
    kept = [other for other in actions_of(statement) if other != grant.action]
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


def run_with_folder(product: Product) -> None:
    folder = f"{product.place.prefix}/inputs/iam-folder/"
    product.session.client("s3").put_object(Bucket=product.place.bucket, Key=f"{folder}in.txt", Body=b"x")
    product.run("print(1)", inputs=[{"path": "in", "s3Prefix": f"s3://{product.place.bucket}/{folder}"}])


def run_with_large_files(product: Product) -> None:
    """A large input and a large output pass the function by, through the staging folder, where nothing stays."""
    s3, bucket, prefix = product.session.client("s3"), product.place.bucket, product.place.prefix
    s3.put_object(Bucket=bucket, Key=f"{prefix}/inputs/iam/large.bin", Body=bytes(DIRECT_TRANSFER_BYTES + 1))
    large = [{"path": "large.bin", "s3Uri": f"s3://{bucket}/{prefix}/inputs/iam/large.bin"}]
    code = f"open('made.bin', 'wb').truncate({DIRECT_TRANSFER_BYTES + 1})"
    result = product.run(code, inputs=large, outputs={"maxBytes": 2 * DIRECT_TRANSFER_BYTES}).result
    staged = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/sandbox/sandbox/staging/").get("Contents", [])
    for left in staged:
        s3.delete_object(Bucket=bucket, Key=left.get("Key", ""))
    if result["skipped"] or staged:
        raise CliError(f"skipped: {result['skipped']}, staged: {staged}")


def run_again(product: Product) -> None:
    """The second time is answered from the claim of the first."""
    client = product.session.client("lambda")
    (name,) = [
        name
        for each in client.list_functions()["Functions"]
        if "SessionFunction" in (name := each.get("FunctionName", ""))
    ]
    event = {"operation": "run_code", "run": {"execution": str(uuid.uuid4())}, "request": {"code": "print(1)"}}
    for _ in range(2):
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        if "FunctionError" in answer:
            error = json.load(answer["Payload"])
            raise CliError(f"{error['errorType']}: {error['errorMessage']}")


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
        raise CliError(f"{len(live)} session stayed")


def from_inside(interpreter: str, code: str) -> Callable[[Product], None]:
    def do(product: Product) -> None:
        place = f"{product.place.prefix}/sandbox/{interpreter}"
        product.session.client("s3").put_object(Bucket=product.place.bucket, Key=f"{place}/in.txt", Body=b"x")
        names = f"bucket, place = {product.place.bucket!r}, {place!r}\n"
        result = product.run(CLAIM + names + code, interpreter=interpreter).result
        if result["exitCode"] != 0:
            raise CliError(result["stderr"])

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
    Grant(SESSION_FUNCTION, "s3:GetObject", "inputs"): (
        run_with_input,
        r"^StorageError: .*: the object is not there, or this role may not read it;",
    ),
    Grant(SESSION_FUNCTION, "s3:GetObject", "runs"): (
        run_again,
        r"^StorageError: reading the claim .*\(AccessDenied\)",
    ),
    Grant(SESSION_FUNCTION, "s3:PutObject", "runs"): (run, r"^StorageError: writing the claim .*\(AccessDenied\)"),
    Grant(SESSION_FUNCTION, "s3:ListBucket"): (run_with_folder, r"^StorageError: .*\(AccessDenied\)"),
    Grant(SESSION_FUNCTION, "s3:PutObject", "staging"): (run_with_large_files, r"^StorageError: .*\(AccessDenied\)"),
    Grant(SESSION_FUNCTION, "s3:GetObject", "staging"): (run_with_large_files, r"^skipped: \[\{'path': 'made.bin'"),
    Grant(SESSION_FUNCTION, "s3:DeleteObject", "staging"): (run_with_large_files, r"^skipped: \[\], staged: \[\{"),
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
    "it tidies up after an upload that failed half-way, which the bucket's lifecycle does, too, a day later": [
        Grant(SESSION_FUNCTION, "s3:AbortMultipartUpload", "runs"),
        Grant(SANDBOX, "s3:AbortMultipartUpload"),
        Grant(PUBLIC, "s3:AbortMultipartUpload"),
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
"""Grants that only AWS itself uses, and one whose lack nobody sees."""


def test_every_deployed_grant_is_in_one_of_the_tables(product: Product) -> None:
    deployed = [
        Grant(role, action, folder_of(statement, role))
        for role, statements in inline_policies(product).items()
        for _, _, statement in statements
        for action in actions_of(statement)
    ]
    explained = [grant for grants in WITHOUT_A_CAUSE_HERE.values() for grant in grants]
    assert sorted(deployed, key=str) == sorted([*CAUSES, *explained], key=str)


@pytest.mark.parametrize("grant", CAUSES, ids=lambda grant: f"{grant.role}-{grant.action}-{grant.folder}")
def test_without_a_grant_what_it_is_for_fails_and_with_it_works(product: Product, grant: Grant) -> None:
    do, message = CAUSES[grant]
    do(product)
    with without(product)(grant), pytest.raises(CliError, match=message):
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


def any_client(session: Any, service: str, config: Config) -> Any:
    """A client of a service for which no stubs are installed."""
    return session.client(service, config=config)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response.get("Error", {}).get("Code", "")


def test_a_role_of_a_service_is_assumed_by_nobody_else(product: Product, callers: dict[str, boto3.Session]) -> None:
    roles = {role["RoleName"]: role["Arn"] for role in product.session.client("iam").list_roles()["Roles"]}
    of_services = [arn for name, arn in roles.items() if name.startswith("sandpiper-")]
    assert len(of_services) == 5
    for arn in of_services:
        for session in callers.values():
            with pytest.raises(
                ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {arn}"
            ) as no:
                assumed(session, arn)
            assert code_of(no) == "AccessDenied"
        answer = invoke_with(product, arn)
        if "SessionFunction" in arn or "SessionStopper" in arn:
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


def test_a_grant_of_the_caller_counts_where_the_role_trusts_the_account_alone(
    product: Product, callers: dict[str, boto3.Session]
) -> None:
    iam = product.session.client("iam")
    user = iam.create_user(UserName="may-little")["User"]["Arn"]
    key = iam.create_access_key(UserName="may-little")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    by_account = iam.create_role(RoleName="by-account", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))["Role"]["Arn"]
    by_name = iam.create_role(RoleName="by-name", AssumeRolePolicyDocument=trust(AWS=user))["Role"]["Arn"]
    assert assumed(session, by_name).client("sts").get_caller_identity()["Arn"].endswith("assumed-role/by-name/test")
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        assumed(session, by_account)
    iam.put_user_policy(UserName="may-little", PolicyName="it", PolicyDocument=allow("sts:AssumeRole"))
    assumed(session, by_account)
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        assumed(callers["user"], by_name)


def test_the_cdk_acts_in_the_roles_of_its_bootstrap(product: Product) -> None:
    deploying = assumed(product.session, f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}")
    deploying.client("cloudformation").describe_stacks()
    with pytest.raises(ClientError) as refused:
        deploying.client("iam").create_user(UserName="nobody")
    assert code_of(refused) == "AccessDenied"
    reading = assumed(product.session, f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-lookup-role-{ACCOUNT}-{REGION}")
    with pytest.raises(ClientError) as refused:
        reading.client("cloudformation").create_stack(StackName="none", TemplateBody="{}")
    assert code_of(refused) == "AccessDenied"


# What IAM is told of a request.


@pytest.fixture
def bucket(deployed: Any) -> Generator[str]:  # noqa: ARG001 - as above
    s3, name = boto3.client("s3"), "iam-context"
    s3.create_bucket(Bucket=name)
    for key in ("in/a.txt", "out/a.txt"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item.get("Key", ""))
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def judged(deployed: Any) -> Generator[Callable[..., boto3.Session]]:  # noqa: ARG001 - as above
    """Makes a session of a role with the statements that are given."""
    iam, name = boto3.client("iam"), "judged"
    iam.create_role(RoleName=name, Path="/of/tests/", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))

    def make(*statements: dict[str, Any], **options: Any) -> boto3.Session:
        put(iam, name, "all", [{"Effect": "Allow", **statement} for statement in statements])
        return assumed(boto3.Session(), f"arn:aws:iam::{ACCOUNT}:role/of/tests/{name}", **options)

    yield make
    iam.delete_role_policy(RoleName=name, PolicyName="all")
    iam.delete_role(RoleName=name)


def succeeds(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response.get("Error", {}).get("Code") in ("AccessDenied", "AccessDeniedException", "403"), error
        return False
    return True


def upload_in_parts(s3: Any, bucket: str, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)


def copy(s3: Any, bucket: str, source: str, target: str) -> None:
    s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})


def delete_several(s3: Any, bucket: str, *keys: str) -> None:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    if answer.get("Errors"):
        raise ClientError({"Error": {"Code": answer["Errors"][0]["Code"], "Message": ""}}, "DeleteObjects")


OPERATIONS: Mapping[str, tuple[Callable[[Any, str], Any], Callable[[Any, str], Any]]] = {
    "s3:GetObject": (
        lambda s3, b: s3.get_object(Bucket=b, Key="in/a.txt"),
        lambda s3, b: s3.get_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:GetObject of HeadObject": (
        lambda s3, b: s3.head_object(Bucket=b, Key="in/a.txt"),
        lambda s3, b: s3.head_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:PutObject": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in/b", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="out/b", Body=b""),
    ),
    "s3:PutObject of parts": (
        lambda s3, b: upload_in_parts(s3, b, "in/c"),
        lambda s3, b: upload_in_parts(s3, b, "out/c"),
    ),
    "s3:PutObject s3:GetObject of a copy": (
        lambda s3, b: copy(s3, b, "in/a.txt", "in/d"),
        lambda s3, b: copy(s3, b, "out/a.txt", "in/d"),
    ),
    "s3:DeleteObject": (
        lambda s3, b: s3.delete_object(Bucket=b, Key="in/e"),
        lambda s3, b: s3.delete_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:DeleteObject of several": (
        lambda s3, b: delete_several(s3, b, "in/e", "in/f"),
        lambda s3, b: delete_several(s3, b, "in/e", "out/a.txt"),
    ),
    "s3:PutObject of a name with slashes": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in//b/", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="/in/b", Body=b""),
    ),
    "s3:PutObject of a name with dots": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in/%2e%2e/b", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="x/../in/b", Body=b""),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_of_s3_is_judged_on_the_object_that_it_touches(
    name: str, judged: Callable[..., boto3.Session], bucket: str
) -> None:
    actions, (inside, outside) = [word for word in name.split() if word.startswith("s3:")], OPERATIONS[name]
    s3 = judged({"Action": actions, "Resource": f"arn:aws:s3:::{bucket}/in/*"}).client("s3")
    assert (succeeds(lambda: inside(s3, bucket)), succeeds(lambda: outside(s3, bucket))) == (True, False)
    other = judged({"Action": "s3:GetBucketLocation", "Resource": "*"}).client("s3")
    assert not succeeds(lambda: inside(other, bucket))


def test_a_listing_is_judged_by_its_prefix(judged: Callable[..., boto3.Session], bucket: str) -> None:
    condition = {"StringLike": {"s3:prefix": "in/*"}}
    listing = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}", "Condition": condition}
    s3 = judged(listing).client("s3")
    for list_, allowed in (
        (lambda: s3.list_objects_v2(Bucket=bucket, Prefix="in/"), True),
        (lambda: s3.list_objects(Bucket=bucket, Prefix="in/deep"), True),
        (lambda: s3.list_objects_v2(Bucket=bucket, Prefix="out/"), False),
        (lambda: s3.list_objects_v2(Bucket=bucket), False),
        (lambda: s3.list_object_versions(Bucket=bucket, Prefix="in/"), False),
        (lambda: s3.list_multipart_uploads(Bucket=bucket, Prefix="in/"), False),
        (lambda: s3.list_buckets(), False),
    ):
        assert succeeds(list_) is allowed


KEYS: Mapping[str, Any] = {
    "aws:ResourceAccount": ACCOUNT,
    "s3:ResourceAccount": ACCOUNT,
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/of/tests/judged",
    "aws:PrincipalType": "AssumedRole",
    "aws:SecureTransport": "true",
    "aws:RequestedRegion": REGION,
    "aws:SourceIp": "127.0.0.1",
    "aws:PrincipalIsAWSService": "false",
}


@pytest.mark.parametrize("key", KEYS)
def test_global_keys_have_the_values_that_aws_gives(
    key: str, judged: Callable[..., boto3.Session], bucket: str
) -> None:
    for value, allowed in ((KEYS[key], True), ("other", False)):
        condition = {"StringEquals": {key: value}}
        s3 = judged({"Action": "s3:GetObject", "Resource": "*", "Condition": condition}).client("s3")
        assert succeeds(lambda s3=s3: s3.get_object(Bucket=bucket, Key="in/a.txt")) is allowed


def test_variables_sessions_and_boundaries_limit(judged: Callable[..., boto3.Session], bucket: str) -> None:
    everything = {"Action": "s3:*", "Resource": "*"}
    iam = boto3.client("iam")

    def reads(session: boto3.Session, folder: str) -> bool:
        return succeeds(lambda: session.client("s3").get_object(Bucket=bucket, Key=f"{folder}/a.txt"))

    tagged = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/folder}}/*"}
    iam.tag_role(RoleName="judged", Tags=[{"Key": "folder", "Value": "in"}])
    by_tag = judged(tagged)
    assert (reads(by_tag, "in"), reads(by_tag, "out")) == (True, False)
    inside = allow("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/in/*")
    with_session_policy = judged(everything, Policy=inside)
    assert (reads(with_session_policy, "in"), reads(with_session_policy, "out")) == (True, False)
    boundary = iam.create_policy(PolicyName="inside", PolicyDocument=inside)["Policy"].get("Arn", "")
    iam.put_role_permissions_boundary(RoleName="judged", PermissionsBoundary=boundary)
    bounded = judged(everything)
    assert (reads(bounded, "in"), reads(bounded, "out")) == (True, False)
    iam.delete_role_permissions_boundary(RoleName="judged")
    iam.delete_policy(PolicyArn=boundary)
    assert reads(judged(everything), "out")


def test_a_bucket_policy_denies_and_lets_in(judged: Callable[..., boto3.Session], bucket: str) -> None:
    s3, role = boto3.client("s3"), f"arn:aws:iam::{ACCOUNT}:role/of/tests/judged"

    def hang(effect: str, **more: Any) -> None:
        statement = {"Effect": effect, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*", **more}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def reads(session: boto3.Session) -> bool:
        return succeeds(lambda: session.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))

    may, may_not = judged({"Action": "s3:*", "Resource": "*"}), {"Action": "s3:ListBucket", "Resource": "*"}
    hang("Deny", Principal={"AWS": role})
    assert not reads(may)
    hang("Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert reads(may)
    hang("Allow", Principal={"AWS": role})
    assert reads(judged(may_not))
    hang("Allow", Principal={"AWS": ACCOUNT})
    assert not reads(judged(may_not))


@pytest.mark.parametrize("document", ["{", "[]", "5", '{"Statement": [{"Effect": "Allow"}]}'])
def test_a_bucket_policy_that_is_none_lets_nobody_in(
    judged: Callable[..., boto3.Session], bucket: str, document: str
) -> None:
    client = judged({"Action": "s3:*", "Resource": "*"}).client("s3", config=Config(retries={"total_max_attempts": 1}))
    assert succeeds(lambda: client.get_object(Bucket=bucket, Key="in/a.txt"))
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)  # MiniStack takes what S3 refuses
    assert not succeeds(lambda: client.get_object(Bucket=bucket, Key="in/a.txt"))


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_may_what_its_signer_may(
    version: str, judged: Callable[..., boto3.Session], bucket: str
) -> None:
    session = judged({"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"})
    signer = session.client("s3", config=Config(signature_version=version))
    for key, status in (("in/a.txt", 200), ("out/a.txt", 403)):
        url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        try:
            with urllib.request.urlopen(url) as answer:  # noqa: S310 - of the embedded AWS
                assert answer.status == status
        except urllib.error.HTTPError as error:
            assert error.code == status
            error.close()


def test_a_request_that_is_no_action_of_iam_is_the_roots_alone(callers: dict[str, boto3.Session]) -> None:
    for name, session in callers.items():
        xray = any_client(session, "xray", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError) as failed:  # MiniStack has no such service: the root learns that
            xray.get_trace_segment_destination()
        assert ("No policy can allow this request" in str(failed.value)) is (name != "root")


def test_a_policy_that_cannot_be_read_denies_everything(judged: Callable[..., boto3.Session], bucket: str) -> None:
    everything = {"Action": "s3:*", "Resource": "*"}
    for broken in (
        everything | {"Condition": {"StringMatches": {"aws:PrincipalAccount": ACCOUNT}}},
        everything | {"Resource": "data/*"},
    ):
        session = judged(everything, {"Effect": "Deny", **broken})
        assert not succeeds(lambda s=session: s.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))
    session = judged(everything)
    assert succeeds(lambda s=session: s.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))


# AgentCore's own operations.

INTERPRETERS = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom"
MANAGED = "aws.codeinterpreter.v1"
NETWORK: Any = {"networkMode": "SANDBOX"}


def may(judged: Callable[..., boto3.Session], *statements: dict[str, Any]) -> Any:
    return judged(*statements).client("bedrock-agentcore-control")


def test_creating_takes_everything_as_resource_and_its_tags_count(judged: Callable[..., boto3.Session]) -> None:
    creating = {"Action": "bedrock-agentcore:CreateCodeInterpreter", "Resource": "*"}
    tagged = {"StringEquals": {"aws:RequestTag/team": "a"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    tags = {"tags": {"team": "a"}}

    def creates(statement: dict[str, Any], **more: Any) -> bool:
        control = may(judged, statement)
        made: list[str] = []
        allowed = succeeds(
            lambda: made.append(
                control.create_code_interpreter(name="judged", networkConfiguration=NETWORK, **more)[
                    "codeInterpreterId"
                ]
            )
        )
        for identifier in made:
            boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=identifier)
        return allowed

    assert creates(creating)
    assert not creates(creating | {"Resource": f"{INTERPRETERS}/*"})
    assert creates(creating | {"Condition": tagged}, **tags)
    assert not creates(creating | {"Condition": tagged})
    assert not creates(creating | {"Condition": tagged}, tags={"team": "a", "cost": "b"})


def test_giving_an_interpreter_a_role_takes_passing_it(judged: Callable[..., boto3.Session]) -> None:
    by_agentcore = trust(Service="bedrock-agentcore.amazonaws.com")
    role = boto3.client("iam").create_role(RoleName="passed", AssumeRolePolicyDocument=by_agentcore)["Role"]["Arn"]
    creating = {"Action": "bedrock-agentcore:CreateCodeInterpreter", "Resource": "*"}
    passing = {"Action": "iam:PassRole", "Resource": role}
    for statement, allowed in (
        (passing | {"Condition": {"StringEquals": {"iam:PassedToService": "bedrock-agentcore.amazonaws.com"}}}, True),
        (passing | {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}, False),
        (passing | {"Resource": f"{role}-not"}, False),
    ):
        control = may(judged, creating, statement)
        request = {"name": "judged", "networkConfiguration": NETWORK, "executionRoleArn": role}
        if not allowed:
            with pytest.raises(ClientError, match=f"not authorized to perform: iam:PassRole on resource: {role}"):
                control.create_code_interpreter(**request)
            continue
        made = control.create_code_interpreter(**request)["codeInterpreterId"]
        boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=made)


def trust_of(name: str, account: str = ACCOUNT) -> str:
    """A trust policy for the interpreters of a name."""
    document = json.loads(trust(Service="bedrock-agentcore.amazonaws.com"))
    conditions = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"{INTERPRETERS}/{name}-??????????"},
    }
    return json.dumps(document | {"Statement": [{**document["Statement"][0], "Condition": conditions}]})


TRUSTS = {
    "it": (trust_of("validated"), True),
    "every interpreter": (trust(Service="bedrock-agentcore.amazonaws.com"), True),
    "another interpreter": (trust_of("validated_not"), False),
    "it in another account": (trust_of("validated", "999999999999"), False),
    "another service": (trust(Service="lambda.amazonaws.com"), False),
    "nobody, for it is not there": (None, False),
}


@pytest.mark.parametrize("by", ["API", "CloudFormation"])
@pytest.mark.parametrize("trusted", TRUSTS)
@pytest.mark.usefixtures("deployed")
def test_an_interpreter_gets_no_role_that_it_could_not_assume(trusted: str, by: str) -> None:
    iam, control = boto3.client("iam"), boto3.client("bedrock-agentcore-control")
    document, allowed = TRUSTS[trusted]
    role = f"arn:aws:iam::{ACCOUNT}:role/validated"
    if document is not None:
        iam.create_role(RoleName="validated", AssumeRolePolicyDocument=document)
    try:
        said = created_by_api(role) if by == "API" else created_by_cloudformation(role)
        left = [one.get("name") for one in control.list_code_interpreters(type="CUSTOM")["codeInterpreterSummaries"]]
    finally:
        if document is not None:
            iam.delete_role(RoleName="validated")
    assert "validated" not in left
    assert (said == "") is allowed, said
    if not allowed:
        assert "CodeInterpreter role validation failed" in said
        assert role in said


def created_by_api(role: str) -> str:
    """What AgentCore says against an interpreter with a role; the interpreter is deleted again."""
    control = boto3.client("bedrock-agentcore-control")
    try:
        made = control.create_code_interpreter(name="validated", networkConfiguration=NETWORK, executionRoleArn=role)
    except control.exceptions.ValidationException as error:
        return str(error)
    control.delete_code_interpreter(codeInterpreterId=made["codeInterpreterId"])
    return ""


def created_by_cloudformation(role: str) -> str:
    """What a stack's events say against it; the stack is deleted again."""
    stacks = boto3.client("cloudformation")
    network = {"NetworkMode": NETWORK["networkMode"]}
    properties = {"Name": "validated", "NetworkConfiguration": network, "ExecutionRoleArn": role}
    resource = {"Type": "AWS::BedrockAgentCore::CodeInterpreterCustom", "Properties": properties}
    stacks.create_stack(StackName="validated", TemplateBody=json.dumps({"Resources": {"It": resource}}))
    with suppress(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(
            StackName="validated", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
    events = stacks.describe_stack_events(StackName="validated")["StackEvents"]
    stacks.delete_stack(StackName="validated")
    stacks.get_waiter("stack_delete_complete").wait(StackName="validated", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    failed = [event for event in events if event.get("ResourceStatus") == "CREATE_FAILED"]
    return " ".join(event.get("ResourceStatusReason", "") for event in failed)


def test_sessions_are_judged_on_the_arn_of_their_interpreter(judged: Callable[..., boto3.Session]) -> None:
    root_control, root = boto3.client("bedrock-agentcore-control"), boto3.client("bedrock-agentcore")
    made = root_control.create_code_interpreter(name="judged", networkConfiguration=NETWORK, tags={"team": "a"})
    identifier, arn = made["codeInterpreterId"], made["codeInterpreterArn"]
    session = root.start_code_interpreter_session(codeInterpreterIdentifier=identifier)["sessionId"]
    on = {"codeInterpreterIdentifier": identifier}
    calls: dict[str, Callable[[Any, Any], Any]] = {
        "GetCodeInterpreter": lambda c, _: c.get_code_interpreter(codeInterpreterId=identifier),
        "ListTagsForResource": lambda c, _: c.list_tags_for_resource(resourceArn=arn),
        "TagResource": lambda c, _: c.tag_resource(resourceArn=arn, tags={"team": "a"}),
        "UntagResource": lambda c, _: c.untag_resource(resourceArn=arn, tagKeys=["none"]),
        "GetCodeInterpreterSession": lambda _, d: d.get_code_interpreter_session(**on, sessionId=session),
        "ListCodeInterpreterSessions": lambda _, d: d.list_code_interpreter_sessions(**on),
        "InvokeCodeInterpreter": lambda _, d: list(
            d.invoke_code_interpreter(**on, sessionId=session, name="listFiles", arguments={})["stream"]
        ),
        "StopCodeInterpreterSession": lambda _, d: d.stop_code_interpreter_session(**on, sessionId=session),
        "StartCodeInterpreterSession": lambda _, d: d.stop_code_interpreter_session(
            **on, sessionId=d.start_code_interpreter_session(**on)["sessionId"]
        ),
    }
    stop = {"Action": "bedrock-agentcore:StopCodeInterpreterSession", "Resource": arn}
    for operation, call in calls.items():
        only = {"Action": f"bedrock-agentcore:{operation}"}
        for resource, allowed in (
            (f"{INTERPRETERS}/*".replace("-custom", ""), False),
            (f"{INTERPRETERS}/judged_evil-*", False),
            (f"{INTERPRETERS}/judged-*", True),
        ):
            also = [stop] if operation.startswith("Start") else []
            role = judged(only | {"Resource": resource}, *also)
            clients = role.client("bedrock-agentcore-control"), role.client("bedrock-agentcore")
            assert succeeds(lambda call=call, clients=clients: call(*clients)) is allowed, (operation, resource)
    tagged = {"Action": "bedrock-agentcore:GetCodeInterpreter", "Resource": "*"}
    for team, allowed in (("a", True), ("b", False)):
        control = may(
            judged,
            tagged | {"Condition": {"StringEquals": {"aws:ResourceTag/team": team}}},
        )
        assert succeeds(lambda c=control: c.get_code_interpreter(codeInterpreterId=identifier)) is allowed
    deleting = may(judged, {"Action": "bedrock-agentcore:DeleteCodeInterpreter", "Resource": arn})
    deleting.delete_code_interpreter(codeInterpreterId=identifier)


def test_the_managed_interpreter_has_an_arn_of_its_own(judged: Callable[..., boto3.Session]) -> None:
    reading = {"Action": "bedrock-agentcore:GetCodeInterpreter"}
    for resource, allowed in (
        (f"arn:aws:bedrock-agentcore:{REGION}:aws:code-interpreter/{MANAGED}", True),
        (f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter/*", False),
    ):
        control = may(judged, reading | {"Resource": resource})
        assert succeeds(lambda c=control: c.get_code_interpreter(codeInterpreterId=MANAGED)) is allowed


def test_a_wrong_signature_is_nobodys(product: Product) -> None:
    key = product.session.get_credentials()
    assert key is not None
    for session, code in (
        (boto3.Session("AKIAGUESSED000000000", "x", region_name=REGION), "UnrecognizedClientException"),
        (boto3.Session(key.access_key, "wrong", region_name=REGION), "InvalidSignatureException"),
    ):
        with pytest.raises(ClientError) as refused:
            session.client("bedrock-agentcore-control").list_code_interpreters()
        assert code_of(refused) == code
    with pytest.raises(ClientError) as refused:
        boto3.client("bedrock-agentcore-control", config=Config(signature_version=UNSIGNED)).list_code_interpreters()
    assert code_of(refused) == "MissingAuthenticationTokenException"
