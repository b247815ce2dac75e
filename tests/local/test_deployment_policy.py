"""Tests that an environment is deployed, changed and destroyed with its own deployment policies only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandpiper import deployment_policy, workflow
from sandpiper.environment import load
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.account import ACCOUNT, REGION
from tests.support.cdk_commands import cdk
from tests.support.iam import allow, document, user
from tests.support.stacks import access_denied_reason, create, reasons
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.environments import Environments

pytestmark = pytest.mark.skipif(ON_AWS, reason="bootstraps with its own policies")

QUALIFIER = "small"
INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"
ROLE = f"cdk-{QUALIFIER}-cfn-exec-role-{ACCOUNT}-{REGION}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/sandbox-boundary"
FIRST = f"""\
  key: own
permissions_boundary: {BOUNDARY}
audit: {{trail: own}}
budget: {{usd_a_month: 10, emails: [a@example.com]}}
alarm_subscriptions: {{emails: [a@example.com], slack: {{workspace: T1, channel: C1}}}}
interpreters:
  sandbox:
"""
CHANGED = f"""\
  key: own
permissions_boundary: {BOUNDARY}
audit: {{trail: own, retention_days: 30}}
budget: {{usd_a_month: 20, emails: [a@example.com]}}
alarm_subscriptions: {{emails: [b@example.com], slack: {{workspace: T1, channel: C2}}}}
logs: {{retention_days: 14}}
tags: {{cost-center: "4711"}}
interpreters:
  sandbox:
    description: Another one
    write: [s3://reference-data/rates/]
"""


@pytest.fixture
def small(environments: Environments) -> Path:
    """Returns the file of an environment that the CDK deploys with this environment's policies only."""
    iam = boto3.client("iam")
    services = ("s3", "kms", "logs", "lambda", "bedrock-agentcore", "xray", "cloudwatch")
    everything = document(allow(*(f"{service}:*" for service in services)))
    iam.create_policy(PolicyName=BOUNDARY.rpartition("/")[2], PolicyDocument=everything)
    file = environments.write("small", FIRST)
    arns = [
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))["Policy"].get("Arn", "")
        for name, policy in deployment_policy.policy_documents(load(file), QUALIFIER).items()
    ]
    cdk(
        [
            *("bootstrap", f"aws://{ACCOUNT}/{REGION}", "--qualifier", QUALIFIER),
            *("--toolkit-stack-name", f"CDKToolkit-{QUALIFIER}"),
            *("--cloudformation-execution-policies", ",".join(arns)),
        ],
        environments.folder,
        print,
    )
    environments.context = {"@aws-cdk/core:bootstrapQualifier": QUALIFIER}
    return file


def test_environment_is_deployed_changed_and_destroyed_with_its_own_policies(
    environments: Environments, small: Path
) -> None:
    attached = boto3.client("iam").list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
    assert {each.get("PolicyName", "").rpartition("-")[0] for each in attached} == {"sandpiper-small-deployment"}

    environments.deploy(small)
    before = environments.tenant(small, "main").interpreters["sandbox"]
    environments.write("small", CHANGED)
    environments.deploy(small)
    deployment = environments.tenant(small, "main")
    assert deployment.interpreters["sandbox"] != before
    program = {"code": "print(6 * 7)"}
    finished = workflow.run(boto3.Session(), deployment, program, [], environments.folder / "out", lambda _: None)
    assert finished.result["stdout"].strip() == "42"

    assert_runs_no_code(deployment.interpreters["sandbox"])
    assert_cannot_change_other_resources()
    boto3.resource("s3").Bucket(deployment.bucket).object_versions.delete()
    environments.cdk("destroy", small, "--all", "--force")
    environments.deployed.clear()
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert [each["StackName"] for each in stacks if each["StackName"].startswith("sandpiper-small-")] == []


def assert_runs_no_code(interpreter: str) -> None:
    """A principal with the policies cannot start sessions of the environment's or AWS's interpreter."""
    allowed = [
        statement
        for each in boto3.client("iam").list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]
        for statement in statements(each.get("PolicyArn", ""))
    ]
    with user(*allowed) as session:
        code = session.client("bedrock-agentcore")
        for each in (interpreter, MANAGED_INTERPRETER):
            with pytest.raises(ClientError, match="StartCodeInterpreterSession"):
                code.start_code_interpreter_session(codeInterpreterIdentifier=each)
        assert session.client("bedrock-agentcore-control").get_code_interpreter(codeInterpreterId=interpreter)


def statements(policy_arn: str) -> list[dict[str, Any]]:
    policies: Any = boto3.client("iam")
    version = policies.get_policy(PolicyArn=policy_arn)["Policy"]["DefaultVersionId"]
    policy_document = policies.get_policy_version(PolicyArn=policy_arn, VersionId=version)["PolicyVersion"]["Document"]
    return policy_document["Statement"]


def assert_cannot_change_other_resources() -> None:
    """CloudFormation fails with the role for each resource that is not the environment's."""
    tags = {"sandpiper:environment": "small"}
    properties = {"Name": "small__main__sandbox_1", "NetworkConfiguration": {"NetworkMode": "SANDBOX"}, "Tags": tags}
    trust: Any = {"Version": "2012-10-17", "Statement": []}
    function = {
        "Runtime": "python3.14",
        "Handler": "a.b",
        "Code": {"ZipFile": "x"},
        "FunctionName": "sandpiper-small-f",
    }
    unbounded = "sandpiper-small-unbounded"
    boto3.client("iam").create_role(RoleName=unbounded, AssumeRolePolicyDocument=json.dumps(trust))
    written = {"PolicyName": "x", "PolicyDocument": json.loads(document(allow("s3:*"))), "Roles": [unbounded]}
    foreign_role = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}"
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("AWS::S3::Bucket", {"BucketName": f"sandpiper-other-{ACCOUNT}-{REGION}"}, "s3:CreateBucket"),
        (
            INTERPRETER,
            properties | {"Tags": {"sandpiper:environment": "other"}},
            "bedrock-agentcore:CreateCodeInterpreter",
        ),
        (INTERPRETER, properties | {"ExecutionRoleArn": foreign_role}, "iam:PassRole"),
        ("AWS::Lambda::Function", function | {"Role": foreign_role}, "iam:PassRole"),
        ("AWS::IAM::Role", {"RoleName": "sandpiper-other-x", "AssumeRolePolicyDocument": trust}, "iam:CreateRole"),
        ("AWS::IAM::Role", {"RoleName": "sandpiper-small-x", "AssumeRolePolicyDocument": trust}, "iam:CreateRole"),
        ("AWS::IAM::Policy", written, "iam:PutRolePolicy"),
        ("AWS::SSM::Parameter", {"Name": "/sandpiper/other/x", "Type": "String", "Value": "1"}, "ssm:PutParameter"),
        ("AWS::Budgets::Budget", {"Budget": {"BudgetName": "sandpiper-other"}}, "budgets:ModifyBudget"),
        ("AWS::DynamoDB::Table", {"TableName": "sandpiper-small-x"}, "dynamodb:CreateTable"),
    )
    try:
        for kind, properties, action in cases:
            stack, status = create({"Resources": {"It": {"Type": kind, "Properties": properties}}}, RoleARN=ROLE_ARN)
            assert status == "ROLLBACK_COMPLETE", (kind, properties)
            reason = reasons(stack, "CREATE_FAILED")[0]
            assert reason.startswith(access_denied_reason(ROLE, action)), reason
    finally:
        boto3.client("iam").delete_role(RoleName=unbounded)
