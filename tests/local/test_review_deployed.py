"""`sandpiper review --deployed`: one deployment, read with the documented role, before and after changes of it."""

from __future__ import annotations

import datetime
import json
import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper.errors import CliError
from sandpiper.plan.deployed import Account
from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.entries import entries_of
from sandpiper.review.baseline.file import Baseline
from sandpiper.review.deployed.review import read_account
from sandpiper.review.findings import Severity
from sandpiper.review.formats import FORMATS
from sandpiper.review.reading.values import as_list
from sandpiper.review.report import Report
from sandpiper.review.review import Target, apply_rules, review_model
from sandpiper.review.targets import source_of
from sandpiper.status.collect import deployed_stacks
from tests.support.account import ACCOUNT, REGION
from tests.support.cli import sandpiper
from tests.support.environments import Environments
from tests.support.iam import allow, any_client, document, user
from tests.support.project import PROJECT
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.review.deployed.review import AccountState
    from sandpiper.review.findings import Finding

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates roles and an environment")
NAME = "reviewed"
OPTIONS = """\
  key: own
readers: [{reader}]
interpreters:
  first:
  second:
    execution_role: {existing}
"""
AGENTCORE = "bedrock-agentcore.amazonaws.com"
INTERPRETER = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/{NAME}__main__second_????????"
PAGE = PROJECT / "docs" / "how-to" / "review-an-account.md"


