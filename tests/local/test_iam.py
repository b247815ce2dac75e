"""IAM of the embedded AWS: each deployed permission is required, trust policies apply, and requests have context."""

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

from sandpiper.errors import CliError
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import ACCOUNT, REGION
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="removes permissions and creates users")

SESSION_FUNCTION, STATE_MACHINE = "SessionFunctionRole", "RunCodeRole"
SANDBOX, PUBLIC = "InterpretersandboxExecutionRol", "InterpreterpublicExecutionRole"
S3_CLIENT = """
import boto3
s3 = boto3.client("s3")
"""


@dataclass(frozen=True)
class Permission:
    """An action that a deployed role is allowed to do.

    Attributes:
        role: the beginning of the role's logical ID.
        action: the action.
        folder: the last folder in the address of the objects. It distinguishes permissions with the same action.
    """

    role: str
    action: str
    folder: str = ""


def without(product: Product) -> Callable[[Permission], Any]:
    """Returns a context manager that removes a permission from a deployed role."""

    @contextmanager
    def removed(permission: Permission) -> Generator[None]:
        iam, before = product.session.client("iam"), inline_policies(product)[permission.role]
        (name,) = {name for _, name, _ in before}
        role = before[0][0]
        statements = [statement for _, _, statement in before]
        put(iam, role, name, [rest for statement in statements if (rest := remove(statement, permission))])
        try:
            yield
        finally:
            put(iam, role, name, statements)

    return removed


def inline_policies(product: Product) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Returns role name, policy name and statement of all statements, by the beginning of the role's logical ID."""
    iam = product.session.client("iam")
    policies: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        key = next((key for key in (SESSION_FUNCTION, STATE_MACHINE, SANDBOX, PUBLIC) if f"-{key}" in name), None)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"] if key else []:
            document: Any = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            policies.setdefault(key or "", []).extend((name, policy, statement) for statement in document["Statement"])
    return policies


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def folder_of(statement: Mapping[str, Any], role: str) -> str:
    """Returns the folder in a permission of the session function. Every other role has each action once."""
    resources = statement["Resource"]
    objects: str = resources if isinstance(resources, str) else resources[0]
    if listed := statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix"):
        objects = f"arn:aws:s3:::/{listed if isinstance(listed, str) else listed[0]}"
    return objects.split("/")[-2] if role == SESSION_FUNCTION and re.match(r"arn:aws:s3:::.*/", objects) else ""


def remove(statement: dict[str, Any], permission: Permission) -> dict[str, Any] | None:
    if folder_of(statement, permission.role) != permission.folder:
        return statement
    others = [action for action in actions_of(statement) if action != permission.action]
    return statement | {"Action": others} if others else None


def put(iam: Any, role: str, policy: str, statements: list[dict[str, Any]]) -> None:
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)


# What each permission is for, and the error without it


def run(product: Product) -> None:
    product.run("print(1)")


def run_with_input(product: Product) -> None:
    uri = f"s3://{product.deployment.bucket}/{product.deployment.prefix}/inputs/iam/in.txt"
    product.session.client("s3").put_object(
        Bucket=product.deployment.bucket, Key=f"{product.deployment.prefix}/inputs/iam/in.txt", Body=b"x"
    )
    product.run("print(1)", inputs=[{"path": "in.txt", "s3Uri": uri}])


def run_with_folder(product: Product) -> None:
    folder = f"{product.deployment.prefix}/inputs/iam-folder/"
    product.session.client("s3").put_object(Bucket=product.deployment.bucket, Key=f"{folder}in.txt", Body=b"x")
    product.run("print(1)", inputs=[{"path": "in", "s3Prefix": f"s3://{product.deployment.bucket}/{folder}"}])


def run_again(product: Product) -> None:
    """Repeats an event: the second result comes from the idempotency record of the first."""
    event = {"operation": "run_code", "run": {"execution": str(uuid.uuid4())}, "request": {"code": "print(1)"}}
    for _ in range(2):
        invoke(product, event)


def stop_sessions(product: Product) -> None:
    """Looks for the sessions of an execution, as after its end."""
    invoke(product, {"operation": "stop_sessions", "run": {"execution": str(uuid.uuid4())}, "request": {}})


def sweep_sessions(product: Product) -> None:
    """Looks for sessions of executions that have ended, as every hour."""
    request = {"workflows": [product.deployment.run_code_arn]}
    invoke(product, {"operation": "sweep_sessions", "run": {"execution": "sweep"}, "request": request})


