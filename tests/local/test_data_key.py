"""An environment with its own KMS key: it encrypts data, executions, variables and logs, and limits who reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError

from sandpiper import workflow
from tests.support.account import ACCOUNT, REGION
from tests.support.iam import allow, any_client, user
from tests.support.stacks import create, reasons

if TYPE_CHECKING:
    from sandpiper.deployment import Deployment
    from tests.support.environments import Environments

OWN_KEY = """\
  key: own
interpreters:
  sandbox:
"""


def test_own_key_encrypts_everything_and_runs_work(environments: Environments) -> None:
    file = environments.write("keyed", OWN_KEY)
    environments.deploy(file)
    deployment = environments.tenant(file, "main")
    kms = cast("Any", boto3.client("kms"))
    key = cast("Any", boto3.client("ssm")).get_parameter(Name="/sandpiper/keyed/data-key-arn")["Parameter"]["Value"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True

    program = {"code": "open('left.txt', 'w').write('kept')"}
    finished = workflow.run(boto3.Session(), deployment, program, [], environments.folder / "out", lambda _: None)
    assert [(each.name, each.size) for each in finished.files] == [("left.txt", 4)]

    second = environments.deploy(file)
    assert second.count("(no changes)") == 3, second
    assert keys_of("keyed") == {
        "state machine": {key},
        "log group": {key},
        "function": {key},
    }
    check_readers_of_executions(deployment, key)
    check_log_groups(key)
    check_role_of_the_workflow(deployment)

    # Back to keys of AWS: nothing keeps the old key, and runs still work.
    environments.write("keyed", OWN_KEY.replace("own", "aws"))
    environments.deploy(file)
    assert keys_of("keyed") == {"state machine": {None}, "log group": {None}, "function": {None}}
    workflow.run(boto3.Session(), deployment, program, [], environments.folder / "later", lambda _: None)


def keys_of(environment: str) -> dict[str, set[str | None]]:
    """Returns the keys of all state machines, log groups and functions of an environment."""
    states, logs, functions = (any_client(name) for name in ("stepfunctions", "logs", "lambda"))
    prefix = f"sandpiper-{environment}-"
    machines = [
        states.describe_state_machine(stateMachineArn=each["stateMachineArn"])
        for each in states.list_state_machines()["stateMachines"]
        if each["name"].startswith(prefix)
    ]
    groups = [each for each in logs.describe_log_groups()["logGroups"] if prefix in each["logGroupName"]]
    found = [each for each in functions.list_functions()["Functions"] if each["FunctionName"].startswith(prefix)]
    assert (len(machines), len(groups), len(found)) == (2, 5, 2)
    return {
        "state machine": {each["encryptionConfiguration"].get("kmsKeyId") for each in machines},
        "log group": {each.get("kmsKeyId") for each in groups},
        "function": {each.get("KMSKeyArn") or None for each in found},
    }


def check_readers_of_executions(deployment: Deployment, key: str) -> None:
    """A reader of executions also needs the key, through Step Functions and for this workflow."""
    arn = deployment.run_code_arn
    execution = any_client("stepfunctions").list_executions(stateMachineArn=arn)["executions"][0]["executionArn"]
    via = {"kms:ViaService": f"states.{REGION}.amazonaws.com"}
    context = {"kms:EncryptionContext:aws:states:stateMachineArn": arn}
    cases: list[tuple[list[Any], bool]] = [
        ([], False),
        ([allow("kms:Decrypt", resource=key, Condition={"StringEquals": {**via, **context}})], True),
        ([allow("kms:Decrypt", resource=key, Condition={"StringEquals": {next(iter(context)): f"{arn}2"}})], False),
    ]
    for statements, is_allowed in cases:
        with user(allow("states:*"), *statements) as session:
            client: Any = session.client("stepfunctions")
            assert client.list_executions(stateMachineArn=arn)["executions"]
            for call in (client.describe_execution, client.get_execution_history):
                if is_allowed:
                    assert call(executionArn=execution)
                    continue
                with pytest.raises(ClientError, match="kms:Decrypt") as raised:
                    call(executionArn=execution)
                assert raised.value.response.get("Error", {}).get("Code") == "KmsAccessDeniedException"


def check_log_groups(key: str) -> None:
    """CloudWatch Logs uses the key for log groups of the environment only."""
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "other", "KmsKeyId": key}}
    stack, status = create({"Resources": {"Group": group}})
    assert status == "ROLLBACK_COMPLETE"
    (reason,) = reasons(stack, "CREATE_FAILED")
    assert f"not allowed to be used with Arn 'arn:aws:logs:{REGION}:{ACCOUNT}:log-group:other'" in reason


def check_role_of_the_workflow(deployment: Deployment) -> None:
    """An execution starts only if the role of the workflow can encrypt it."""
    states, iam = any_client("stepfunctions"), boto3.client("iam")
    arn = deployment.run_code_arn
    role = states.describe_state_machine(stateMachineArn=arn)["roleArn"].rpartition("/")[2]
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = cast("Any", iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
    without = [each for each in policy["Statement"] if "kms:Decrypt" not in str(each["Action"])]
    assert len(without) == len(policy["Statement"]) - 1
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps({**policy, "Statement": without}))
    try:
        with pytest.raises(ClientError, match="KmsAccessDeniedException"):
            states.start_execution(stateMachineArn=arn, input="{}")
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
