"""Identities of the account try to read an input of another tenant, and to forge an idempotency record.

SUCCEEDING states which identity has success with which attack. The page on data access documents them.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandpiper import workflow
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.account import ACCOUNT
from tests.support.attackers import EVERYTHING, IDENTITIES
from tests.support.data_access_attacks import (
    ANY_ROLE_OF_THE_ACCOUNT,
    ATTACKS,
    NAME,
    PRIVATE_CODE,
    SECRET,
    TAGS,
    NotStolenError,
    Victim,
    assumed,
    resources_of,
)
from tests.support.environments import Environments
from tests.support.iam import Role, allow, any_client, document
from tests.support.target import ON_AWS

pytestmark = pytest.mark.skipif(ON_AWS, reason="changes the policies and roles of an environment")

TENANTS = """\
tenants:
  claims:
    interpreters: {{sandbox: {{}}}}
    workflows: {{run-code: {{starters: [{starter}], readers: [{auditor}]}}}}
  motor:
    interpreters: {{sandbox: {{}}}}
"""


@pytest.fixture(scope="module")
def environment(bootstrapped: None, tmp_path_factory: pytest.TempPathFactory) -> Environments:  # noqa: ARG001
    """An environment with two tenants. `starter` starts the workflow of `claims`, and `auditor` reads it.

    It stays until the embedded AWS ends.
    """
    iam, environments = any_client("iam"), Environments(tmp_path_factory.mktemp("environments"))
    arns: dict[str, str] = {}
    for name in ("starter", "auditor"):
        role = Role(f"attacks-{name}")
        iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=document(ANY_ROLE_OF_THE_ACCOUNT))
        arns[name] = role.arn
    environments.deploy(environments.write(NAME, TENANTS.format(**arns)))
    return environments


@pytest.fixture(scope="module")
def victim(environment: Environments) -> Victim:
    deployment = environment.tenant(environment.folder / f"{NAME}.yaml", "claims")
    resources = resources_of("claims")
    out = environment.folder / "out"
    finished: list[str] = []
    workflow.run(boto3.Session(), deployment, {"code": PRIVATE_CODE}, [], out, finished.append)
    found = Victim(
        deployment,
        next(each for each in resources["AWS::IAM::Role"] if "SessionFunctionRole" in each),
        next(each for each in resources["AWS::Lambda::Function"] if "SessionFunction" in each),
        any_client("stepfunctions").list_executions(stateMachineArn=deployment.run_code_arn)["executions"][0][
            "executionArn"
        ],
    )
    for each in (found.input, found.record, found.own_file):
        any_client("s3").put_object(**each, Body=SECRET)
    return found


OF_POWER_USERS = {
    *("change the bucket policy", "expire records by a lifecycle rule"),
    *("replace the code of the session function", "replace the published bundle"),
    *("invoke the session function", "change the workflow"),
    *("run code in the interpreter", "read the history of an execution"),
}
OF_IAM_ADMINISTRATORS = {
    *("change the trust of the role", "create a role with the name and the tags"),
    *("deploy a template with such a role", "pass the role to a new function"),
}
SUCCEEDING: dict[str, set[str]] = {
    "administrator of the account": OF_POWER_USERS | OF_IAM_ADMINISTRATORS,
    "power user": OF_POWER_USERS,
    "read-only user": {"read the history of an execution"},
    "session function of another tenant": set(),
    "execution role of another tenant": set(),
    "deployment role of the CDK": {"deploy a template with such a role"},
    "file publishing role of the CDK": {"replace the published bundle"},
    "starter of the workflow": set(),
    "reader of the workflow": {"read the history of an execution"},
}
"""The attacks that have success, by identity. All others are denied."""


@pytest.mark.parametrize("identity", IDENTITIES)
def test_only_documented_attacks_have_success(identity: str, victim: Victim) -> None:
    succeeding: set[str] = set()
    with ExitStack() as everything:
        session = IDENTITIES[identity](everything)
        for name, attack in ATTACKS.items():
            with ExitStack() as undo:
                try:
                    attack(session, victim, undo)
                except (ClientError, NotStolenError) as error:
                    assert isinstance(error, NotStolenError) or is_denial(error), (name, error)
                else:
                    succeeding.add(name)
    assert succeeding == SUCCEEDING[identity]


def is_denial(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code", "")
    return code in ("AccessDenied", "AccessDeniedException", "AccessDeniedError")


@pytest.mark.parametrize("tenant", ["claims", "motor"])
def test_code_in_a_sandbox_reads_neither_inputs_nor_records_nor_other_folders(
    environment: Environments, victim: Victim, tenant: str
) -> None:
    deployment = environment.tenant(environment.folder / f"{NAME}.yaml", tenant)
    own = f"{deployment.prefix}/sandbox/sandbox/runs/claim.json"
    program = f"""
