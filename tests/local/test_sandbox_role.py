"""Code in a sandbox calls S3 with the credentials and permissions of its execution role, without configuration."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from local_agentcore.faults import Rule
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import ACCOUNT
from tests.support.iam import document
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_agentcore.admin_client import FaultInjector
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="writes to the deployed bucket")

CLIENTS = {
    "boto3": "import boto3\ns3 = boto3.client('s3')\n",
    "aws": (
        "import subprocess\n"
        "def aws(*arguments):\n"
        "    process = subprocess.run(['aws', *arguments], capture_output=True, text=True)\n"
        "    if process.returncode: raise SystemExit(process.stderr.strip())\n"
        "    return process.stdout\n"
    ),
}


def run_code(product: Product, client: str, code: str, interpreter: str = "sandbox") -> Mapping[str, Any]:
    """Runs code with the variables `bucket`, `own` (the folder of the interpreter) and `other` (another folder)."""
    folders = f"{product.deployment.prefix}/sandbox"
    names = f"bucket, own, other = {product.deployment.bucket!r}, '{folders}/{interpreter}', '{folders}/elsewhere'\n"
    return product.run(CLIENTS[client] + names + code, interpreter=interpreter).result


def test_the_aws_cli_copies_files_without_configuration(product: Product) -> None:
    result = run_code(
        product,
        "aws",
        "open('a.txt', 'w').write('from the sandbox')\n"
        "aws('s3', 'cp', 'a.txt', f's3://{bucket}/{own}/cli.txt')\n"
        "print(aws('s3', 'cp', f's3://{bucket}/{own}/cli.txt', '-'))\n"
        "print(aws('s3', 'ls', f's3://{bucket}/{own}/'))\n",
    )
    assert (result["exitCode"], result["stderr"]) == (0, "")
    assert "from the sandbox" in result["stdout"]
    assert "cli.txt" in result["stdout"]
    key = f"{product.deployment.prefix}/sandbox/sandbox/cli.txt"
    stored = product.session.client("s3").get_object(Bucket=product.deployment.bucket, Key=key)
    assert stored["Body"].read() == b"from the sandbox"


def test_boto3_reads_writes_and_lists_the_folder_of_the_interpreter(product: Product) -> None:
    result = run_code(
        product,
        "boto3",
        "s3.put_object(Bucket=bucket, Key=f'{own}/b.txt', Body=b'1')\n"
        "print(s3.get_object(Bucket=bucket, Key=f'{own}/b.txt')['Body'].read())\n"
        "print([item['Key'] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f'{own}/b')['Contents']])\n",
    )
    key = f"{product.deployment.prefix}/sandbox/sandbox/b.txt"
    assert (result["stdout"], result["exitCode"]) == (f"b'1'\n['{key}']", 0), result["stderr"]


DENIED_CALLS = {
    "write to another folder": "s3.put_object(Bucket=bucket, Key=f'{other}/b.txt', Body=b'1')",
    "write to a folder with the same name prefix": "s3.put_object(Bucket=bucket, Key=f'{own}_evil/b', Body=b'1')",
    "write a key that contains the folder": "s3.put_object(Bucket=bucket, Key=f'/{own}/b', Body=b'1')",
    "read from another folder": "s3.get_object(Bucket=bucket, Key=f'{other}/secret.txt')",
    "copy from another folder": (
        "s3.copy_object(Bucket=bucket, Key=f'{own}/c', CopySource={'Bucket': bucket, 'Key': f'{other}/secret.txt'})"
    ),
    "delete": "s3.delete_object(Bucket=bucket, Key=f'{own}/in.txt')",
    "list the bucket": "s3.list_objects_v2(Bucket=bucket)",
    "list another folder": "s3.list_objects_v2(Bucket=bucket, Prefix=f'{other}/')",
    "list buckets": "s3.list_buckets()",
    "read the bucket policy": "s3.get_bucket_policy(Bucket=bucket)",
    "delete the bucket policy": "s3.delete_bucket_policy(Bucket=bucket)",
    "create a bucket": "s3.create_bucket(Bucket='mine')",
    "list another bucket": "s3.list_objects_v2(Bucket='cdk-hnb659fds-assets-123456789012-us-east-1')",
    "tag an object": "s3.put_object_tagging(Bucket=bucket, Key=f'{own}/in.txt', Tagging={'TagSet': []})",
}


@pytest.mark.parametrize("interpreter", ["sandbox", "public"])
def test_all_other_calls_are_denied(product: Product, interpreter: str) -> None:
    s3 = product.session.client("s3")
    for folder, name in ((interpreter, "in.txt"), ("elsewhere", "secret.txt")):
        s3.put_object(
            Bucket=product.deployment.bucket, Key=f"{product.deployment.prefix}/sandbox/{folder}/{name}", Body=b"x"
        )
    attempts = "".join(
        f"try:\n    {code}\n    print({name!r}, 'done')\n"
        f"except s3.exceptions.ClientError as error:\n    print({name!r}, error.response['Error']['Code'])\n"
        for name, code in DENIED_CALLS.items()
    )
    control = "print(s3.get_object(Bucket=bucket, Key=f'{own}/in.txt')['Body'].read())\n"
    result = run_code(product, "boto3", attempts + control, interpreter)
    assert result["stdout"].splitlines() == [*(f"{name} AccessDenied" for name in DENIED_CALLS), "b'x'"], result[
        "stderr"
    ]


DENIED_RESOURCES = {
    "s3:PutObject": ("s3.put_object(Bucket=bucket, Key=f'{other}/b.txt', Body=b'1')", "{bucket}/{other}/b.txt"),
    "s3:ListBucket": ("s3.list_objects_v2(Bucket=bucket)", "{bucket}"),
    "s3:GetObject": (
        "s3.copy_object(Bucket=bucket, Key=f'{own}/c', CopySource={'Bucket': bucket, 'Key': f'{other}/secret.txt'})",
        "{bucket}/{other}/secret.txt",
    ),
}
"""Code and the resource in its error message, by the denied action."""


@pytest.mark.parametrize("action", DENIED_RESOURCES)
def test_an_access_denied_message_has_principal_action_and_resource(product: Product, action: str) -> None:
    code, resource = DENIED_RESOURCES[action]
    message = run_code(product, "boto3", code)["stderr"].strip().splitlines()[-1]
    folders = f"{product.deployment.prefix}/sandbox"
    arn = f"arn:aws:s3:::{resource.format(bucket=product.deployment.bucket, other=f'{folders}/elsewhere')}"
    denial = f'is not authorized to perform: {action} on resource: "{arn}"'
    assert "User: arn:aws:sts::123456789012:assumed-role/sandpiper-" in message
    assert message.endswith(f"{denial} because no identity-based policy allows the {action} action")


def test_the_credentials_belong_to_the_role_of_the_interpreter(product: Product) -> None:
    code = "print(boto3.Session().get_credentials().get_frozen_credentials().access_key[:4])"
    assert run_code(product, "boto3", code)["stdout"] == "ASIA"
    for interpreter, other in (("sandbox", "public"), ("public", "sandbox")):
        code = f"s3.put_object(Bucket=bucket, Key=own.rpartition('/')[0] + '/{other}/x', Body=b'1')"
        assert "(AccessDenied)" in run_code(product, "boto3", code, interpreter)["stderr"]


def start_session(product: Product) -> tuple[Any, dict[str, str]]:
    session: Any = product.session
    data = session.client("bedrock-agentcore")
    target = {"codeInterpreterIdentifier": product.deployment.interpreters["sandbox"]}
    return data, target | {"sessionId": data.start_code_interpreter_session(**target)["sessionId"]}


def assume_another_role(product: Product, session: Any) -> Any:
    """Creates a role that trusts the role of a session. Returns a client of STS with the credentials of that role."""
    name, caller = f"chained-{uuid.uuid4().hex[:8]}", session.client("sts").get_caller_identity()["Arn"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": caller}}
    product.session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    assumed = session.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}", RoleSessionName="chained"
    )
    keys = assumed["Credentials"]
    credentials = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    chained: Any = boto3.Session(*credentials, region_name=session.region_name)
    return chained.client("sts")


PRINT_CREDENTIALS = """
import boto3
print(*boto3.Session().get_credentials().get_frozen_credentials()[:3])"""


@pytest.mark.parametrize("end", ["stopped", "failed"])
def test_printed_credentials_are_revoked_when_the_session_ends(
    product: Product, faults: FaultInjector, end: str
) -> None:
    data, target = start_session(product)

    def run(code: str) -> str:
        arguments = {"language": "python", "code": code}
        (event,) = data.invoke_code_interpreter(**target, name="executeCode", arguments=arguments)["stream"]
        return event["result"]["structuredContent"]["stdout"]

    stolen: Any = boto3.Session(*run(PRINT_CREDENTIALS).split(), region_name=product.session.region_name)
    s3 = stolen.client("s3", config=Config(signature_version="s3v4"))
    item = {"Bucket": product.deployment.bucket, "Key": f"{product.deployment.prefix}/sandbox/sandbox/stolen"}
    s3.put_object(**item, Body=b"x")
    url = s3.generate_presigned_url("get_object", item)
    assert urllib3.request("GET", url).status == 200
    chained = assume_another_role(product, stolen)
    assert ":assumed-role/chained-" in chained.get_caller_identity()["Arn"]
    if end == "stopped":
        data.stop_code_interpreter_session(**target)
    else:
        faults.inject(Rule("session_dies", "executeCode", times=1))
        with pytest.raises(ClientError):
            run("1")
    with pytest.raises(ClientError, match="ExpiredToken"):
        s3.get_object(**item)
    with pytest.raises(ClientError, match="ExpiredToken"):
        chained.get_caller_identity()
    assert urllib3.request("GET", url).status in (400, 403)


def test_code_has_no_credentials_of_a_role_that_does_not_trust_the_interpreter(
    product: Product, tmp_path_factory: pytest.TempPathFactory
) -> None:
    iam = product.session.client("iam")
    (role,) = [r for r in iam.list_roles()["Roles"] if "InterpretersandboxExecutionRol" in r["RoleName"]]
    name = role["RoleName"]
    trust: Any = iam.get_role(RoleName=name)["Role"].get("AssumeRolePolicyDocument")
    other_trust = json.loads(json.dumps(trust).replace("local__demo__sandbox", "local__demo__other"))
    code = "s3.list_objects_v2(Bucket=bucket, Prefix=f'{own}/')"
    assert run_code(product, "boto3", code)["exitCode"] == 0
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(other_trust))
    try:
        assert "NoCredentialsError" in run_code(product, "boto3", code)["stderr"]
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    assert run_code(product, "boto3", code)["exitCode"] == 0
    logs = tmp_path_factory.getbasetemp().glob("aws*/.sandpiper/local/agentcore.log")
    lines = [
        line
        for log in logs
        for line in log.read_text().splitlines()
        if f" gets no credentials of {role['Arn']}: " in line
    ]
    assert lines
    arn = "arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom/local__demo__sandbox"
    assert f"its trust policy does not allow it for aws:SourceAccount 123456789012 and aws:SourceArn {arn}" in lines[0]


def test_the_managed_interpreter_has_no_role_and_no_credentials(product: Product) -> None:
    data: Any = product.session.client("bedrock-agentcore")
    identifier = {"codeInterpreterIdentifier": MANAGED_INTERPRETER}
    session = data.start_code_interpreter_session(**identifier)["sessionId"]
    try:
        arguments = {"language": "python", "code": "import boto3\nprint(boto3.Session().get_credentials())"}
        response = data.invoke_code_interpreter(
            **identifier, sessionId=session, name="executeCode", arguments=arguments
        )
        (event,) = response["stream"]
        assert event["result"]["structuredContent"]["stdout"] == "None"
    finally:
        data.stop_code_interpreter_session(**identifier, sessionId=session)