def invoke(product: Product, event: Mapping[str, Any]) -> None:
    """Sends an event to the session function. Raises CliError for its error."""
    client = product.session.client("lambda")
    (name,) = [
        name
        for each in client.list_functions()["Functions"]
        if "SessionFunction" in (name := each.get("FunctionName", ""))
    ]
    response = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    if "FunctionError" in response:
        error = json.load(response["Payload"])
        raise CliError(f"{error['errorType']}: {error['errorMessage']}")


def run_and_end(product: Product) -> None:
    product.run("print(1)")
    live = product.live_sessions()
    for identifier in product.deployment.interpreters.values():
        for session in live:
            try:
                product.session.client("bedrock-agentcore").stop_code_interpreter_session(
                    codeInterpreterIdentifier=identifier, sessionId=session
                )
            except ClientError:
                continue
    if live:
        raise CliError(f"{len(live)} session stayed")


def run_in_sandbox(interpreter: str, code: str) -> Callable[[Product], None]:
    def do(product: Product) -> None:
        folder = f"{product.deployment.prefix}/sandbox/{interpreter}"
        product.session.client("s3").put_object(Bucket=product.deployment.bucket, Key=f"{folder}/in.txt", Body=b"x")
        names = f"bucket, folder = {product.deployment.bucket!r}, {folder!r}\n"
        result = product.run(S3_CLIENT + names + code, interpreter=interpreter).result
        if result["exitCode"] != 0:
            raise CliError(result["stderr"])

    return do


GET = "s3.get_object(Bucket=bucket, Key=f'{folder}/in.txt')"
PUT = "s3.put_object(Bucket=bucket, Key=f'{folder}/out.txt', Body=b'x')"
LIST = "s3.list_objects_v2(Bucket=bucket, Prefix=f'{folder}/')"
USES: Mapping[Permission, tuple[Callable[[Product], None], str]] = {
    Permission(SESSION_FUNCTION, "bedrock-agentcore:StartCodeInterpreterSession"): (
        run,
        r"^AccessDenied: .*not authorized to perform: bedrock-agentcore:StartCodeInterpreterSession on resource: arn:",
    ),
    Permission(SESSION_FUNCTION, "bedrock-agentcore:InvokeCodeInterpreter"): (
        run,
        r"^AccessDenied: .*not authorized to perform: bedrock-agentcore:InvokeCodeInterpreter on resource: arn:",
    ),
    Permission(SESSION_FUNCTION, "bedrock-agentcore:StopCodeInterpreterSession"): (run_and_end, "^1 session stayed"),
    Permission(SESSION_FUNCTION, "bedrock-agentcore:ListCodeInterpreterSessions"): (
        sweep_sessions,
        r"^AccessDenied: .*not authorized to perform: bedrock-agentcore:ListCodeInterpreterSessions on resource: arn:",
    ),
    Permission(SESSION_FUNCTION, "s3:GetObject", "inputs"): (
        run_with_input,
        r"^StorageError: .*: the object does not exist or this role cannot read it;",
    ),
    Permission(SESSION_FUNCTION, "s3:GetObject", "runs"): (
        run_again,
        r"^StorageError: (reading|writing) the idempotency record .*\(AccessDenied\).*s3:GetObject",
    ),
    Permission(SESSION_FUNCTION, "s3:PutObject", "runs"): (
        run,
        r"^StorageError: writing the idempotency record .*\(AccessDenied\)",
    ),
    Permission(SESSION_FUNCTION, "s3:ListBucket", "inputs"): (run_with_folder, r"^StorageError: .*\(AccessDenied\)"),
    Permission(SESSION_FUNCTION, "s3:ListBucket", "runs"): (stop_sessions, r"^StorageError: .*\(AccessDenied\)"),
    Permission(STATE_MACHINE, "lambda:InvokeFunction"): (
        run,
        r"not authorized to perform: lambda:InvokeFunction on resource: arn:",
    ),
    **{
        Permission(role, f"s3:{name}"): (
            run_in_sandbox(interpreter, code),
            rf"\(AccessDenied\) when calling the {operation}",
        )
        for role, interpreter in ((SANDBOX, "sandbox"), (PUBLIC, "public"))
        for name, code, operation in (
            ("GetObject", GET, "GetObject"),
            ("PutObject", PUT, "PutObject"),
            ("ListBucket", LIST, "ListObjectsV2"),
        )
    },
}
NOT_USED_HERE = {
    "Lambda writes the log of the function with them; MiniStack needs none": [
        Permission(SESSION_FUNCTION, "logs:CreateLogStream"),
        Permission(SESSION_FUNCTION, "logs:PutLogEvents"),
    ],
    "the sweep describes executions whose sessions are older than 16 minutes": [
        Permission(SESSION_FUNCTION, "states:DescribeExecution"),
    ],
    "a failed upload is aborted with it; otherwise, the lifecycle of the bucket aborts it a day later": [
        Permission(SESSION_FUNCTION, "s3:AbortMultipartUpload", "runs"),
        Permission(SANDBOX, "s3:AbortMultipartUpload"),
        Permission(PUBLIC, "s3:AbortMultipartUpload"),
    ],
    "Step Functions delivers logs and traces with them; MiniStack does not": [
        Permission(STATE_MACHINE, action)
        for action in (
            *("logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups"),
            *("logs:DescribeResourcePolicies", "logs:GetLogDelivery", "logs:ListLogDeliveries"),
            *("logs:PutResourcePolicy", "logs:UpdateLogDelivery", "xray:GetSamplingRules"),
            *("xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"),
        )
    ],
}
"""Permissions whose removal has no visible effect in the embedded AWS, by the reason."""