import boto3, botocore
s3 = boto3.client("s3", config=botocore.config.Config(retries={{"total_max_attempts": 1}}))

def attempt(name, call, **arguments):
    try:
        call(Bucket={deployment.bucket!r}, **arguments)
        print(name, "done")
    except botocore.exceptions.ClientError as error:
        print(name, error.response["Error"]["Code"])

attempt("input", s3.get_object, Key={victim.input["Key"]!r})
attempt("record", s3.get_object, Key={victim.record["Key"]!r})
attempt("forged", s3.put_object, Key={victim.record["Key"]!r}, Body=b"forged")
attempt("copied", s3.copy_object, Key={own!r}, CopySource={"{Bucket}/{Key}".format(**victim.input)!r})
attempt("policy", s3.delete_bucket_policy)
attempt("own", s3.put_object, Key={own!r}, Body=b"control")
"""
    finished = workflow.run(
        boto3.Session(), deployment, {"code": program}, [], environment.folder / tenant, lambda _: None
    )
    assert str(finished.result["stdout"]).splitlines() == [
        *(f"{name} AccessDenied" for name in ("input", "record", "forged", "copied", "policy")),
        "own done",
    ]


def test_presigned_url_is_valid_for_its_object_and_its_method_only(victim: Victim, environment: Environments) -> None:  # noqa: ARG001
    with ExitStack() as undo:
        iam, name = any_client("iam"), victim.role
        trust: Any = iam.get_role(RoleName=name)["Role"].get("AssumeRolePolicyDocument")
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(ANY_ROLE_OF_THE_ACCOUNT))
        undo.callback(iam.update_assume_role_policy, RoleName=name, PolicyDocument=json.dumps(trust))
        s3 = assumed(f"arn:aws:iam::{ACCOUNT}:role/{name}").client("s3", config=Config(signature_version="s3v4"))
        url = s3.generate_presigned_url("get_object", victim.input)
    assert urllib3.request("GET", url).data == SECRET
    other = url.replace(victim.input["Key"], victim.record["Key"])
    statuses = [urllib3.request(*each).status for each in (("GET", other), ("PUT", url), ("DELETE", url))]
    assert statuses == [403, 403, 403]
    assert urllib3.request("GET", f"{url}&versionId=null").status == 403


def test_principals_of_another_account_have_no_access(victim: Victim) -> None:
    """The embedded AWS has one account, so the evaluator decides with the deployed policies."""
    other = "arn:aws:sts::222233334444:assumed-role/admin/attack"
    everything = parse_policy("all", PolicyKind.IDENTITY, document(EVERYTHING))
    keys = {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in TAGS}
    context = {**keys, "aws:PrincipalArn": "arn:aws:iam::222233334444:role/admin", "aws:SecureTransport": "true"}

    def is_allowed(kind: PolicyKind, policy: str, action: str, resource: str) -> bool:
        policies = Policies(
            [everything], resource=parse_policy("resource", kind, policy), resource_policy_required=True
        )
        request = Request(Principal.parse(other), action, resource, ACCOUNT, {**context, "s3:TlsVersion": "1.3"})
        return evaluate(request, policies).allowed

    bucket = any_client("s3").get_bucket_policy(Bucket=victim.deployment.bucket)["Policy"]
    granted = json.loads(bucket)
    granted["Statement"].append({**allow("s3:*"), "Principal": "*"})
    for policy in (bucket, json.dumps(granted)):
        for action, where in (("s3:GetObject", victim.input), ("s3:PutObject", victim.record)):
            assert not is_allowed(PolicyKind.RESOURCE, policy, action, "arn:aws:s3:::{Bucket}/{Key}".format(**where))
    for name in resources_of("claims")["AWS::IAM::Role"]:
        trust: Any = any_client("iam").get_role(RoleName=name)["Role"].get("AssumeRolePolicyDocument")
        arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        assert not is_allowed(PolicyKind.TRUST, json.dumps(trust), "sts:AssumeRole", arn), name