def trust(principal: dict[str, str], **condition: Any) -> str:
    """Returns a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return document({**statement, **({"Condition": condition} if condition else {})})


OWN_TRUST = trust(
    {"Service": AGENTCORE},
    StringEquals={"aws:SourceAccount": ACCOUNT},
    ArnLike={"aws:SourceArn": f"{INTERPRETER}-??????????"},
)


def documented_role() -> list[dict[str, Any]]:
    """Returns the statements of the documented role, for the environment of this module."""
    (text,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for before, after in (("444455556666", ACCOUNT), ("eu-west-1", REGION), ("prod", NAME)):
        text = text.replace(before, after)
    return json.loads(text)["Statement"]


@pytest.fixture(scope="module")
def deployed(bootstrapped: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:  # noqa: ARG001
    """Deploys an environment with an existing role, its own key and a reader. Yields its file."""
    iam, arns = boto3.client("iam"), dict[str, str]()
    policies = {"existing": OWN_TRUST, "reader": trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"})}
    for name, policy in policies.items():
        role = iam.create_role(RoleName=f"{NAME}-{name}", Path="/code/", AssumeRolePolicyDocument=policy)["Role"]
        arns[name] = role["Arn"]
    reads = document(allow("s3:GetObject", "kms:Decrypt"))
    iam.put_role_policy(RoleName=f"{NAME}-reader", PolicyName="reads", PolicyDocument=reads)
    environments = Environments(tmp_path_factory.mktemp(NAME))
    file = environments.write(NAME, OPTIONS.format(**arns))
    environments.deploy(file)
    yield file
    environments.destroy()
    iam.delete_role_policy(RoleName=f"{NAME}-reader", PolicyName="reads")
    for name in policies:
        iam.delete_role(RoleName=f"{NAME}-{name}")


def read(file: Path, session: boto3.Session | None = None, stacks: Sequence[DeployedStack] = ()) -> AccountState:
    """Reads the account."""
    account = Account(session or boto3.Session(), None)
    return read_account(NAME, account, stacks or deployed_stacks(account, NAME), Target(file.with_suffix(".out"), ""))


def findings(state: AccountState) -> list[Finding]:
    """Returns the findings of the rules that are not accepted, without proofs."""
    return [one for one in apply_rules(state.model, state.rules) if one.acceptance is None]


def test_the_documented_role_reviews_a_deployment_without_drift(deployed: Path, tmp_path: Path) -> None:
    statements = documented_role()
    actions = [action for one in statements for action in as_list(one["Action"])]
    assert [action for action in actions if not re.fullmatch(r"[\w-]+:(Get|List|Describe)\w+", action)] == []
    report = tmp_path / "report.json"
    with user(*statements) as session:
        keys: Any = session.get_credentials()
        variables = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
        arguments = ("review", "-e", deployed, "--deployed", "--format", "json", "--out", report)
        process = sandpiper(*arguments, variables=variables)
    found = json.loads(report.read_text())
    assert (process.returncode, [one["message"] for one in found["findings"] if one["severity"] == "high"]) == (0, [])
    assert found["name"] == f"{NAME} in account {ACCOUNT}"
    assert {one["rule"] for one in found["findings"] if one["rule"].startswith("account-")} == {"account-identity"}
    assert {one["outcome"] for one in found["proofs"]} == {"proved", None}
    rows = {one["name"]: one for one in found["access"][0]["principals"]}
    reader = rows[f"arn:aws:iam::{ACCOUNT}:role/code/{NAME}-reader"]
    assert (reader["kind"], reader["operations"]["read results"]["access"]) == ("role of the account", "allowed")
    assert not any(f"{NAME}-reader" in one["message"] for one in found["findings"])


def test_what_a_role_cannot_read_is_a_finding_with_the_missing_action(deployed: Path) -> None:
    actions = ("cloudformation:DescribeStacks", "cloudformation:GetTemplate", "cloudformation:ListStackResources")
    with user(allow(*actions)) as session:
        found = [one for one in findings(read(deployed, session)) if one.rule_id == "account-not-read"]
    assert {one.severity for one in found} == {Severity.HIGH}
    missing = {one.message.partition("; missing: ")[2].partition(",")[0] for one in found}
    assert missing == {
        *("bedrock-agentcore:GetCodeInterpreter", "iam:GetAccountAuthorizationDetails", "kms:GetKeyPolicy"),
        *("lambda:GetFunctionConfiguration", "lambda:GetPolicy", "s3:GetBucketPolicy", "s3:ListBucket"),
        *("ssm:GetParameter", "states:DescribeStateMachine"),
    }
    documented = {action for one in documented_role() for action in as_list(one["Action"])}
    assert missing <= documented
    with user(allow("cloudformation:DescribeStacks")) as session, pytest.raises(CliError, match="GetTemplate"):
        read(deployed, session)


def test_changes_of_the_account_are_findings(deployed: Path) -> None:
    approved = Baseline(NAME, "Ada", datetime.date(2026, 11, 30), entries_of(read(deployed).model), {})
    with changed(deployed):
        state = read(deployed)
    found = [(one.rule_id, one.resource, one.message) for one in findings(state) if one.severity > Severity.LOW]
    account, main, storage = f"arn:aws:iam::{ACCOUNT}:role/", f"sandpiper-{NAME}-main/", f"sandpiper-{NAME}-storage/"
    for rule, resource, message in (
        ("trust-service", f"{account}code/{NAME}-existing", f"the execution role trusts arn:aws:iam::{ACCOUNT}:root"),
        ("account-drift", f"{main}SessionFunctionRole", "is allowed s3:GetObject on arn:aws:s3:::secret/*"),
        ("account-drift", f"{main}SessionStopperRole", f"can be assumed by arn:aws:iam::{ACCOUNT}:root"),
        ("account-drift", f"{main}SessionFunction2", "has a policy that allows anyone lambda:InvokeFunction"),
        ("account-drift", f"{storage}DataBucketData", "missing: "),
        ("account-drift", f"{storage}DataKeyArn", "found other"),
        ("account-identity", f"{account}{NAME}-intruder", "start a session, run code in a session"),
    ):
        assert any(one == rule and at.startswith(resource) and message in text for one, at, text in found), message
    assert {rule for rule, *_ in found} <= {
        *("trust-service", "trust-everyone", "account-drift", "account-identity"),
        *("callers-function", "data-tls", "audit-code"),
    }

    reviewed = replace(review_model(state.model, rules=state.rules, properties=()), access=state.access)
    for name, write in FORMATS.items():
        assert f"{NAME}-intruder can" in write(Report(reviewed, source_of([str(deployed)]))), name
    # The assembly has no policies of existing roles. An approval of the account has them.
    granted = {one.entry.sentence for one in compare(state.model, approved).granted}
    assert f"{account}code/{NAME}-existing can be assumed by arn:aws:iam::{ACCOUNT}:root" in granted


@contextmanager
def changed(file: Path) -> Generator[None]:
    """Changes the account for the duration of a block."""
    iam, s3, ssm, functions = (any_client(service) for service in ("iam", "s3", "ssm", "lambda"))
    resources = Account(boto3.Session(), None).physical_ids(f"sandpiper-{NAME}-main")
    ids = {re.sub("[0-9A-F]{8}$", "", name): physical for name, physical in resources.items()}
    function, stopper, existing = ids["SessionFunction"], ids["SessionStopperRole"], f"{NAME}-existing"
    bucket = Environments(file.parent).tenant(file, "main").bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    parameter = f"/sandpiper/{NAME}/data-key-arn"
    key = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    trusted = {name: iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] for name in (stopper, existing)}
    intruder, runs = f"{NAME}-intruder", "bedrock-agentcore:StartCodeInterpreterSession"
    try:
        more = document(allow("s3:GetObject", resource="arn:aws:s3:::secret/*"))
        iam.put_role_policy(RoleName=ids["SessionFunctionRole"], PolicyName="more", PolicyDocument=more)
        for name in trusted:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))
        functions.add_permission(
            FunctionName=function, StatementId="all", Action="lambda:InvokeFunction", Principal="*"
        )
        statements = json.loads(policy)["Statement"]
        s3.put_bucket_policy(Bucket=bucket, Policy=document(*statements[:1], *statements[2:]))
        ssm.put_parameter(Name=parameter, Value="other", Type="String", Overwrite=True)
        iam.create_role(RoleName=intruder, AssumeRolePolicyDocument=trust({"Service": "ec2.amazonaws.com"}))
        code = document(allow(runs, "bedrock-agentcore:InvokeCodeInterpreter"))
        iam.put_role_policy(RoleName=intruder, PolicyName="code", PolicyDocument=code)
        yield
    finally:
        iam.delete_role_policy(RoleName=ids["SessionFunctionRole"], PolicyName="more")
        for name, before in trusted.items():
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(before))
        functions.remove_permission(FunctionName=function, StatementId="all")
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
        ssm.put_parameter(Name=parameter, Value=key, Type="String", Overwrite=True)
        iam.delete_role_policy(RoleName=intruder, PolicyName="code")
        iam.delete_role(RoleName=intruder)


def test_the_policy_of_an_existing_bucket_is_reviewed(deployed: Path) -> None:
    s3, name = boto3.client("s3"), f"{NAME}-existing-bucket"
    s3.create_bucket(Bucket=name)
    stacks = deployed_stacks(Account(boto3.Session(), None), NAME)
    using = [
        replace(one, outputs={**one.outputs, "DataBucketName": name}) if "Interpreters" in one.outputs else one
        for one in stacks
    ]
    found = {one.message for one in findings(read(deployed, stacks=using)) if one.resource == f"account-buckets/{name}"}
    s3.delete_bucket(Bucket=name)
    assert f"data bucket {name} has no policy" in found, found
    assert "the bucket keeps no versions of overwritten and deleted objects" in found
    assert any(one.startswith("no statement of the bucket's policy denies requests without TLS") for one in found)


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("dev",), {}, "the credentials are of account 123456789012"),
        (("-e", "nowhere"), {}, "environments/nowhere.yaml: the file does not exist"),
        (("-e", "local", "cdk.json"), {}, "--environment is 'local', and there are other targets: cdk.json"),
        (("cdk.json",), {}, "--deployed needs exactly one environment, not cdk.json"),
        (("-e", "local"), {"AWS_PROFILE": "missing"}, "The config profile (missing) could not be found"),
    ],
)
def test_an_error_is_one_message(arguments: tuple[str, ...], variables: dict[str, str], message: str) -> None:
    process = sandpiper("review", *arguments, "--deployed", variables=variables)
    assert (process.returncode, process.stdout) == (1, "")
    assert message in " ".join(process.stderr.split())
    assert "Traceback" not in process.stderr


def test_an_environment_that_is_not_deployed_is_an_error(environments: Environments) -> None:
    absent = environments.write("absent", "interpreters:\n  tools:\n")
    process = sandpiper("review", "-e", absent, "--deployed")
    assert (process.returncode, process.stdout) == (1, "")
    message = f"absent is not deployed in account {ACCOUNT}, {REGION}: run `cdk bootstrap`"
    assert message in " ".join(process.stderr.split())