def test_every_deployed_permission_is_in_one_of_the_tables(product: Product) -> None:
    deployed = [
        Permission(role, action, folder_of(statement, role))
        for role, statements in inline_policies(product).items()
        for _, _, statement in statements
        for action in actions_of(statement)
    ]
    unused = [permission for permissions in NOT_USED_HERE.values() for permission in permissions]
    assert sorted(deployed, key=str) == sorted([*USES, *unused], key=str)


@pytest.mark.parametrize(
    "permission", USES, ids=lambda permission: f"{permission.role}-{permission.action}-{permission.folder}"
)
def test_each_permission_is_required_for_its_use(product: Product, permission: Permission) -> None:
    do, message = USES[permission]
    do(product)
    with without(product)(permission), pytest.raises(CliError, match=message):
        do(product)
    assert product.live_sessions() == []


# Trust policies


def trust(**principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allow(*actions: str, resource: str = "*") -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": resource}}
    )


@pytest.fixture(scope="module")
def callers(deployed: Any) -> dict[str, boto3.Session]:  # noqa: ARG001 - starts the embedded AWS
    """Sessions of a user and a role with all permissions, and of the account root."""
    iam = boto3.client("iam")
    iam.create_user(UserName="all-permissions")
    iam.put_user_policy(UserName="all-permissions", PolicyName="all", PolicyDocument=allow("*"))
    key = iam.create_access_key(UserName="all-permissions")["AccessKey"]
    user = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.create_role(RoleName="all-permissions", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))
    iam.put_role_policy(RoleName="all-permissions", PolicyName="all", PolicyDocument=allow("*"))
    return {
        "user": user,
        "role": assumed(user, f"arn:aws:iam::{ACCOUNT}:role/all-permissions"),
        "root": boto3.Session(),
    }


def assumed(session: boto3.Session, role: str, **options: Any) -> boto3.Session:
    credentials = session.client("sts").assume_role(RoleArn=role, RoleSessionName="test", **options)["Credentials"]
    return boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], REGION
    )


def any_client(session: Any, service: str, config: Config) -> Any:
    """Returns a client of a service without installed type stubs."""
    return session.client(service, config=config)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response.get("Error", {}).get("Code", "")


def test_a_service_role_can_be_assumed_by_its_service_only(product: Product, callers: dict[str, boto3.Session]) -> None:
    roles = {role["RoleName"]: role["Arn"] for role in product.session.client("iam").list_roles()["Roles"]}
    service_roles = [arn for name, arn in roles.items() if name.startswith("sandpiper-")]
    assert len(service_roles) == 9
    for arn in service_roles:
        for session in callers.values():
            with pytest.raises(
                ClientError, match=f"not authorized to perform: sts:AssumeRole on resource: {arn}"
            ) as no:
                assumed(session, arn)
            assert code_of(no) == "AccessDenied"
        result = invoke_with(product, arn)
        if "SessionFunction" in arn or "SessionStopper" in arn:
            assert result == 1
        else:
            assert result["errorType"] == "AccessDeniedException", arn
            assert "cannot be assumed by Lambda" in result["errorMessage"]


