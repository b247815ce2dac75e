"""CloudFormation and Step Functions use the permissions of their roles, and fail as on AWS without them."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.account import ACCOUNT, REGION
from tests.support.iam import Role, Statement, allow, any_client, document, user
from tests.support.stacks import access_denied_reason, create, delete, reasons, wait_until_settled
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from local_aws import running_instance
    from sandpiper.deployment import Deployment

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates roles and users")

TRUST = {
    service: {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
    }
    for service in (
        "cloudformation.amazonaws.com",
        "events.amazonaws.com",
        "lambda.amazonaws.com",
        "states.amazonaws.com",
    )
}


@pytest.fixture
def role(aws: running_instance.RunningInstance | None) -> Generator[Callable[[str], Role]]:  # noqa: ARG001 - used by boto3
    """Creates roles that a service can assume, and deletes them after the test."""
    iam, names = boto3.client("iam"), list[str]()

    def make(service: str) -> Role:
        name = f"{service.partition('.')[0]}-{uuid.uuid4().hex[:8]}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST[service]))
        names.append(name)
        return Role(name)

    yield make
    for name in names:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


@pytest.fixture
def stack_role(role: Callable[[str], Role]) -> Role:
    return role("cloudformation.amazonaws.com")


# Stacks


def executed_change_set(role: Role, session: Any = boto3) -> str:
    """Creates a stack like the CDK CLI. Returns the final status."""
    cloudformation = session.client("cloudformation")
    change_set = cloudformation.create_change_set(
        StackName=f"evaluated-{uuid.uuid4().hex[:8]}",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(BUCKET),
        RoleARN=role.arn,
    )
    cloudformation.execute_change_set(ChangeSetName=change_set["Id"], StackName=change_set["StackId"])
    return wait_until_settled(change_set["StackId"])


TLS_ONLY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": {"Fn::GetAtt": ["Data", "Arn"]},
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    },
}
SERVICES = [f"{service}.amazonaws.com" for service in ("bedrock-agentcore", "lambda", "states")]
TRUST_ALL_SERVICES = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"},
}
BUCKET = {"Resources": {"Data": {"Type": "AWS::S3::Bucket"}}}
PRODUCT_TEMPLATE = {
    "Resources": {
        "Data": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "PublicAccessBlockConfiguration": {"BlockPublicAcls": True},
                "VersioningConfiguration": {"Status": "Enabled"},
                "Tags": [{"Key": "team", "Value": "a"}],
            },
        },
        "TlsOnly": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Data"}, "PolicyDocument": TLS_ONLY},
        },
        "Runs": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": TRUST_ALL_SERVICES},
        },
        "Reads": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": "reads",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": allow("s3:GetObject")},
                "Roles": [{"Ref": "Runs"}],
            },
        },
        "Sandbox": {
            "Type": "AWS::BedrockAgentCore::CodeInterpreterCustom",
            "Properties": {
                "Name": "evaluated",
                "NetworkConfiguration": {"NetworkMode": "SANDBOX"},
                "ExecutionRoleArn": {"Fn::GetAtt": ["Runs", "Arn"]},
            },
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Code": {"ZipFile": "def handler(event, context): pass"},
                "Role": {"Fn::GetAtt": ["Runs", "Arn"]},
            },
        },
        "Once": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {"FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 0},
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Runs", "Arn"]},
                "DefinitionString": '{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
            },
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "MetricName": "Errors",
                "Namespace": "AWS/Lambda",
                "Period": 60,
                "Statistic": "Sum",
                "Threshold": 0,
            },
        },
        "Dashboard": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardBody": '{"widgets": []}'}},
    }
}
PASSED_TO = ("bedrock-agentcore.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com")
PERMISSIONS: tuple[Statement, ...] = (
    *(
        allow(f"s3:{name}", resource="arn:aws:s3:::evaluated-*")
        for name in ("CreateBucket", "PutBucketPublicAccessBlock", "PutBucketVersioning", "PutBucketTagging")
    ),
    allow("s3:PutBucketPolicy", resource="arn:aws:s3:::evaluated-*"),
    *(
        allow(f"iam:{name}", resource=f"arn:aws:iam::{ACCOUNT}:role/evaluated-*")
        for name in ("CreateRole", "PutRolePolicy")
    ),
    *(
        allow(
            "iam:PassRole",
            resource=f"arn:aws:iam::{ACCOUNT}:role/evaluated-*",
            Condition={"StringEquals": {"iam:PassedToService": service}},
        )
        for service in PASSED_TO
    ),
    allow("bedrock-agentcore:CreateCodeInterpreter"),
    *(
        allow(f"lambda:{name}", resource=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:evaluated-*")
        for name in ("CreateFunction", "PutFunctionEventInvokeConfig")
    ),
    allow("states:CreateStateMachine", resource=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:*"),
    *(
        allow(f"logs:{name}", resource=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:evaluated-*")
        for name in ("CreateLogGroup", "PutRetentionPolicy")
    ),
    allow("cloudwatch:PutMetricAlarm", resource=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:evaluated-*"),
    allow("cloudwatch:PutDashboard", resource=f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/*"),
)
"""The permissions to create the stack, each for the created resources only."""
DELETE_ACTIONS = allow(
    *("s3:Delete*", "iam:Delete*", "bedrock-agentcore:Delete*", "lambda:Delete*", "states:Delete*", "logs:Delete*"),
    "cloudwatch:Delete*",
)


def test_the_listed_permissions_suffice_to_create_and_delete_the_stack(stack_role: Role) -> None:
    stack_role.set_permissions(*PERMISSIONS, DELETE_ACTIONS)
    stack, status = create(PRODUCT_TEMPLATE, RoleARN=stack_role.arn)
    assert (status, reasons(stack, "CREATE_FAILED")) == ("CREATE_COMPLETE", [])
    assert delete(stack) == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    "index", range(len(PERMISSIONS)), ids=lambda index: f"{PERMISSIONS[index]['Action'][0]}-{index}"
)
def test_the_stack_is_rolled_back_without_one_of_the_permissions(stack_role: Role, index: int) -> None:
    stack_role.set_permissions(
        *(permission for permission in PERMISSIONS if permission is not PERMISSIONS[index]), DELETE_ACTIONS
    )
    stack, status = create(PRODUCT_TEMPLATE, RoleARN=stack_role.arn)
    assert status == "ROLLBACK_COMPLETE"
    (action,) = PERMISSIONS[index]["Action"]
    because = f'because no identity-based policy allows the {action} action" (HandlerErrorCode: AccessDenied)'
    first = reasons(stack, "CREATE_FAILED")[-1]
    assert first.startswith(access_denied_reason(stack_role.name, action))
    assert first.endswith(because)
    assert delete(stack) == "DELETE_COMPLETE"


def test_the_permissions_boundary_of_the_role_is_evaluated(stack_role: Role) -> None:
    iam = boto3.client("iam")
    stack_role.set_permissions(allow("*"))
    boundary = iam.create_policy(PolicyName=stack_role.name, PolicyDocument=document(allow("s3:Get*", "s3:Delete*")))
    arn = boundary["Policy"].get("Arn", "")
    iam.put_role_permissions_boundary(RoleName=stack_role.name, PermissionsBoundary=arn)
    stack, status = create(BUCKET, RoleARN=stack_role.arn)
    assert status == "ROLLBACK_COMPLETE"
    assert "because no permissions boundary allows the s3:CreateBucket action" in reasons(stack, "CREATE_FAILED")[0]
    iam.delete_role_permissions_boundary(RoleName=stack_role.name)
    assert create(BUCKET, RoleARN=stack_role.arn)[1] == "CREATE_COMPLETE"


def test_the_role_is_used_for_later_operations_on_the_stack(stack_role: Role) -> None:
    stack_role.set_permissions(allow("s3:CreateBucket"))
    stack, status = create(BUCKET, RoleARN=stack_role.arn)
    assert status == "CREATE_COMPLETE"
    versioned = {
        "Resources": {
            "Data": BUCKET["Resources"]["Data"] | {"Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
        }
    }
    update: Any = {"StackName": stack, "TemplateBody": json.dumps(versioned)}
    boto3.client("cloudformation").update_stack(**update)
    assert wait_until_settled(stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert reasons(stack, "UPDATE_FAILED")[0].startswith(
        access_denied_reason(stack_role.name, "s3:PutBucketVersioning")
    )
    stack_role.set_permissions(allow("s3:PutBucketVersioning"))
    boto3.client("cloudformation").update_stack(**update)
    assert wait_until_settled(stack) == "UPDATE_COMPLETE"
    assert delete(stack) == "DELETE_FAILED"
    assert reasons(stack, "DELETE_FAILED")[0].startswith(access_denied_reason(stack_role.name, "s3:DeleteBucket"))
    stack_role.set_permissions(allow("s3:DeleteBucket"))
    assert delete(stack) == "DELETE_COMPLETE"


def test_a_change_set_is_executed_with_the_role_of_its_creation(stack_role: Role) -> None:
    for permissions, expected in (((), "ROLLBACK_COMPLETE"), ((allow("s3:CreateBucket"),), "CREATE_COMPLETE")):
        stack_role.set_permissions(*permissions)
        assert executed_change_set(stack_role) == expected


def test_a_role_that_does_not_trust_cloudformation_is_rejected(role: Callable[[str], Role]) -> None:
    other = role("lambda.amazonaws.com")
    other.set_permissions(allow("*"))
    with pytest.raises(ClientError, match=f"Role {other.arn} is invalid or cannot be assumed") as error:
        create(BUCKET, RoleARN=other.arn)
    assert error.value.response.get("Error", {}).get("Code") == "ValidationError"


def test_passing_a_role_to_cloudformation_requires_iam_passrole(stack_role: Role) -> None:
    stack_role.set_permissions(allow("s3:CreateBucket"))
    to_cloudformation = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    for condition, allowed in ((to_cloudformation, True), (to_lambda, False)):
        pass_role = allow("iam:PassRole", resource=stack_role.arn, Condition=condition)
        with user(allow("cloudformation:*"), pass_role) as session:
            if allowed:
                assert create(BUCKET, session, RoleARN=stack_role.arn)[1] == "CREATE_COMPLETE"
                continue
            with pytest.raises(ClientError, match=f"to perform: iam:PassRole on resource: {stack_role.arn}") as error:
                create(BUCKET, session, RoleARN=stack_role.arn)
            assert error.value.response.get("Error", {}).get("Code") == "AccessDenied"


def test_the_permissions_of_the_cdks_execution_role_can_be_reduced(deployed: Deployment) -> None:  # noqa: ARG001 - includes the bootstrap
    role_name = f"cdk-hnb659fds-{{}}-role-{ACCOUNT}-{REGION}"
    credentials = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role_name.format('deploy')}", RoleSessionName="cdk"
    )["Credentials"]
    deploy = boto3.Session(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    execution_role = Role(role_name.format("cfn-exec"))
    try:
        for changes, expected in (({"Effect": "Deny"}, "ROLLBACK_COMPLETE"), ({}, "CREATE_COMPLETE")):
            execution_role.set_permissions(allow("s3:CreateBucket") | changes)
            assert executed_change_set(execution_role, deploy) == expected
    finally:
        boto3.client("iam").delete_role_policy(RoleName=execution_role.name, PolicyName="it")


@pytest.mark.usefixtures("aws")
def test_without_a_role_cloudformation_uses_the_permissions_of_its_caller() -> None:
    for permissions, expected in (((), "ROLLBACK_COMPLETE"), ((allow("s3:CreateBucket"),), "CREATE_COMPLETE")):
        with user(allow("cloudformation:*"), *permissions) as session:
            assert create(BUCKET, session)[1] == expected


def test_a_type_outside_the_table_requires_all_actions_of_its_service(stack_role: Role) -> None:
    template = {"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": stack_role.name}}}}
    for action, expected in (("events:CreateEventBus", "ROLLBACK_COMPLETE"), ("events:*", "CREATE_COMPLETE")):
        stack_role.set_permissions(allow(action))
        stack, status = create(template, RoleARN=stack_role.arn)
        assert status == expected
        if status != "CREATE_COMPLETE":
            assert reasons(stack, "CREATE_FAILED")[0].startswith(access_denied_reason(stack_role.name, "events:*"))


# Tasks of state machines


@dataclass(frozen=True)
class Task:
    """A task, the permission that it requires, and the error without it."""

    resource: str
    parameters: Mapping[str, Any]
    action: str
    permitted_resource: str
    error: str


TASKS = (
    Task(
        "aws-sdk:s3:deleteObject",
        {"Bucket": "task-target", "Key": "in/a.txt"},
        "s3:DeleteObject",
        "arn:aws:s3:::task-target/in/*",
        "S3.S3Exception",
    ),
    Task(
        "aws-sdk:s3:headObject",
        {"Bucket": "task-target", "Key": "in/there.txt"},
        "s3:GetObject",
        "arn:aws:s3:::task-target/in/*",
        "S3.S3Exception",
    ),
    Task(
        "aws-sdk:ssm:putParameter",
        {"Name": "task-target", "Value": "x", "Type": "String", "Overwrite": True},
        "ssm:PutParameter",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/task-target",
        "Ssm.SsmException",
    ),
    Task(
        "aws-sdk:sqs:sendMessage",
        {"QueueUrl": "{queue}", "MessageBody": "x"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:task-target",
        "Sqs.SqsException",
    ),
    Task(
        "sqs:sendMessage",
        {"QueueUrl": "{queue}", "MessageBody": "x"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:task-target",
        "SQS.AmazonSQSException",
    ),
    Task(
        "sns:publish",
        {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:task-target", "Message": "x"},
        "sns:Publish",
        f"arn:aws:sns:{REGION}:{ACCOUNT}:task-target",
        "SNS.AuthorizationErrorException",
    ),
    Task(
        "dynamodb:putItem",
        {"TableName": "task-target", "Item": {"id": {"S": "a"}}},
        "dynamodb:PutItem",
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/task-target",
        "DynamoDB.AmazonDynamoDBException",
    ),
    Task(
        "events:putEvents",
        {"Entries": [{"Source": "task.target", "DetailType": "x", "Detail": {}}]},
        "events:PutEvents",
        f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
        "EventBridge.AmazonEventBridgeException",
    ),
    Task(
        "states:startExecution",
        {"StateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:task-target"},
        "states:StartExecution",
        f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:task-target",
        "StepFunctions.AWSStepFunctionsException",
    ),
)


@pytest.fixture(scope="module")
def queue_url(aws: running_instance.RunningInstance | None) -> str:  # noqa: ARG001 - used by boto3
    """Creates the resources that the tasks use. Returns the URL of the queue."""
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="task-target")
    s3.put_object(Bucket="task-target", Key="in/there.txt", Body=b"x")
    s3.put_object(Bucket="task-target", Key="items.json", Body=b"[1, 2]")
    any_client("sns").create_topic(Name="task-target")
    any_client("dynamodb").create_table(
        TableName="task-target",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    iam = boto3.client("iam")
    iam.create_role(RoleName="task-target", AssumeRolePolicyDocument=json.dumps(TRUST["states.amazonaws.com"]))
    boto3.client("stepfunctions").create_state_machine(
        name="task-target",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/task-target",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
    )
    return any_client("sqs").create_queue(QueueName="task-target")["QueueUrl"]


@pytest.fixture
def machine_role(role: Callable[[str], Role]) -> Role:
    return role("states.amazonaws.com")


@contextmanager
def machine(role: Role, *states: tuple[str, Mapping[str, Any]]) -> Generator[str]:
    """Creates a state machine for the duration of a block. Yields its ARN."""
    stepfunctions = boto3.client("stepfunctions")
    arn = stepfunctions.create_state_machine(
        name=f"evaluated-{uuid.uuid4().hex[:8]}",
        roleArn=role.arn,
        definition=json.dumps({"StartAt": states[0][0], "States": dict(states)}),
    )["stateMachineArn"]
    yield arn
    stepfunctions.delete_state_machine(stateMachineArn=arn)


def execute(machine_arn: str) -> Mapping[str, Any]:
    stepfunctions = boto3.client("stepfunctions")
    execution = stepfunctions.start_execution(stateMachineArn=machine_arn)["executionArn"]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        described = stepfunctions.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            return dict(described)
        time.sleep(0.05)
    raise AssertionError(f"{execution} is still running")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.resource)
def test_a_task_requires_the_permission_of_the_state_machines_role(
    machine_role: Role, queue_url: str, task: Task
) -> None:
    parameters = {
        name: value.format(queue=queue_url) if isinstance(value, str) else value
        for name, value in task.parameters.items()
    }
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{task.resource}", "Parameters": parameters, "End": True}
    with machine(machine_role, ("Do", state)) as arn:
        machine_role.set_permissions(allow(task.action, resource=task.permitted_resource))
        execution = execute(arn)
        assert execution["status"] == "SUCCEEDED", execution
        for permissions in ((allow(task.action, resource=f"{task.permitted_resource}-not"),), ()):
            machine_role.set_permissions(*permissions)
            failed = execute(arn)
            assert (failed["status"], failed["error"]) == ("FAILED", task.error)
            assert f"assumed-role/{machine_role.name}/" in failed["cause"]
            assert f"is not authorized to perform: {task.action} on resource: " in failed["cause"]


def test_the_tags_of_the_state_machines_role_are_condition_keys(machine_role: Role, queue_url: str) -> None:  # noqa: ARG001 - creates the bucket
    parameters = {"Bucket": "task-target", "Key": "in/there.txt"}
    resource = "arn:aws:states:::aws-sdk:s3:headObject"
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    condition = {"StringEquals": {"aws:PrincipalTag/Team": "a"}}
    machine_role.set_permissions(allow("s3:GetObject", Condition=condition))
    with machine(machine_role, ("Do", state)) as arn:
        assert execute(arn)["status"] == "FAILED"
        boto3.client("iam").tag_role(RoleName=machine_role.name, Tags=[{"Key": "Team", "Value": "a"}])
        assert execute(arn)["status"] == "SUCCEEDED"


def test_an_access_denied_error_can_be_caught(machine_role: Role, queue_url: str) -> None:  # noqa: ARG001 - creates the bucket
    deletion = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:deleteObject",
        "Parameters": {"Bucket": "task-target", "Key": "out/a.txt"},
        "Catch": [{"ErrorEquals": ["S3.S3Exception"], "Next": "Caught"}],
        "End": True,
    }
    with machine(
        machine_role, ("Delete", deletion), ("Caught", {"Type": "Pass", "Result": "caught", "End": True})
    ) as arn:
        machine_role.set_permissions(allow("s3:DeleteObject", resource="arn:aws:s3:::task-target/in/*"))
        execution = execute(arn)
        assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", "caught")
        machine_role.set_permissions(allow("s3:DeleteObject", resource="arn:aws:s3:::task-target/out/*"))
        assert "caught" not in execute(arn)["output"]


def test_test_state_uses_the_role_in_its_request(
    machine_role: Role,
    queue_url: str,  # noqa: ARG001 - creates the bucket
) -> None:
    head = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:headObject",
        "Parameters": {"Bucket": "task-target", "Key": "in/there.txt"},
        "End": True,
    }
    # The client sends TestState to a host with the prefix `sync-`, which does not exist on loopback.
    config = Config(inject_host_prefix=False)
    for action, status in (("s3:GetObject", "SUCCEEDED"), ("s3:PutObject", "FAILED")):
        machine_role.set_permissions(allow(action))
        response = boto3.client("stepfunctions", config=config).test_state(
            definition=json.dumps(head), roleArn=machine_role.arn
        )
        assert response["status"] == status


def test_a_task_with_a_task_token_fails_without_the_permission_to_start_it(
    machine_role: Role,
    queue_url: str,
) -> None:
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue_url, "MessageBody": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 1,
        "End": True,
    }
    with machine(machine_role, ("Send", send)) as arn:
        for permissions, error in (((allow("sqs:SendMessage"),), "States.Timeout"), ((), "SQS.AmazonSQSException")):
            machine_role.set_permissions(*permissions)
            assert execute(arn)["error"] == error


def test_a_distributed_map_requires_permissions_to_read_items_and_start_executions(
    machine_role: Role,
    queue_url: str,  # noqa: ARG001 - creates the bucket
) -> None:
    map_state = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "task-target", "Key": "items.json"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Same",
            "States": {"Same": {"Type": "Pass", "End": True}},
        },
        "End": True,
    }
    with machine(machine_role, ("Each", map_state)) as arn:
        read_items = allow("s3:GetObject", resource="arn:aws:s3:::task-target/items.json")
        start_executions = allow("states:StartExecution", resource=arn)
        for permissions, error in (
            ((read_items, start_executions), None),
            ((start_executions,), "States.ItemReaderFailed"),
            ((read_items,), "StepFunctions.AWSStepFunctionsException"),
        ):
            machine_role.set_permissions(*permissions)
            assert execute(arn).get("error") == error


def test_a_state_machine_whose_role_does_not_trust_step_functions_fails(
    role: Callable[[str], Role],
    queue_url: str,  # noqa: ARG001 - creates the bucket
) -> None:
    other = role("lambda.amazonaws.com")
    other.set_permissions(allow("*"))
    head = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:headObject",
        "Parameters": {"Bucket": "task-target", "Key": "in/there.txt"},
        "End": True,
    }
    with machine(other, ("Head", head)) as arn:
        assert "states.amazonaws.com is not authorized to perform: sts:AssumeRole" in execute(arn)["cause"]


@pytest.fixture
def rule_of(machine_role: Role) -> Generator[Callable[[Role], tuple[str, Callable[[], int]]]]:
    """Creates a rule that starts a state machine with a role. It is deleted after the test.

    Yields a function that returns the ARN of the state machine, and a function that publishes an event and returns the
    number of executions.
    """
    rules, workflows, name = any_client("events"), boto3.client("stepfunctions"), f"evaluated-{uuid.uuid4().hex[:8]}"
    with machine(machine_role, ("Done", {"Type": "Succeed"})) as arn:

        def publish() -> int:
            entry = {"Source": name, "DetailType": "test", "Detail": "{}"}
            rules.put_events(Entries=[entry])
            return len(workflows.list_executions(stateMachineArn=arn)["executions"])

        def create(role: Role) -> tuple[str, Callable[[], int]]:
            rules.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
            rules.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn, "RoleArn": role.arn}])
            return arn, publish

        yield create
        rules.remove_targets(Rule=name, Ids=["1"])
        rules.delete_rule(Name=name)


def test_a_rule_starts_a_state_machine_only_with_the_permission_of_its_role(
    role: Callable[[str], Role], rule_of: Callable[[Role], tuple[str, Callable[[], int]]]
) -> None:
    target_role = role("events.amazonaws.com")
    arn, publish = rule_of(target_role)
    assert publish() == 0
    target_role.set_permissions(allow("states:StartExecution", resource=f"{arn}-other"))
    assert publish() == 0
    target_role.set_permissions(allow("states:StartExecution", resource=arn))
    assert publish() == 1


def test_a_rule_whose_role_does_not_trust_eventbridge_starts_nothing(
    role: Callable[[str], Role], rule_of: Callable[[Role], tuple[str, Callable[[], int]]]
) -> None:
    other = role("lambda.amazonaws.com")
    other.set_permissions(allow("*"))
    _, publish = rule_of(other)
    assert publish() == 0
