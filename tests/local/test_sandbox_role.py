"""Code in a sandbox and S3: unconfigured tools have the role's credentials, and IAM judges each call by that role."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.local.conftest import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it writes into the deployed bucket")

WAYS = {
    "boto3": "import boto3\ns3 = boto3.client('s3')\n",
    "aws": (
        "import subprocess\n"
        "def aws(*words):\n"
        "    ran = subprocess.run(['aws', *words], capture_output=True, text=True)\n"
        "    if ran.returncode: raise SystemExit(ran.stderr.strip())\n"
        "    return ran.stdout\n"
    ),
}


def inside(product: Product, way: str, code: str, interpreter: str = "sandbox") -> Mapping[str, Any]:
    """Runs code that knows the bucket, the interpreter's folder in it, and another's."""
    folders = f"{product.place.prefix}/sandbox"
    names = f"bucket, own, other = {product.place.bucket!r}, '{folders}/{interpreter}', '{folders}/elsewhere'\n"
    return product.run(WAYS[way] + names + code, interpreter=interpreter).result


def test_the_aws_cli_copies_unconfigured(product: Product) -> None:
    result = inside(
        product,
        "aws",
        "open('a.txt', 'w').write('from inside')\n"
        "aws('s3', 'cp', 'a.txt', f's3://{bucket}/{own}/cli.txt')\n"
        "print(aws('s3', 'cp', f's3://{bucket}/{own}/cli.txt', '-'))\n"
        "print(aws('s3', 'ls', f's3://{bucket}/{own}/'))\n",
    )
    assert (result["exitCode"], result["stderr"]) == (0, "")
    assert "from inside" in result["stdout"]
    assert "cli.txt" in result["stdout"]
    key = f"{product.place.prefix}/sandbox/sandbox/cli.txt"
    stored = product.session.client("s3").get_object(Bucket=product.place.bucket, Key=key)
    assert stored["Body"].read() == b"from inside"


def test_boto3_does_inside_its_folder_what_it_may(product: Product) -> None:
    result = inside(
        product,
        "boto3",
        "s3.put_object(Bucket=bucket, Key=f'{own}/b.txt', Body=b'1')\n"
        "print(s3.get_object(Bucket=bucket, Key=f'{own}/b.txt')['Body'].read())\n"
        "print([item['Key'] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f'{own}/b')['Contents']])\n",
    )
    key = f"{product.place.prefix}/sandbox/sandbox/b.txt"
    assert (result["stdout"], result["exitCode"]) == (f"b'1'\n['{key}']", 0), result["stderr"]


REFUSED = {
    "to write beside its folder": "s3.put_object(Bucket=bucket, Key=f'{other}/b.txt', Body=b'1')",
    "to write where a folder's name only begins so": "s3.put_object(Bucket=bucket, Key=f'{own}_evil/b', Body=b'1')",
    "to write a name that has the folder inside": "s3.put_object(Bucket=bucket, Key=f'/{own}/b', Body=b'1')",
    "to read beside its folder": "s3.get_object(Bucket=bucket, Key=f'{other}/secret.txt')",
    "to copy from beside its folder": (
        "s3.copy_object(Bucket=bucket, Key=f'{own}/c', CopySource={'Bucket': bucket, 'Key': f'{other}/secret.txt'})"
    ),
    "to delete": "s3.delete_object(Bucket=bucket, Key=f'{own}/in.txt')",
    "to list everything": "s3.list_objects_v2(Bucket=bucket)",
    "to list another folder": "s3.list_objects_v2(Bucket=bucket, Prefix=f'{other}/')",
    "to list buckets": "s3.list_buckets()",
    "to read the bucket's policy": "s3.get_bucket_policy(Bucket=bucket)",
    "to open the bucket": "s3.delete_bucket_policy(Bucket=bucket)",
    "to make a bucket": "s3.create_bucket(Bucket='mine')",
    "to read another bucket": "s3.list_objects_v2(Bucket='cdk-hnb659fds-assets-123456789012-us-east-1')",
    "to tag": "s3.put_object_tagging(Bucket=bucket, Key=f'{own}/in.txt', Tagging={'TagSet': []})",
}


@pytest.mark.parametrize("interpreter", ["sandbox", "public"])
def test_all_else_is_denied(product: Product, interpreter: str) -> None:
    s3 = product.session.client("s3")
    for folder, name in ((interpreter, "in.txt"), ("elsewhere", "secret.txt")):
        s3.put_object(Bucket=product.place.bucket, Key=f"{product.place.prefix}/sandbox/{folder}/{name}", Body=b"x")
    tries = "".join(
        f"try:\n    {code}\n    print({name!r}, 'done')\n"
        f"except s3.exceptions.ClientError as error:\n    print({name!r}, error.response['Error']['Code'])\n"
        for name, code in REFUSED.items()
    )
    control = "print(s3.get_object(Bucket=bucket, Key=f'{own}/in.txt')['Body'].read())\n"
    result = inside(product, "boto3", tries + control, interpreter)
    assert result["stdout"].splitlines() == [*(f"{name} AccessDenied" for name in REFUSED), "b'x'"], result["stderr"]


NAMED = {
    "s3:PutObject": ("s3.put_object(Bucket=bucket, Key=f'{other}/b.txt', Body=b'1')", "{bucket}/{other}/b.txt"),
    "s3:ListBucket": ("s3.list_objects_v2(Bucket=bucket)", "{bucket}"),
    "s3:GetObject": (
        "s3.copy_object(Bucket=bucket, Key=f'{own}/c', CopySource={'Bucket': bucket, 'Key': f'{other}/secret.txt'})",
        "{bucket}/{other}/secret.txt",
    ),
}
"""What is refused by which action, and the resource that the refusal names."""


@pytest.mark.parametrize("action", NAMED)
def test_a_refusal_names_who_may_not_do_what_to_which_resource(product: Product, action: str) -> None:
    code, resource = NAMED[action]
    said = inside(product, "boto3", code)["stderr"].strip().splitlines()[-1]
    folders = f"{product.place.prefix}/sandbox"
    arn = f"arn:aws:s3:::{resource.format(bucket=product.place.bucket, other=f'{folders}/elsewhere')}"
    asked = f'is not authorized to perform: {action} on resource: "{arn}"'
    assert "User: arn:aws:sts::123456789012:assumed-role/sandpiper-" in said
    assert said.endswith(f"{asked} because no identity-based policy allows the {action} action")


def test_the_credentials_are_those_of_the_interpreters_own_role(product: Product) -> None:
    code = "print(boto3.Session().get_credentials().get_frozen_credentials().access_key[:4])"
    assert inside(product, "boto3", code)["stdout"] == "ASIA"
    for interpreter, other in (("sandbox", "public"), ("public", "sandbox")):
        code = f"s3.put_object(Bucket=bucket, Key=own.rpartition('/')[0] + '/{other}/x', Body=b'1')"
        assert "(AccessDenied)" in inside(product, "boto3", code, interpreter)["stderr"]


def test_a_role_that_does_not_trust_the_interpreter_gives_no_credentials(
    product: Product, tmp_path_factory: pytest.TempPathFactory
) -> None:
    iam = product.session.client("iam")
    (role,) = [r for r in iam.list_roles()["Roles"] if "InterpretersandboxExecutionRol" in r["RoleName"]]
    name = role["RoleName"]
    trust: Any = iam.get_role(RoleName=name)["Role"].get("AssumeRolePolicyDocument")
    elsewhere = json.loads(json.dumps(trust).replace("local__demo__sandbox", "local__demo__other"))
    code = "s3.list_objects_v2(Bucket=bucket, Prefix=f'{own}/')"
    assert inside(product, "boto3", code)["exitCode"] == 0
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(elsewhere))
    try:
        assert "NoCredentialsError" in inside(product, "boto3", code)["stderr"]
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    assert inside(product, "boto3", code)["exitCode"] == 0
    logs = tmp_path_factory.getbasetemp().glob("aws*/.sandpiper/local/agentcore.log")
    lines = [
        line
        for log in logs
        for line in log.read_text().splitlines()
        if f" has no credentials of {role['Arn']}: " in line
    ]
    assert lines
    arn = "arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom/local__demo__sandbox"
    assert f"its trust policy does not allow it for aws:SourceAccount 123456789012 and aws:SourceArn {arn}" in lines[0]


def test_the_managed_interpreter_has_no_role_and_no_credentials(product: Product) -> None:
    data: Any = product.session.client("bedrock-agentcore")
    on = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}
    session = data.start_code_interpreter_session(**on)["sessionId"]
    try:
        arguments = {"language": "python", "code": "import boto3\nprint(boto3.Session().get_credentials())"}
        answer = data.invoke_code_interpreter(**on, sessionId=session, name="executeCode", arguments=arguments)
        (event,) = answer["stream"]
        assert event["result"]["structuredContent"]["stdout"] == "None"
    finally:
        data.stop_code_interpreter_session(**on, sessionId=session)
