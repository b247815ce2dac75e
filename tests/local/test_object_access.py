"""Identities with all permissions on S3 try to read data of a tenant and to forge a record of a run."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from tests.support.account import ACCOUNT
from tests.support.iam import Role, allow, any_client, document, user
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from sandpiper.deployment import Deployment

    Call = Callable[[Any, str, str], object]

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates roles")

ENVIRONMENT = "local"
EVERYTHING = allow("*")
DATA = b"payroll"


@pytest.fixture(scope="module")
def bucket(deployed: Deployment) -> str:
    """The data bucket, with an input, a file of a run, its record and a file of code."""
    for key in keys(deployed).values():
        boto3.client("s3").put_object(Bucket=deployed.bucket, Key=key, Body=DATA, Tagging="team=a")
    boto3.client("s3").put_object(Bucket=deployed.bucket, Key="shared/forged", Body=DATA)
    return deployed.bucket


def keys(deployed: Deployment) -> dict[str, str]:
    runs = f"{deployed.prefix}/runs/payroll/e1/S"
    return {
        "input": f"{deployed.prefix}/inputs/payroll/a.csv",
        "output": f"{runs}/files/a.csv",
        "record": f"{runs}/claim.json",
        "own file": f"{deployed.prefix}/sandbox/sandbox/runs/a.csv",
    }


@contextmanager
def role(name: str, tags: Mapping[str, str] | None = None) -> Generator[Any]:
    """Creates a role that is allowed everything. Yields a session of it."""
    iam, unique = boto3.client("iam"), f"{name}-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    iam.create_role(
        RoleName=unique,
        AssumeRolePolicyDocument=document(trust),
        Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    )
    created = Role(unique)
    created.set_permissions(EVERYTHING)
    yield created.session()
    iam.delete_role_policy(RoleName=unique, PolicyName="it")
    iam.delete_role(RoleName=unique)


def tags(tenant: str, environment: str = ENVIRONMENT) -> dict[str, str]:
    return {"sandpiper:environment": environment, "sandpiper:tenant": tenant}


def denied(call: Callable[[], object]) -> bool:
    """Returns whether a call is denied. Raises for any other error."""
    try:
        call()
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 403:
            raise
        return True
    return False


def read_by_url(s3: Any, bucket: str, key: str) -> None:
    fetch(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}), "GET")


def write_by_url(s3: Any, bucket: str, key: str) -> None:
    fetch(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}), "PUT")


def fetch(url: str, method: str) -> None:
    status = urllib3.request(method, url, body=DATA if method == "PUT" else None).status
    if status != 200:
        raise ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, method)  # pyright: ignore[reportArgumentType]


def delete_several(s3: Any, bucket: str, key: str) -> None:
    for error in s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]}).get("Errors", ()):
        assert error["Code"] == "AccessDenied"
        raise ClientError({"ResponseMetadata": {"HTTPStatusCode": 403}}, "DeleteObjects")  # pyright: ignore[reportArgumentType]


def read_version(s3: Any, bucket: str, key: str) -> None:
    version = boto3.client("s3").head_object(Bucket=bucket, Key=key).get("VersionId")
    s3.get_object(Bucket=bucket, Key=key, VersionId=version)


def delete_version(s3: Any, bucket: str, key: str) -> None:
    version = boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=DATA).get("VersionId")
    s3.delete_object(Bucket=bucket, Key=key, VersionId=version)


READS: dict[str, Call] = {
    "get": lambda s3, bucket, key: s3.get_object(Bucket=bucket, Key=key),
    "head": lambda s3, bucket, key: s3.head_object(Bucket=bucket, Key=key),
    "version": read_version,
    "tags": lambda s3, bucket, key: s3.get_object_tagging(Bucket=bucket, Key=key),
    "attributes": lambda s3, bucket, key: s3.get_object_attributes(
        Bucket=bucket, Key=key, ObjectAttributes=["ObjectSize"]
    ),
    "copy": lambda s3, bucket, key: s3.copy_object(Bucket=bucket, Key="shared/a", CopySource=f"{bucket}/{key}"),
    "URL": read_by_url,
}
WRITES: dict[str, Call] = {
    "put": lambda s3, bucket, key: s3.put_object(Bucket=bucket, Key=key, Body=b"forged"),
    "upload": lambda s3, bucket, key: s3.create_multipart_upload(Bucket=bucket, Key=key),
    "copy over": lambda s3, bucket, key: s3.copy_object(Bucket=bucket, Key=key, CopySource=f"{bucket}/shared/forged"),
    "tag": lambda s3, bucket, key: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": []}),
    "delete": lambda s3, bucket, key: s3.delete_object(Bucket=bucket, Key=key),
    "delete several": delete_several,
    "delete version": delete_version,
    "write by URL": write_by_url,
}
CALLS = READS | WRITES
IDENTITIES: dict[str, tuple[str, Mapping[str, str]]] = {
    "administrator": ("administrator", {}),
    "administrator with the tags of the tenant": ("administrator", tags("demo")),
    "session function of another tenant": (f"sandpiper-{ENVIRONMENT}-other-SessionFunctionRole1A", tags("other")),
    "execution role of another tenant": (f"sandpiper-{ENVIRONMENT}-other-InterpretersandboxRole", tags("other")),
    "session function of another environment": ("sandpiper-dev-demo-SessionFunctionRole1A", tags("demo", "dev")),
    "role with the name of a session function": (f"sandpiper-{ENVIRONMENT}-demo-SessionFunctionRole1A", {}),
}


def succeeding(session: Any, deployed: Deployment) -> dict[str, set[str]]:
    """Returns the calls that succeed for each object."""
    s3 = session.client("s3")
    return {
        name: {
            call
            for call, make in CALLS.items()
            if not denied(lambda make=make, key=key: make(s3, deployed.bucket, key))
        }
        for name, key in keys(deployed).items()
    }


NOTHING = {name: set[str]() for name in ("input", "output", "record", "own file")}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_identity_with_all_permissions_has_no_access_to_objects_of_a_tenant(
    identity: str, deployed: Deployment, bucket: str
) -> None:
    with role(*IDENTITIES[identity]) as session:
        assert succeeding(session, deployed) == NOTHING
        s3 = session.client("s3")
        s3.put_bucket_policy(Bucket=bucket, Policy=s3.get_bucket_policy(Bucket=bucket)["Policy"])
        s3.list_objects_v2(Bucket=bucket, Prefix=f"{deployed.prefix}/")


@pytest.mark.usefixtures("bucket")
def test_user_with_all_permissions_has_no_access_to_objects_of_a_tenant(deployed: Deployment) -> None:
    with user(EVERYTHING) as session:
        assert succeeding(session, deployed) == NOTHING


@pytest.mark.usefixtures("bucket")
def test_session_function_writes_records_and_code_does_not(deployed: Deployment) -> None:
    name = f"sandpiper-{ENVIRONMENT}-demo-"
    with role(f"{name}InterpretersandboxExecutionRole", tags("demo")) as session:
        calls = succeeding(session, deployed)
        assert calls == NOTHING | {"own file": set(CALLS) - {"copy", "copy over"}}
    with role(f"{name}SessionFunctionRole1A2B3C4D", tags("demo")) as session:
        assert set(CALLS) - succeeding(session, deployed)["record"] == {"copy", "copy over"}


def test_object_with_a_key_of_the_request_is_denied(deployed: Deployment, bucket: str) -> None:
    options = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    own: Any = {"Bucket": bucket, "Key": keys(deployed)["own file"], "Body": DATA}
    with role(f"sandpiper-{ENVIRONMENT}-demo-InterpretersandboxExecutionRole", tags("demo")) as session:
        s3 = session.client("s3")
        assert not denied(lambda: s3.put_object(**own))
        assert denied(lambda: s3.put_object(**own, **options))
        assert denied(lambda: s3.create_multipart_upload(Bucket=bucket, Key=own["Key"], **options))


@pytest.mark.usefixtures("aws")
def test_bucket_policy_is_evaluated_with_the_version_of_tls() -> None:
    s3, name = any_client("s3"), f"tls-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    with role("tls") as session:
        for version, is_denied in ((1.2, False), (1.4, True)):
            statement = {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": f"arn:aws:s3:::{name}/*",
                "Condition": {"NumericLessThan": {"s3:TlsVersion": version}},
            }
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
            put = session.client("s3").put_object
            assert denied(lambda put=put: put(Bucket=name, Key="a", Body=b"")) is is_denied
