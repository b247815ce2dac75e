"""`sandpiper status`: the deployed stacks, and changes outside CloudFormation."""

from __future__ import annotations

import datetime
import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper.plan.assembly import read_assembly
from sandpiper.plan.deployed import Account, DeployedStack
from sandpiper.status.drift import detect_drift
from sandpiper.status.external.collect import check_external_resources
from sandpiper.status.external.trust import SERVICE
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import synthesize
from tests.support.iam import allow, any_client, document, user
from tests.support.status import DRIFTED, ERROR, IN_SYNC, read_status, status

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.environments import Environments

TWO_INTERPRETERS = """\
audit:
  trail: own
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
    assert initial["audit"] == {"trail": "sandpiper-watched-audit", "problems": []}
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
    cloudtrail().stop_logging(Name="sandpiper-watched-audit")

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
        ("bucket", "days of objects below tenants/main/"): ("90", "nothing"),
        ("bucket", "days of objects below tenants/main/runs/"): ("nothing", "1"),
    }
    remedies = {one["resource"].partition(" sandpiper")[0]: one["remedy"] for one in drift}
    assert "undo the change, or write it into the environment file" in remedies[role]
    assert "change its description in the environment file and run `cdk deploy`" in remedies["interpreter spare"]

    report = status("-e", file)
    assert report.returncode == DRIFTED
    assert report.stdout.count("! drift: ") == len(changed)
    assert "! audit: the trail " in report.stdout
    assert f"interpreter spare ({identifiers['spare']}): DELETED, 0 live sessions" in report.stdout
    quick = status("-e", file, "--no-drift")
    assert (quick.returncode, quick.stdout.count("! drift: ")) == (DRIFTED, 0), "the audit trail does not record"
    cloudtrail().start_logging(Name="sandpiper-watched-audit")
    assert status("-e", file, "--no-drift").returncode == IN_SYNC


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

    # A stack takes the key from a parameter that everyone with ssm:PutParameter can change.
    ssm: Any = any_client("ssm")
    key = ssm.get_parameter(Name="/sandpiper/keyed/data-key-arn")["Parameter"]["Value"]
    ssm.put_parameter(Name="/sandpiper/keyed/data-key-arn", Value=f"{key}0", Type="String", Overwrite=True)
    changed = {
        (one.resource, one.expected, one.found) for one in detect_drift(Account(boto3.Session(), None), stacks)[0]
    }
    assert ("parameter DataKeyArn", key, f"{key}0") in changed
    ssm.put_parameter(Name="/sandpiper/keyed/data-key-arn", Value=key, Type="String", Overwrite=True)

    iam, (role,) = boto3.client("iam"), roles_of("InterpreterrunExecutionRole", "keyed")
    document: Any = iam.get_role_policy(RoleName=role, PolicyName="Folders")["PolicyDocument"]
    document["Statement"].append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::secret/*"})
    iam.put_role_policy(RoleName=role, PolicyName="Folders", PolicyDocument=json.dumps(document))
    (one,), unchecked = detect_drift(account, unresolved)
    assert (one.expected, one.found) == ("nothing", "allows s3:GetObject on arn:aws:s3:::secret/*")
    assert policy in unchecked


def cloudtrail() -> Any:
    session: Any = boto3.Session()  # its type has no CloudTrail client
    return session.client("cloudtrail")


INTERPRETERS = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom"


@pytest.fixture
def existing_role(aws: object) -> Generator[str]:  # noqa: ARG001 - it sets the variables of the account
    """Creates a role that AgentCore can assume for the interpreter `one__main__run`. Yields its ARN."""
    iam, name = boto3.client("iam"), f"existing-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "bedrock-agentcore.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": f"{INTERPRETERS}/one__main__run_????????-??????????"},
        },
    }
    iam.create_role(RoleName=name, Path="/code/", AssumeRolePolicyDocument=document(trust))
    yield f"arn:aws:iam::{ACCOUNT}:role/code/{name}"
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=attached.get("PolicyArn", ""))
        iam.delete_policy(PolicyArn=attached.get("PolicyArn", ""))
    iam.delete_role(RoleName=name)


@pytest.fixture
def existing_bucket(aws: object) -> Generator[str]:  # noqa: ARG001 - it sets the variables of the account
    """Creates a bucket without a policy. Yields its name."""
    s3, name = boto3.client("s3"), f"existing-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    yield name
    s3.delete_bucket(Bucket=name)


def as_deployed(directory: Path, role: str, bucket: str) -> list[DeployedStack]:
    """Returns the stacks of an environment with an existing role and bucket, as if they were deployed."""
    interpreters = {"run": {"execution_role": role}, "own": {}}
    synthesize(directory, {"interpreters": interpreters, "data_bucket": {"name": bucket}})
    outputs = {"DataBucketName": bucket, "DataPrefix": "tenants/main"}
    return [
        DeployedStack(
            name=one.name,
            status="CREATE_COMPLETE",
            is_protected=False,
            changed=datetime.datetime.now(datetime.UTC),
            parameters={},
            outputs=outputs if one.name == "sandpiper-one-main" else {},
            tags={},
            template=one.template,
        )
        for one in read_assembly(directory).stacks.values()
    ]


def test_existing_roles_and_buckets_are_read_and_checked(
    existing_role: str, existing_bucket: str, tmp_path: Path
) -> None:
    stacks = as_deployed(tmp_path, existing_role, existing_bucket)
    iam, name = boto3.client("iam"), existing_role.rpartition("/")[2]

    def problems(session: boto3.Session | None = None) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in check_external_resources(Account(session or boto3.Session(), None), "one", stacks):
            assert one.remedy
            found.setdefault(one.resource, []).append(one.problem)
        return found

    role, bucket = f"execution role {existing_role}", f"data bucket {existing_bucket}"
    first = problems()
    assert set(first) == {bucket}, "the role has no permissions, and trusts its interpreter alone"
    assert first[bucket][:2] == [
        "has no policy",
        "does not deny identities of the account, such as administrators, to read objects",
    ]

    own = f"arn:aws:s3:::{existing_bucket}/tenants/main/sandbox/run/*"
    iam.put_role_policy(
        RoleName=name, PolicyName="it", PolicyDocument=document(allow("s3:GetObject", resource=own), allow("iam:*"))
    )
    managed = iam.create_policy(PolicyName=name, PolicyDocument=document(allow("s3:Get*", resource=own)))
    iam.attach_role_policy(RoleName=name, PolicyArn=managed["Policy"].get("Arn", ""))
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(trust))
    assert problems()[role] == [
        f"trusts {ACCOUNT} as well",
        f"does not trust {SERVICE} for {stacks_interpreter(stacks)}, whose sessions cannot use it",
        "statement 2 of policy it allows iam:*, an action of IAM, with which code can extend its own permissions",
        "statement 2 of policy it allows iam:* on all resources",
        f"statement 1 of policy {name} allows s3:Get*, a wildcard, which includes actions that AWS adds later",
    ]

    # A caller that may not read them does not report that they have no problem.
    with user(allow("iam:GetRole")) as session:
        refused = problems(session)
    assert refused[role][:2] == problems()[role][:2]
    assert ["AccessDenied" in one for one in (*refused[role][2:], *refused[bucket])] == [True, True]
    assert all(one.startswith("could not be checked, so nothing is known") for one in refused[bucket])
    missing = [replace(stack, outputs={**stack.outputs, "DataBucketName": "no-such-bucket"}) for stack in stacks]
    stacks[:] = missing
    assert problems()["data bucket no-such-bucket"] == ["does not exist"]


def stacks_interpreter(stacks: list[DeployedStack]) -> str:
    """Returns the name of the interpreter with the existing role."""
    (stack,) = [one for one in stacks if one.name == "sandpiper-one-main"]
    return str(stack.template.interpreters["run"].properties["Name"])


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
