"""`sandpiper status`: the deployed stacks, and changes outside CloudFormation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper.plan.deployed import Account
from sandpiper.status.drift import detect_drift
from tests.support.status import DRIFTED, ERROR, IN_SYNC, read_status, status

if TYPE_CHECKING:
    from tests.support.environments import Environments

TWO_INTERPRETERS = """\
interpreters:
  run:
  spare:
"""


def test_changes_outside_cloudformation_are_reported(environments: Environments) -> None:
    file = environments.write("watched", TWO_INTERPRETERS)
    assert status("-e", file).returncode == ERROR
    assert (
        "watched is not deployed in account 123456789012, us-east-1: run `cdk bootstrap`" in status("-e", file).stderr
    )
    environments.deploy(file)

    identifiers = environments.tenant(file, "main").interpreters
    data = boto3.client("bedrock-agentcore")
    session = data.start_code_interpreter_session(codeInterpreterIdentifier=identifiers["run"])["sessionId"]
    initial = read_status(file, IN_SYNC)
    assert initial["drift"] == []
    assert [stack["status"] for stack in initial["stacks"]] == ["CREATE_COMPLETE"] * 3
    (tenant,) = initial["tenants"]
    assert (tenant["name"], tenant["functionState"], tenant["lastFailures"]) == ("main", "Active", [])
    assert [(one["key"], one["network"], one["status"], one["liveSessions"]) for one in tenant["interpreters"]] == [
        ("run", "SANDBOX", "READY", 1),
        ("spare", "SANDBOX", "READY", 0),
    ]
    data.stop_code_interpreter_session(codeInterpreterIdentifier=identifiers["run"], sessionId=session)

    iam, (role,) = boto3.client("iam"), roles_of("InterpreterrunExecutionRole")
    document: Any = iam.get_role_policy(RoleName=role, PolicyName="Folders")["PolicyDocument"]
    document["Statement"].append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::secret/*"})
    iam.put_role_policy(RoleName=role, PolicyName="Folders", PolicyDocument=json.dumps(document))
    boto3.client("bedrock-agentcore-control").delete_code_interpreter(codeInterpreterId=identifiers["spare"])
    retag(identifiers["run"])
    loosen(environments.tenant(file, "main").bucket)

    drift = read_status(file, DRIFTED)["drift"]
    changed = {
        (one["resource"].partition(" sandpiper")[0], one["property"]): (one["expected"], one["found"]) for one in drift
    }
    run, role = "interpreter run", "execution role of interpreter run"
    assert changed == {
        (role, "policy Folders"): ("nothing", "allows s3:GetObject on arn:aws:s3:::secret/*"),
        ("interpreter spare", "the resource itself"): ("exists", "is deleted"),
        (run, "Tags.sandpiper:owner"): ("a test", "another team"),
        (run, "Tags.sandpiper:tenant"): ("main", "nothing"),
        (run, "Tags.added"): ("nothing", "value"),
        ("bucket", "VersioningConfiguration.Status"): ("Enabled", "Suspended"),
        ("bucket", "BucketEncryption.SSEAlgorithm"): ("AES256", "aws:kms"),
        ("bucket", "BucketEncryption.KMSMasterKeyID"): ("nothing", "alias/other"),
        ("bucket", "days of old versions below /"): ("30", "nothing"),
        ("bucket", "days of objects below tenants/main/runs/"): ("90", "1"),
    }
    remedies = {one["resource"].partition(" sandpiper")[0]: one["remedy"] for one in drift}
    assert "undo the change, or write it into the environment file" in remedies[role]
    assert "change its description in the environment file and run `cdk deploy`" in remedies["interpreter spare"]

    report = status("-e", file)
    assert report.returncode == DRIFTED
    assert report.stdout.count("! drift: ") == len(changed)
    assert f"interpreter spare ({identifiers['spare']}): DELETED, 0 live sessions" in report.stdout
    quick = status("-e", file, "--no-drift")
    assert (quick.returncode, quick.stdout.count("! drift: ")) == (IN_SYNC, 0)


def test_properties_that_cannot_be_compared_are_listed_and_hide_no_drift(environments: Environments) -> None:
    file = environments.write("keyed", "  key: own\ninterpreters:\n  run:\n")
    environments.deploy(file)
    account = Account(boto3.Session(), None)
    stacks = list(account.stacks("keyed").values())
    # As if CloudFormation did not return the resolved values of SSM parameters:
    unresolved = [replace(stack, parameters={}) for stack in stacks]
    policy = "policy Folders of execution role of interpreter run of sandpiper-keyed-main"
    drift, unchecked = detect_drift(account, stacks)
    assert (drift, policy in unchecked) == ([], False)
    drift, unchecked = detect_drift(account, unresolved)
    assert (drift, unchecked.count(policy)) == ([], 1)
    listed = "".join(f"    {one}\n" for one in detect_drift(account, stacks)[1])
    assert f"cannot be compared:\n{listed}" in status("-e", file).stdout

    iam, (role,) = boto3.client("iam"), roles_of("InterpreterrunExecutionRole", "keyed")
    document: Any = iam.get_role_policy(RoleName=role, PolicyName="Folders")["PolicyDocument"]
    document["Statement"].append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::secret/*"})
    iam.put_role_policy(RoleName=role, PolicyName="Folders", PolicyDocument=json.dumps(document))
    (one,), unchecked = detect_drift(account, unresolved)
    assert (one.expected, one.found) == ("nothing", "allows s3:GetObject on arn:aws:s3:::secret/*")
    assert policy in unchecked


def retag(identifier: str) -> None:
    """Changes, removes and adds a tag of an interpreter."""
    control: Any = boto3.client("bedrock-agentcore-control")
    arn = control.get_code_interpreter(codeInterpreterId=identifier)["codeInterpreterArn"]
    control.untag_resource(resourceArn=arn, tagKeys=["sandpiper:tenant"])
    control.tag_resource(resourceArn=arn, tags={"sandpiper:owner": "another team", "added": "value"})


def loosen(bucket: str) -> None:
    """Changes the key, stops versioning, and lets runs expire after a day."""
    s3: Any = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    other_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/other"}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": other_key}]},
    )
    runs = {"Status": "Enabled", "Filter": {"Prefix": "tenants/main/runs/"}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [runs]})


def roles_of(logical_id: str, environment: str = "watched") -> list[str]:
    pages = boto3.client("iam").get_paginator("list_roles").paginate()
    names = [role["RoleName"] for page in pages for role in page["Roles"]]
    return [name for name in names if name.startswith(f"sandpiper-{environment}-main-") and logical_id[:20] in name]


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("-e", "nowhere"), {}, "environments/nowhere.yaml: the file does not exist"),
        (("-e", "dev"), {}, "the credentials are of account 123456789012"),
        (("--no-such-option",), {}, "No such option"),
        (
            (),
            {"AWS_PROFILE": "missing"},
            "no AWS session can be created: The config profile (missing) could not be found",
        ),
    ],
)
def test_an_error_is_one_message_without_a_traceback(
    arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    process = status(*arguments, **variables)
    assert (process.returncode, process.stdout) == (ERROR, "")
    assert message in " ".join(process.stderr.split())
    assert "Traceback" not in process.stderr
