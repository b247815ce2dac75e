"""With `key: own`, the environment's key encrypts workflows, functions and logs, and its policy allows nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandpiper.plan.create_only import update_effect
from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import Assembly, state_machine, synthesize
from tests.support.policy_documents import documents, statements

if TYPE_CHECKING:
    from pathlib import Path

EXISTING = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OPTIONS: dict[str, Any] = {
    "tenants": {"demo": {"interpreters": {"inside": {"network": "VPC"}}}},
    "availability_zones": {f"{REGION}a": "use1-az1"},
    "network": {},
}
ENCRYPTED = {
    "AWS::Lambda::Function": ("KmsKeyArn",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::StepFunctions::StateMachine": ("EncryptionConfiguration", "KmsKeyId"),
}
"""The path of the property with the key, by resource type."""
HERE = f"{REGION}:{ACCOUNT}"
NAME = "sandpiper-one-demo"
S3 = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::sandpiper-one-{ACCOUNT}-{REGION}"}
WORKFLOW = {"kms:EncryptionContext:aws:states:stateMachineArn": f"arn:aws:states:{HERE}:stateMachine:{NAME}-run-code"}
FUNCTION = {
    "kms:EncryptionContext:aws:lambda:FunctionArn": f"arn:aws:lambda:{HERE}:function:{NAME}-SessionFunction1A-2B"
}
LOG_GROUP = {
    "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{HERE}:log-group:/aws/vendedlogs/states/{NAME}-run-code"
}
DELIVERY = {"kms:EncryptionContext:SourceArn": f"arn:aws:logs:{HERE}:*"}
ROLE_ID = re.compile(r"(DefaultPolicy)?[0-9A-F]{8}(/.*)?$")
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/any/session"
LOGS, LOG_DELIVERY = f"logs.{REGION}.amazonaws.com", "delivery.logs.amazonaws.com"
ALLOW_ALL = parse_policy(
    "administrator access",
    PolicyKind.IDENTITY,
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)


def via(service: str) -> dict[str, str]:
    return {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}


def keys_by_type(assembly: Assembly) -> dict[str, list[Any]]:
    """Returns the keys of all resources that can be encrypted."""
    found: dict[str, list[Any]] = {}
    for template in assembly.templates.values():
        for resource_type, path in ENCRYPTED.items():
            for properties in template.resources(resource_type).values():
                value: Any = properties
                for step in path:
                    value = cast("dict[str, Any]", value or {}).get(step)
                found.setdefault(resource_type, []).append(value)
    return found


@pytest.fixture(scope="module")
def own(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> Assembly:  # noqa: ARG001
    return synthesize(tmp_path_factory.mktemp("own"), OPTIONS, data_bucket={"key": "own"})


@pytest.fixture(scope="module")
def key_policy(own: Assembly) -> Policy:
    document = own["sandpiper-one-storage"].only("AWS::KMS::Key")["KeyPolicy"]
    text = json.dumps(document)
    text = re.sub(r'\{"Fn::Join": \["", \["([^"]*)", \{"Ref": "AWS::URLSuffix"\}\]\]\}', r'"\1amazonaws.com"', text)
    return parse_policy("the key policy", PolicyKind.RESOURCE, json.loads(text))


def test_own_key_encrypts_every_workflow_log_group_and_function(own: Assembly) -> None:
    found = keys_by_type(own)
    assert {resource_type: len(values) for resource_type, values in found.items()} == {
        "AWS::Lambda::Function": 2,
        "AWS::Logs::LogGroup": 7,  # two functions, two workflows, usage, connections and DNS queries
        "AWS::StepFunctions::StateMachine": 2,
    }
    for values in found.values():
        for value in values:
            assert "SsmParameterValuesandpiperonedatakeyarn" in value["Ref"]
    assert "Fn::ImportValue" not in json.dumps([each.content for each in own.templates.values()])
    dependencies = own.manifest["artifacts"]["sandpiper-one-network"]["dependencies"]
    assert "sandpiper-one-storage" in dependencies, "the parameter of the key must exist"


@pytest.mark.parametrize("key", ["aws", EXISTING])
def test_without_an_own_key_only_the_bucket_has_a_customer_managed_key(tmp_path: Path, key: str) -> None:
    assembly = synthesize(tmp_path, OPTIONS, data_bucket={"key": key})
    assert {value for values in keys_by_type(assembly).values() for value in values} == {None}
    encryption = state_machine(assembly["sandpiper-one-demo"])["EncryptionConfiguration"]
    assert encryption == {"Type": "AWS_OWNED_KEY"}, "otherwise CloudFormation would keep an earlier key"
    contexts = {"kms:EncryptionContext:aws:s3:arn"}
    for location, document in documents(assembly).items():
        for statement in statements(document):
            used = {name for each in statement.get("Condition", {}).values() for name in each if "Context" in name}
            assert used <= contexts, location


@pytest.mark.parametrize(("resource_type", "path"), ENCRYPTED.items())
def test_a_change_of_the_key_replaces_nothing(resource_type: str, path: tuple[str, ...]) -> None:
    assert update_effect(resource_type, ".".join(path)) == "in place"


def test_roles_use_the_key_for_their_own_workflow_and_stack_only(own: Assembly) -> None:
    found = {
        (ROLE_ID.sub("", location.split("/")[1]), str(sorted(statement["Action"])), json.dumps(statement["Condition"]))
        for location, document in documents(own).items()
        if location.startswith("sandpiper-one-demo/")
        for statement in statements(document)
        if statement["Action"][0].startswith("kms:") and "aws:s3:arn" not in json.dumps(statement["Condition"])
    }
    run_code = {"StringEquals": WORKFLOW}
    run_command = json.loads(json.dumps(run_code).replace("run-code", "run-command"))
    functions = f"arn:aws:lambda:{HERE}:function:sandpiper-one-demo*"
    in_functions = {"ArnLike": {"kms:EncryptionContext:aws:lambda:FunctionArn": functions}}
    expected = {
        ("RunCodeRole", "['kms:Decrypt', 'kms:GenerateDataKey']", json.dumps(run_code)),
        ("RunCodeRole", "['kms:GenerateDataKey']", json.dumps({"StringEquals": DELIVERY})),
        ("RunCommandRole", "['kms:Decrypt', 'kms:GenerateDataKey']", json.dumps(run_command)),
        ("RunCommandRole", "['kms:GenerateDataKey']", json.dumps({"StringEquals": DELIVERY})),
        ("SessionFunctionRole", "['kms:Decrypt']", json.dumps(in_functions)),
        ("SessionStopperRole", "['kms:Decrypt']", json.dumps(in_functions)),
    }
    assert found == expected


ALLOWED: dict[str, tuple[str, str, dict[str, str]]] = {
    "the bucket through S3": (ROLE, "kms:Decrypt", via("s3") | S3),
    "a workflow's role, which uses the key itself": (ROLE, "kms:GenerateDataKey", WORKFLOW),
    "a reader of executions": (ROLE, "kms:Decrypt", via("states") | WORKFLOW),
    "a function's role": (ROLE, "kms:Decrypt", FUNCTION),
    "the deployment of a function": (ROLE, "kms:Encrypt", via("lambda") | FUNCTION),
    "the grant for a function": (ROLE, "kms:CreateGrant", via("lambda") | {"kms:GrantIsForAWSResource": "true"}),
    "the log of a workflow": (ROLE, "kms:GenerateDataKey", DELIVERY),
    "CloudWatch Logs": (LOGS, "kms:Encrypt", LOG_GROUP),
    "log delivery": (LOG_DELIVERY, "kms:Decrypt", DELIVERY),
    "management": (ROLE, "kms:PutKeyPolicy", {}),
}
DENIED: dict[str, tuple[str, str, dict[str, str]]] = {
    "direct use": (ROLE, "kms:Decrypt", {}),
    "direct use for the bucket": (ROLE, "kms:Decrypt", S3),
    "another bucket": (ROLE, "kms:Decrypt", via("s3") | {next(iter(S3)): "arn:aws:s3:::sandpiper-one"}),
    "a workflow of another environment": (
        ROLE,
        "kms:Decrypt",
        {next(iter(WORKFLOW)): f"arn:aws:states:{HERE}:stateMachine:sandpiper-two-demo-run-code"},
    ),
    "a function of another application": (
        ROLE,
        "kms:Decrypt",
        {next(iter(FUNCTION)): f"arn:aws:lambda:{HERE}:function:other"},
    ),
    "direct encryption for a function": (ROLE, "kms:Encrypt", FUNCTION),
    "a grant through another service": (
        ROLE,
        "kms:CreateGrant",
        via("ec2") | {"kms:GrantIsForAWSResource": "true"},
    ),
    "a grant for a principal": (ROLE, "kms:CreateGrant", via("lambda") | {"kms:GrantIsForAWSResource": "false"}),
    "CloudWatch Logs for another log group": (
        LOGS,
        "kms:Decrypt",
        {next(iter(LOG_GROUP)): f"arn:aws:logs:{HERE}:log-group:other"},
    ),
    "CloudWatch Logs of another account": (
        LOGS,
        "kms:Decrypt",
        {next(iter(LOG_GROUP)): f"arn:aws:logs:{REGION}:999999999999:log-group:sandpiper-one-demo"},
    ),
    "CloudWatch Logs of another region": ("logs.eu-west-1.amazonaws.com", "kms:Decrypt", LOG_GROUP),
    "a role as CloudWatch Logs": (ROLE, "kms:Decrypt", LOG_GROUP),
    "log delivery of another account": (
        LOG_DELIVERY,
        "kms:Decrypt",
        {next(iter(DELIVERY)): f"arn:aws:logs:{REGION}:999999999999:*"},
    ),
    "another service": ("lambda.amazonaws.com", "kms:Decrypt", FUNCTION),
    "another account": ("arn:aws:sts::999999999999:assumed-role/any/session", "kms:Decrypt", WORKFLOW),
}


@pytest.mark.parametrize("case", [*ALLOWED, *DENIED])
def test_key_policy_allows_use_for_this_environment_only(key_policy: Policy, case: str) -> None:
    principal, action, context = (ALLOWED | DENIED)[case]
    request = Request(Principal.parse(principal), action, EXISTING, ACCOUNT, context)
    policies = Policies([ALLOW_ALL], resource=key_policy, resource_policy_required=True)
    assert evaluate(request, policies).allowed is (case in ALLOWED)


def test_management_of_the_key_includes_no_use(own: Assembly) -> None:
    manage, *others = statements(own["sandpiper-one-storage"].only("AWS::KMS::Key")["KeyPolicy"])
    # Actions that use the key, delegate its use, or contain a wildcard.
    use = r"kms:(.*\*.*|.*Decrypt.*|.*Encrypt.*|.*Generate.*|CreateGrant|Sign|Verify|Derive.*)"
    assert not [action for action in manage["Action"] if re.fullmatch(use, action)]
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} <= set(manage["Action"]), "otherwise it could not be managed"
    assert all(statement["Condition"] for statement in others)