def invoke_with(product: Product, role: str) -> Any:
    """Invokes a function with a role. Returns its result."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", "def handler(event, context): return 1")
    functions = product.session.client("lambda")
    functions.create_function(
        FunctionName="other-role",
        Runtime="python3.11",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
    )
    try:
        return json.load(functions.invoke(FunctionName="other-role")["Payload"])
    finally:
        functions.delete_function(FunctionName="other-role")


def test_a_role_that_trusts_the_account_requires_a_permission_of_the_caller(
    product: Product, callers: dict[str, boto3.Session]
) -> None:
    iam = product.session.client("iam")
    user = iam.create_user(UserName="few-permissions")["User"]["Arn"]
    key = iam.create_access_key(UserName="few-permissions")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    by_account = iam.create_role(RoleName="by-account", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))["Role"]["Arn"]
    by_name = iam.create_role(RoleName="by-name", AssumeRolePolicyDocument=trust(AWS=user))["Role"]["Arn"]
    assert assumed(session, by_name).client("sts").get_caller_identity()["Arn"].endswith("assumed-role/by-name/test")
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        assumed(session, by_account)
    iam.put_user_policy(UserName="few-permissions", PolicyName="it", PolicyDocument=allow("sts:AssumeRole"))
    assumed(session, by_account)
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        assumed(callers["user"], by_name)


def test_the_cdk_uses_the_roles_of_its_bootstrap(product: Product) -> None:
    deploy_session = assumed(
        product.session, f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}"
    )
    deploy_session.client("cloudformation").describe_stacks()
    with pytest.raises(ClientError) as denied:
        deploy_session.client("iam").create_user(UserName="not-created")
    assert code_of(denied) == "AccessDenied"
    lookup_session = assumed(
        product.session, f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-lookup-role-{ACCOUNT}-{REGION}"
    )
    with pytest.raises(ClientError) as denied:
        lookup_session.client("cloudformation").create_stack(StackName="none", TemplateBody="{}")
    assert code_of(denied) == "AccessDenied"


# Context of requests


@pytest.fixture
def bucket(deployed: Any) -> Generator[str]:  # noqa: ARG001 - starts the embedded AWS
    s3, name = boto3.client("s3"), "iam-context"
    s3.create_bucket(Bucket=name)
    for key in ("in/a.txt", "out/a.txt"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item.get("Key", ""))
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def session_with(deployed: Any) -> Generator[Callable[..., boto3.Session]]:  # noqa: ARG001 - starts the embedded AWS
    """Returns a function that creates a session of a role with given statements."""
    iam, name = boto3.client("iam"), "evaluated"
    iam.create_role(RoleName=name, Path="/tests/", AssumeRolePolicyDocument=trust(AWS=ACCOUNT))

    def make(*statements: dict[str, Any], **options: Any) -> boto3.Session:
        put(iam, name, "all", [{"Effect": "Allow", **statement} for statement in statements])
        return assumed(boto3.Session(), f"arn:aws:iam::{ACCOUNT}:role/tests/{name}", **options)

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
    response = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    if response.get("Errors"):
        raise ClientError({"Error": {"Code": response["Errors"][0]["Code"], "Message": ""}}, "DeleteObjects")


OPERATIONS: Mapping[str, tuple[Callable[[Any, str], Any], Callable[[Any, str], Any]]] = {
    "s3:GetObject": (
        lambda s3, b: s3.get_object(Bucket=b, Key="in/a.txt"),
        lambda s3, b: s3.get_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:GetObject in HeadObject": (
        lambda s3, b: s3.head_object(Bucket=b, Key="in/a.txt"),
        lambda s3, b: s3.head_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:PutObject": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in/b", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="out/b", Body=b""),
    ),
    "s3:PutObject in a multipart upload": (
        lambda s3, b: upload_in_parts(s3, b, "in/c"),
        lambda s3, b: upload_in_parts(s3, b, "out/c"),
    ),
    "s3:PutObject s3:GetObject in CopyObject": (
        lambda s3, b: copy(s3, b, "in/a.txt", "in/d"),
        lambda s3, b: copy(s3, b, "out/a.txt", "in/d"),
    ),
    "s3:DeleteObject": (
        lambda s3, b: s3.delete_object(Bucket=b, Key="in/e"),
        lambda s3, b: s3.delete_object(Bucket=b, Key="out/a.txt"),
    ),
    "s3:DeleteObject in DeleteObjects": (
        lambda s3, b: delete_several(s3, b, "in/e", "in/f"),
        lambda s3, b: delete_several(s3, b, "in/e", "out/a.txt"),
    ),
    "s3:PutObject with slashes in the key": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in//b/", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="/in/b", Body=b""),
    ),
    "s3:PutObject with dots in the key": (
        lambda s3, b: s3.put_object(Bucket=b, Key="in/%2e%2e/b", Body=b""),
        lambda s3, b: s3.put_object(Bucket=b, Key="x/../in/b", Body=b""),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_s3_operation_is_evaluated_on_its_object(
    name: str, session_with: Callable[..., boto3.Session], bucket: str
) -> None:
    actions, (inside, outside) = [word for word in name.split() if word.startswith("s3:")], OPERATIONS[name]
    s3 = session_with({"Action": actions, "Resource": f"arn:aws:s3:::{bucket}/in/*"}).client("s3")
    assert (succeeds(lambda: inside(s3, bucket)), succeeds(lambda: outside(s3, bucket))) == (True, False)
    other = session_with({"Action": "s3:GetBucketLocation", "Resource": "*"}).client("s3")
    assert not succeeds(lambda: inside(other, bucket))


def test_a_listing_is_evaluated_on_its_prefix(session_with: Callable[..., boto3.Session], bucket: str) -> None:
    condition = {"StringLike": {"s3:prefix": "in/*"}}
    list_bucket = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}", "Condition": condition}
    s3 = session_with(list_bucket).client("s3")
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
    "aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/tests/evaluated",
    "aws:PrincipalType": "AssumedRole",
    "aws:SecureTransport": "true",
    "aws:RequestedRegion": REGION,
    "aws:SourceIp": "127.0.0.1",
    "aws:PrincipalIsAWSService": "false",
}


@pytest.mark.parametrize("key", KEYS)
def test_global_condition_keys_have_the_values_of_aws(
    key: str, session_with: Callable[..., boto3.Session], bucket: str
) -> None:
    for value, allowed in ((KEYS[key], True), ("other", False)):
        condition = {"StringEquals": {key: value}}
        s3 = session_with({"Action": "s3:GetObject", "Resource": "*", "Condition": condition}).client("s3")
        assert succeeds(lambda s3=s3: s3.get_object(Bucket=bucket, Key="in/a.txt")) is allowed


def test_policy_variables_session_policies_and_boundaries_are_evaluated(
    session_with: Callable[..., boto3.Session], bucket: str
) -> None:
    everything = {"Action": "s3:*", "Resource": "*"}
    iam = boto3.client("iam")

    def can_read(session: boto3.Session, folder: str) -> bool:
        return succeeds(lambda: session.client("s3").get_object(Bucket=bucket, Key=f"{folder}/a.txt"))

    tagged = {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/folder}}/*"}
    iam.tag_role(RoleName="evaluated", Tags=[{"Key": "folder", "Value": "in"}])
    by_tag = session_with(tagged)
    assert (can_read(by_tag, "in"), can_read(by_tag, "out")) == (True, False)
    inside = allow("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/in/*")
    with_session_policy = session_with(everything, Policy=inside)
    assert (can_read(with_session_policy, "in"), can_read(with_session_policy, "out")) == (True, False)
    boundary = iam.create_policy(PolicyName="inside", PolicyDocument=inside)["Policy"].get("Arn", "")
    iam.put_role_permissions_boundary(RoleName="evaluated", PermissionsBoundary=boundary)
    bounded = session_with(everything)
    assert (can_read(bounded, "in"), can_read(bounded, "out")) == (True, False)
    iam.delete_role_permissions_boundary(RoleName="evaluated")
    iam.delete_policy(PolicyArn=boundary)
    assert can_read(session_with(everything), "out")


def test_a_bucket_policy_denies_and_allows(session_with: Callable[..., boto3.Session], bucket: str) -> None:
    s3, role = boto3.client("s3"), f"arn:aws:iam::{ACCOUNT}:role/tests/evaluated"

    def set_policy(effect: str, **elements: Any) -> None:
        statement = {"Effect": effect, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*", **elements}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def can_read(session: boto3.Session) -> bool:
        return succeeds(lambda: session.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))

    allowed, not_allowed = (
        session_with({"Action": "s3:*", "Resource": "*"}),
        {"Action": "s3:ListBucket", "Resource": "*"},
    )
    set_policy("Deny", Principal={"AWS": role})
    assert not can_read(allowed)
    set_policy("Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert can_read(allowed)
    set_policy("Allow", Principal={"AWS": role})
    assert can_read(session_with(not_allowed))
    set_policy("Allow", Principal={"AWS": ACCOUNT})
    assert not can_read(session_with(not_allowed))


@pytest.mark.parametrize("document", ["{", "[]", "5", '{"Statement": [{"Effect": "Allow"}]}'])
def test_an_invalid_bucket_policy_denies_everything(
    session_with: Callable[..., boto3.Session], bucket: str, document: str
) -> None:
    client = session_with({"Action": "s3:*", "Resource": "*"}).client(
        "s3", config=Config(retries={"total_max_attempts": 1})
    )
    assert succeeds(lambda: client.get_object(Bucket=bucket, Key="in/a.txt"))
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=document)  # MiniStack stores policies that S3 rejects
    assert not succeeds(lambda: client.get_object(Bucket=bucket, Key="in/a.txt"))


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_has_the_permissions_of_its_signer(
    version: str, session_with: Callable[..., boto3.Session], bucket: str
) -> None:
    session = session_with({"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"})
    signer = session.client("s3", config=Config(signature_version=version))
    for key, status in (("in/a.txt", 200), ("out/a.txt", 403)):
        url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        try:
            with urllib.request.urlopen(url) as response:  # noqa: S310 - a URL of the embedded AWS
                assert response.status == status
        except urllib.error.HTTPError as error:
            assert error.code == status
            error.close()


def test_a_request_without_an_iam_action_is_allowed_to_the_account_root_only(callers: dict[str, boto3.Session]) -> None:
    for name, session in callers.items():
        xray = any_client(session, "xray", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError) as failed:  # fails for the account root too: MiniStack has no such service
            xray.get_trace_segment_destination()
        assert ("No policy can allow this request" in str(failed.value)) is (name != "root")


def test_an_invalid_policy_denies_everything(session_with: Callable[..., boto3.Session], bucket: str) -> None:
    everything = {"Action": "s3:*", "Resource": "*"}
    for broken in (
        everything | {"Condition": {"StringMatches": {"aws:PrincipalAccount": ACCOUNT}}},
        everything | {"Resource": "data/*"},
    ):
        session = session_with(everything, {"Effect": "Deny", **broken})
        assert not succeeds(lambda s=session: s.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))
    session = session_with(everything)
    assert succeeds(lambda s=session: s.client("s3").get_object(Bucket=bucket, Key="in/a.txt"))


# Operations of AgentCore

INTERPRETERS = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom"
NETWORK: Any = {"networkMode": "SANDBOX"}


def control_client(session_with: Callable[..., boto3.Session], *statements: dict[str, Any]) -> Any:
    return session_with(*statements).client("bedrock-agentcore-control")


def test_creating_an_interpreter_is_evaluated_on_every_resource_and_its_tags(
    session_with: Callable[..., boto3.Session],
) -> None:
    create = {"Action": "bedrock-agentcore:CreateCodeInterpreter", "Resource": "*"}
    tagged = {"StringEquals": {"aws:RequestTag/team": "a"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    tags = {"tags": {"team": "a"}}

    def can_create(statement: dict[str, Any], **parameters: Any) -> bool:
        control = control_client(session_with, statement)
        created: list[str] = []
        allowed = succeeds(
            lambda: created.append(
                control.create_code_interpreter(name="evaluated", networkConfiguration=NETWORK, **parameters)[
                    "codeInterpreterId"
                ]
            )
        )
        for identifier in created:
            boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=identifier)
        return allowed

    assert can_create(create)
    assert not can_create(create | {"Resource": f"{INTERPRETERS}/*"})
    assert can_create(create | {"Condition": tagged}, **tags)
    assert not can_create(create | {"Condition": tagged})
    assert not can_create(create | {"Condition": tagged}, tags={"team": "a", "cost": "b"})


def test_creating_an_interpreter_with_a_role_requires_iam_passrole(session_with: Callable[..., boto3.Session]) -> None:
    trust_agentcore = trust(Service="bedrock-agentcore.amazonaws.com")
    role = boto3.client("iam").create_role(RoleName="passed", AssumeRolePolicyDocument=trust_agentcore)["Role"]["Arn"]
    create = {"Action": "bedrock-agentcore:CreateCodeInterpreter", "Resource": "*"}
    pass_role = {"Action": "iam:PassRole", "Resource": role}
    for statement, allowed in (
        (pass_role | {"Condition": {"StringEquals": {"iam:PassedToService": "bedrock-agentcore.amazonaws.com"}}}, True),
        (pass_role | {"Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}, False),
        (pass_role | {"Resource": f"{role}-not"}, False),
    ):
        control = control_client(session_with, create, statement)
        request = {"name": "evaluated", "networkConfiguration": NETWORK, "executionRoleArn": role}
        if not allowed:
            with pytest.raises(ClientError, match=f"not authorized to perform: iam:PassRole on resource: {role}"):
                control.create_code_interpreter(**request)
            continue
        identifier = control.create_code_interpreter(**request)["codeInterpreterId"]
        boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=identifier)


PASSING: dict[str, tuple[str, Callable[[Any, str], object]]] = {
    "lambda:CreateFunction": (
        "lambda",
        lambda client, role: client.create_function(
            FunctionName="passing", Role=role, Runtime="python3.13", Handler="a.b", Code={"ZipFile": b"x"}
        ),
    ),
    "lambda:UpdateFunctionConfiguration": (
        "lambda",
        lambda client, role: client.update_function_configuration(FunctionName="passing", Role=role),
    ),
    "states:CreateStateMachine": (
        "states",
        lambda client, role: client.create_state_machine(name="passing", roleArn=role, definition=SUCCEED),
    ),
    "states:UpdateStateMachine": (
        "states",
        lambda client, role: client.update_state_machine(stateMachineArn=f"{MACHINES}:passing", roleArn=role),
    ),
}
"""Calls that pass a role, with the service that it is passed to, by action."""
SUCCEED = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
MACHINES = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine"


@pytest.mark.parametrize("action", PASSING)
def test_passing_a_role_to_a_function_or_a_state_machine_requires_iam_passrole(
    session_with: Callable[..., boto3.Session], action: str
) -> None:
    service, call = PASSING[action]
    principal, role = f"{service}.amazonaws.com", f"passed-to-{service}"
    iam: Any = boto3.client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust(Service=principal))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    passed = {"Action": "iam:PassRole", "Resource": arn}
    for to, denied in (("ecs.amazonaws.com", True), (principal, False)):
        condition = {"Condition": {"StringEquals": {"iam:PassedToService": to}}}
        session: Any = session_with({"Action": action, "Resource": "*"}, passed | condition)
        client = session.client({"states": "stepfunctions"}.get(service, service))
        message = ""
        try:
            call(client, arn)
        except ClientError as error:  # the function or state machine to update does not exist
            message = str(error)
        assert (f"not authorized to perform: iam:PassRole on resource: {arn}" in message) is denied, message
        assert denied or "not authorized" not in message, message


def trust_of(name: str, account: str = ACCOUNT) -> str:
    """Returns a trust policy for the interpreters with a name."""
    document = json.loads(trust(Service="bedrock-agentcore.amazonaws.com"))
    conditions = {
        "StringEquals": {"aws:SourceAccount": account},
        "ArnLike": {"aws:SourceArn": f"{INTERPRETERS}/{name}-??????????"},
    }
    return json.dumps(document | {"Statement": [{**document["Statement"][0], "Condition": conditions}]})


TRUSTS = {
    "this interpreter": (trust_of("validated"), True),
    "every interpreter": (trust(Service="bedrock-agentcore.amazonaws.com"), True),
    "another interpreter": (trust_of("validated_not"), False),
    "this interpreter in another account": (trust_of("validated", "999999999999"), False),
    "another service": (trust(Service="lambda.amazonaws.com"), False),
    "missing role": (None, False),
}


@pytest.mark.parametrize("by", ["API", "CloudFormation"])
@pytest.mark.parametrize("trusted", TRUSTS)
@pytest.mark.usefixtures("deployed")
def test_an_interpreter_is_not_created_with_a_role_that_it_cannot_assume(trusted: str, by: str) -> None:
    iam, control = boto3.client("iam"), boto3.client("bedrock-agentcore-control")
    document, allowed = TRUSTS[trusted]
    role = f"arn:aws:iam::{ACCOUNT}:role/validated"
    if document is not None:
        iam.create_role(RoleName="validated", AssumeRolePolicyDocument=document)
    try:
        error = created_by_api(role) if by == "API" else created_by_cloudformation(role)
        names = [each.get("name") for each in control.list_code_interpreters(type="CUSTOM")["codeInterpreterSummaries"]]
    finally:
        if document is not None:
            iam.delete_role(RoleName="validated")
    assert "validated" not in names
    assert (error == "") is allowed, error
    if not allowed:
        assert "CodeInterpreter role validation failed" in error
        assert role in error


def created_by_api(role: str) -> str:
    """Creates and deletes an interpreter with a role. Returns the error of AgentCore, or ""."""
    control = boto3.client("bedrock-agentcore-control")
    try:
        response = control.create_code_interpreter(
            name="validated", networkConfiguration=NETWORK, executionRoleArn=role
        )
    except control.exceptions.ValidationException as error:
        return str(error)
    control.delete_code_interpreter(codeInterpreterId=response["codeInterpreterId"])
    return ""


def created_by_cloudformation(role: str) -> str:
    """Creates and deletes a stack with the interpreter. Returns the reasons of its failed events, or ""."""
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


def test_session_operations_are_evaluated_on_the_arn_of_the_interpreter(
    session_with: Callable[..., boto3.Session],
) -> None:
    root_control, root = boto3.client("bedrock-agentcore-control"), boto3.client("bedrock-agentcore")
    interpreter = root_control.create_code_interpreter(
        name="evaluated", networkConfiguration=NETWORK, tags={"team": "a"}
    )
    identifier, arn = interpreter["codeInterpreterId"], interpreter["codeInterpreterArn"]
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
            (f"{INTERPRETERS}/evaluated_other-*", False),
            (f"{INTERPRETERS}/evaluated-*", True),
        ):
            also = [stop] if operation.startswith("Start") else []
            role = session_with(only | {"Resource": resource}, *also)
            clients = role.client("bedrock-agentcore-control"), role.client("bedrock-agentcore")
            assert succeeds(lambda call=call, clients=clients: call(*clients)) is allowed, (operation, resource)
    tagged = {"Action": "bedrock-agentcore:GetCodeInterpreter", "Resource": "*"}
    for team, allowed in (("a", True), ("b", False)):
        control = control_client(
            session_with,
            tagged | {"Condition": {"StringEquals": {"aws:ResourceTag/team": team}}},
        )
        assert succeeds(lambda c=control: c.get_code_interpreter(codeInterpreterId=identifier)) is allowed
    control = control_client(session_with, {"Action": "bedrock-agentcore:DeleteCodeInterpreter", "Resource": arn})
    control.delete_code_interpreter(codeInterpreterId=identifier)


def test_the_managed_interpreter_has_its_own_arn(session_with: Callable[..., boto3.Session]) -> None:
    get = {"Action": "bedrock-agentcore:GetCodeInterpreter"}
    for resource, allowed in (
        (f"arn:aws:bedrock-agentcore:{REGION}:aws:code-interpreter/{MANAGED_INTERPRETER}", True),
        (f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter/*", False),
    ):
        control = control_client(session_with, get | {"Resource": resource})
        assert succeeds(lambda c=control: c.get_code_interpreter(codeInterpreterId=MANAGED_INTERPRETER)) is allowed


def test_a_wrong_or_missing_signature_is_rejected(product: Product) -> None:
    key = product.session.get_credentials()
    assert key is not None
    for session, code in (
        (boto3.Session("AKIAGUESSED000000000", "x", region_name=REGION), "UnrecognizedClientException"),
        (boto3.Session(key.access_key, "wrong", region_name=REGION), "InvalidSignatureException"),
    ):
        with pytest.raises(ClientError) as denied:
            session.client("bedrock-agentcore-control").list_code_interpreters()
        assert code_of(denied) == code
    with pytest.raises(ClientError) as denied:
        boto3.client("bedrock-agentcore-control", config=Config(signature_version=UNSIGNED)).list_code_interpreters()
    assert code_of(denied) == "MissingAuthenticationTokenException"
