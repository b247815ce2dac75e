"""What CloudFormation and Step Functions do is done in the role that they were given, and refused as AWS refuses it."""

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

from tests.local.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from local_aws import running_instance
    from sandpiper.deployment import Deployment

pytestmark = pytest.mark.skipif(ON_AWS, reason="it makes roles and users")

ACCOUNT, REGION = "123456789012", "us-east-1"
TRUST = {
    service: {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
    }
    for service in ("cloudformation.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com")
}
Statement = dict[str, Any]


def allow(*actions: str, resource: str | list[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Role:
    """A role whose one policy can be written anew."""

    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"

    def may(self, *statements: Statement) -> None:
        boto3.client("iam").put_role_policy(
            RoleName=self.name, PolicyName="it", PolicyDocument=document(*statements, allow("none:None"))
        )

    def session(self) -> boto3.Session:
        """Who assumes it."""
        made = boto3.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")["Credentials"]
        return boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region_name=REGION)


@pytest.fixture
def role(aws: running_instance.RunningInstance | None) -> Generator[Callable[[str], Role]]:  # noqa: ARG001 - boto3 talks to it
    """Makes a role that a service may assume."""
    iam, made = boto3.client("iam"), list[str]()

    def make(service: str) -> Role:
        name = f"{service.partition('.')[0]}-{uuid.uuid4().hex[:8]}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST[service]))
        made.append(name)
        return Role(name)

    yield make
    for name in made:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)


@pytest.fixture
def deploying(role: Callable[[str], Role]) -> Role:
    return role("cloudformation.amazonaws.com")


@contextmanager
def user(*statements: Statement) -> Generator[boto3.Session]:
    """A user's session."""
    iam, name = boto3.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=document(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="it")
    iam.delete_user(UserName=name)


# Stacks.


def settled(stack_id: str) -> str:
    """The status that a stack comes to."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = boto3.client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(0.05)
    raise AssertionError(f"{stack_id} does not settle")


def reasons(stack_id: str, status: str) -> list[str]:
    """Why resources of a stack came to a status."""
    events = boto3.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]
    return [
        event.get("ResourceStatusReason", "")
        for event in events
        if event.get("ResourceStatus") == status and event.get("ResourceType") != "AWS::CloudFormation::Stack"
    ]


def create(template: Mapping[str, Any], session: Any = boto3, **options: Any) -> tuple[str, str]:
    """Makes a stack; returns its id and the status that it comes to."""
    stack: str = session.client("cloudformation").create_stack(
        StackName=f"judged-{uuid.uuid4().hex[:8]}",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        **options,
    )["StackId"]
    return stack, settled(stack)


def executed_change_set(role: Role, session: Any = boto3) -> str:
    """Makes a stack as the CDK CLI does; returns the status that it comes to."""
    cloudformation = session.client("cloudformation")
    change_set = cloudformation.create_change_set(
        StackName=f"judged-{uuid.uuid4().hex[:8]}",
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(BUCKET),
        RoleARN=role.arn,
    )
    cloudformation.execute_change_set(ChangeSetName=change_set["Id"], StackName=change_set["StackId"])
    return settled(change_set["StackId"])


def delete(stack: str) -> str:
    boto3.client("cloudformation").delete_stack(StackName=stack)
    return settled(stack)


def refused(role_name: str, action: str) -> str:
    return (
        f'Resource handler returned message: "User: arn:aws:sts::{ACCOUNT}:assumed-role/{role_name}/AWSCloudFormation '
        f"is not authorized to perform: {action} on resource: "
    )


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
OF_ALL_THREE = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"},
}
BUCKET = {"Resources": {"Data": {"Type": "AWS::S3::Bucket"}}}
EVERYTHING_OF_THE_PRODUCT = {
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
            "Properties": {"AssumeRolePolicyDocument": OF_ALL_THREE},
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
                "Name": "judged",
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
GRANTS: tuple[Statement, ...] = (
    *(
        allow(f"s3:{name}", resource="arn:aws:s3:::judged-*")
        for name in ("CreateBucket", "PutBucketPublicAccessBlock", "PutBucketVersioning", "PutBucketTagging")
    ),
    allow("s3:PutBucketPolicy", resource="arn:aws:s3:::judged-*"),
    *(
        allow(f"iam:{name}", resource=f"arn:aws:iam::{ACCOUNT}:role/judged-*")
        for name in ("CreateRole", "PutRolePolicy")
    ),
    *(
        allow(
            "iam:PassRole",
            resource=f"arn:aws:iam::{ACCOUNT}:role/judged-*",
            Condition={"StringEquals": {"iam:PassedToService": service}},
        )
        for service in PASSED_TO
    ),
    allow("bedrock-agentcore:CreateCodeInterpreter"),
    *(
        allow(f"lambda:{name}", resource=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:judged-*")
        for name in ("CreateFunction", "PutFunctionEventInvokeConfig")
    ),
    allow("states:CreateStateMachine", resource=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:*"),
    *(
        allow(f"logs:{name}", resource=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:judged-*")
        for name in ("CreateLogGroup", "PutRetentionPolicy")
    ),
    allow("cloudwatch:PutMetricAlarm", resource=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:judged-*"),
    allow("cloudwatch:PutDashboard", resource=f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/*"),
)
"""What making the stack takes, each on what it makes and no more."""
ENDING = allow(
    *("s3:Delete*", "iam:Delete*", "bedrock-agentcore:Delete*", "lambda:Delete*", "states:Delete*", "logs:Delete*"),
    "cloudwatch:Delete*",
)


def test_a_role_with_the_grants_alone_makes_the_stack_and_ends_it(deploying: Role) -> None:
    deploying.may(*GRANTS, ENDING)
    stack, status = create(EVERYTHING_OF_THE_PRODUCT, RoleARN=deploying.arn)
    assert (status, reasons(stack, "CREATE_FAILED")) == ("CREATE_COMPLETE", [])
    assert delete(stack) == "DELETE_COMPLETE"


@pytest.mark.parametrize("index", range(len(GRANTS)), ids=lambda index: f"{GRANTS[index]['Action'][0]}-{index}")
def test_without_a_grant_the_stack_fails_and_leaves_nothing(deploying: Role, index: int) -> None:
    deploying.may(*(grant for grant in GRANTS if grant is not GRANTS[index]), ENDING)
    stack, status = create(EVERYTHING_OF_THE_PRODUCT, RoleARN=deploying.arn)
    assert status == "ROLLBACK_COMPLETE"
    (action,) = GRANTS[index]["Action"]
    because = f'because no identity-based policy allows the {action} action" (HandlerErrorCode: AccessDenied)'
    first = reasons(stack, "CREATE_FAILED")[-1]
    assert first.startswith(refused(deploying.name, action))
    assert first.endswith(because)
    assert delete(stack) == "DELETE_COMPLETE"


def test_a_boundary_of_the_role_counts(deploying: Role) -> None:
    iam = boto3.client("iam")
    deploying.may(allow("*"))
    boundary = iam.create_policy(PolicyName=deploying.name, PolicyDocument=document(allow("s3:Get*", "s3:Delete*")))
    arn = boundary["Policy"].get("Arn", "")
    iam.put_role_permissions_boundary(RoleName=deploying.name, PermissionsBoundary=arn)
    stack, status = create(BUCKET, RoleARN=deploying.arn)
    assert status == "ROLLBACK_COMPLETE"
    assert "because no permissions boundary allows the s3:CreateBucket action" in reasons(stack, "CREATE_FAILED")[0]
    iam.delete_role_permissions_boundary(RoleName=deploying.name)
    assert create(BUCKET, RoleARN=deploying.arn)[1] == "CREATE_COMPLETE"


def test_the_role_stays_with_the_stack_until_it_is_deleted(deploying: Role) -> None:
    deploying.may(allow("s3:CreateBucket"))
    stack, status = create(BUCKET, RoleARN=deploying.arn)
    assert status == "CREATE_COMPLETE"
    versioned = {
        "Resources": {
            "Data": BUCKET["Resources"]["Data"] | {"Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
        }
    }
    update: Any = {"StackName": stack, "TemplateBody": json.dumps(versioned)}
    boto3.client("cloudformation").update_stack(**update)
    assert settled(stack) == "UPDATE_ROLLBACK_COMPLETE"
    assert reasons(stack, "UPDATE_FAILED")[0].startswith(refused(deploying.name, "s3:PutBucketVersioning"))
    deploying.may(allow("s3:PutBucketVersioning"))
    boto3.client("cloudformation").update_stack(**update)
    assert settled(stack) == "UPDATE_COMPLETE"
    assert delete(stack) == "DELETE_FAILED"
    assert reasons(stack, "DELETE_FAILED")[0].startswith(refused(deploying.name, "s3:DeleteBucket"))
    deploying.may(allow("s3:DeleteBucket"))
    assert delete(stack) == "DELETE_COMPLETE"


def test_a_change_set_is_executed_in_the_role_that_it_was_made_with(deploying: Role) -> None:
    for grants, expected in (((), "ROLLBACK_COMPLETE"), ((allow("s3:CreateBucket"),), "CREATE_COMPLETE")):
        deploying.may(*grants)
        assert executed_change_set(deploying) == expected


def test_a_role_that_does_not_trust_cloudformation_is_refused(role: Callable[[str], Role]) -> None:
    other = role("lambda.amazonaws.com")
    other.may(allow("*"))
    with pytest.raises(ClientError, match=f"Role {other.arn} is invalid or cannot be assumed") as error:
        create(BUCKET, RoleARN=other.arn)
    assert error.value.response.get("Error", {}).get("Code") == "ValidationError"


def test_whoever_hands_a_role_over_must_be_allowed_to_pass_it(deploying: Role) -> None:
    deploying.may(allow("s3:CreateBucket"))
    to_cloudformation = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    for condition, allowed in ((to_cloudformation, True), (to_lambda, False)):
        passing = allow("iam:PassRole", resource=deploying.arn, Condition=condition)
        with user(allow("cloudformation:*"), passing) as session:
            if allowed:
                assert create(BUCKET, session, RoleARN=deploying.arn)[1] == "CREATE_COMPLETE"
                continue
            with pytest.raises(ClientError, match=f"to perform: iam:PassRole on resource: {deploying.arn}") as error:
                create(BUCKET, session, RoleARN=deploying.arn)
            assert error.value.response.get("Error", {}).get("Code") == "AccessDenied"


def test_the_cdks_execution_role_may_be_narrowed(deployed: Deployment) -> None:  # noqa: ARG001 - with a bootstrap
    named = f"cdk-hnb659fds-{{}}-role-{ACCOUNT}-{REGION}"
    credentials = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{named.format('deploy')}", RoleSessionName="cdk"
    )["Credentials"]
    deploy = boto3.Session(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    narrowed = Role(named.format("cfn-exec"))
    try:
        for grant, expected in (({"Effect": "Deny"}, "ROLLBACK_COMPLETE"), ({}, "CREATE_COMPLETE")):
            narrowed.may(allow("s3:CreateBucket") | grant)
            assert executed_change_set(narrowed, deploy) == expected
    finally:
        boto3.client("iam").delete_role_policy(RoleName=narrowed.name, PolicyName="it")


def test_without_a_role_cloudformation_may_do_what_its_caller_may(aws: running_instance.RunningInstance | None) -> None:  # noqa: ARG001
    for grants, expected in (((), "ROLLBACK_COMPLETE"), ((allow("s3:CreateBucket"),), "CREATE_COMPLETE")):
        with user(allow("cloudformation:*"), *grants) as session:
            assert create(BUCKET, session)[1] == expected


def test_a_type_that_is_in_no_table_takes_all_of_its_service(deploying: Role) -> None:
    template = {"Resources": {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": deploying.name}}}}
    for action, expected in (("events:CreateEventBus", "ROLLBACK_COMPLETE"), ("events:*", "CREATE_COMPLETE")):
        deploying.may(allow(action))
        stack, status = create(template, RoleARN=deploying.arn)
        assert status == expected
        if status != "CREATE_COMPLETE":
            assert reasons(stack, "CREATE_FAILED")[0].startswith(refused(deploying.name, "events:*"))


# Tasks of state machines.


@dataclass(frozen=True)
class Task:
    """A task, the grant that it takes, and the error with which it fails without."""

    resource: str
    parameters: Mapping[str, Any]
    action: str
    on: str
    error: str


TASKS = (
    Task(
        "aws-sdk:s3:deleteObject",
        {"Bucket": "of-tasks", "Key": "in/a.txt"},
        "s3:DeleteObject",
        "arn:aws:s3:::of-tasks/in/*",
        "S3.S3Exception",
    ),
    Task(
        "aws-sdk:s3:headObject",
        {"Bucket": "of-tasks", "Key": "in/there.txt"},
        "s3:GetObject",
        "arn:aws:s3:::of-tasks/in/*",
        "S3.S3Exception",
    ),
    Task(
        "aws-sdk:ssm:putParameter",
        {"Name": "of-tasks", "Value": "x", "Type": "String", "Overwrite": True},
        "ssm:PutParameter",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/of-tasks",
        "Ssm.SsmException",
    ),
    Task(
        "aws-sdk:sqs:sendMessage",
        {"QueueUrl": "{queue}", "MessageBody": "x"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:of-tasks",
        "Sqs.SqsException",
    ),
    Task(
        "sqs:sendMessage",
        {"QueueUrl": "{queue}", "MessageBody": "x"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:of-tasks",
        "SQS.AmazonSQSException",
    ),
    Task(
        "sns:publish",
        {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:of-tasks", "Message": "x"},
        "sns:Publish",
        f"arn:aws:sns:{REGION}:{ACCOUNT}:of-tasks",
        "SNS.AuthorizationErrorException",
    ),
    Task(
        "dynamodb:putItem",
        {"TableName": "of-tasks", "Item": {"id": {"S": "a"}}},
        "dynamodb:PutItem",
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/of-tasks",
        "DynamoDB.AmazonDynamoDBException",
    ),
    Task(
        "events:putEvents",
        {"Entries": [{"Source": "of.tasks", "DetailType": "x", "Detail": {}}]},
        "events:PutEvents",
        f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
        "EventBridge.AmazonEventBridgeException",
    ),
    Task(
        "states:startExecution",
        {"StateMachineArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:of-tasks"},
        "states:StartExecution",
        f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:of-tasks",
        "StepFunctions.AWSStepFunctionsException",
    ),
)


@pytest.fixture(scope="module")
def called(aws: running_instance.RunningInstance | None) -> str:  # noqa: ARG001 - boto3 talks to it
    """What the tasks call; returns the URL of the queue."""
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="of-tasks")
    s3.put_object(Bucket="of-tasks", Key="in/there.txt", Body=b"x")
    s3.put_object(Bucket="of-tasks", Key="items.json", Body=b"[1, 2]")
    any_client("sns").create_topic(Name="of-tasks")
    any_client("dynamodb").create_table(
        TableName="of-tasks",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    iam = boto3.client("iam")
    iam.create_role(RoleName="of-tasks", AssumeRolePolicyDocument=json.dumps(TRUST["states.amazonaws.com"]))
    boto3.client("stepfunctions").create_state_machine(
        name="of-tasks",
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/of-tasks",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
    )
    return any_client("sqs").create_queue(QueueName="of-tasks")["QueueUrl"]


def any_client(service: Any) -> Any:
    """A client of a service for which no stubs are installed."""
    session: Any = boto3
    return session.client(service)


@pytest.fixture
def machine_role(role: Callable[[str], Role]) -> Role:
    return role("states.amazonaws.com")


@contextmanager
def machine(role: Role, *states: tuple[str, Mapping[str, Any]]) -> Generator[str]:
    """A state machine of states."""
    stepfunctions = boto3.client("stepfunctions")
    made = stepfunctions.create_state_machine(
        name=f"judged-{uuid.uuid4().hex[:8]}",
        roleArn=role.arn,
        definition=json.dumps({"StartAt": states[0][0], "States": dict(states)}),
    )["stateMachineArn"]
    yield made
    stepfunctions.delete_state_machine(stateMachineArn=made)


def execute(machine_arn: str) -> Mapping[str, Any]:
    stepfunctions = boto3.client("stepfunctions")
    execution = stepfunctions.start_execution(stateMachineArn=machine_arn)["executionArn"]
    end = time.monotonic() + 30
    while time.monotonic() < end:
        described = stepfunctions.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            return dict(described)
        time.sleep(0.05)
    raise AssertionError(f"{execution} does not end")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.resource)
def test_a_task_does_what_the_role_of_its_machine_may(machine_role: Role, called: str, task: Task) -> None:
    parameters = {
        name: value.format(queue=called) if isinstance(value, str) else value for name, value in task.parameters.items()
    }
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{task.resource}", "Parameters": parameters, "End": True}
    with machine(machine_role, ("Do", state)) as arn:
        machine_role.may(allow(task.action, resource=task.on))
        done = execute(arn)
        assert done["status"] == "SUCCEEDED", done
        for grants in ((allow(task.action, resource=f"{task.on}-not"),), ()):
            machine_role.may(*grants)
            failed = execute(arn)
            assert (failed["status"], failed["error"]) == ("FAILED", task.error)
            assert f"assumed-role/{machine_role.name}/" in failed["cause"]
            assert f"is not authorized to perform: {task.action} on resource: " in failed["cause"]


def test_a_refusal_can_be_caught(machine_role: Role, called: str) -> None:  # noqa: ARG001 - the bucket
    deletion = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:deleteObject",
        "Parameters": {"Bucket": "of-tasks", "Key": "out/a.txt"},
        "Catch": [{"ErrorEquals": ["S3.S3Exception"], "Next": "Caught"}],
        "End": True,
    }
    with machine(
        machine_role, ("Delete", deletion), ("Caught", {"Type": "Pass", "Result": "caught", "End": True})
    ) as arn:
        machine_role.may(allow("s3:DeleteObject", resource="arn:aws:s3:::of-tasks/in/*"))
        done = execute(arn)
        assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", "caught")
        machine_role.may(allow("s3:DeleteObject", resource="arn:aws:s3:::of-tasks/out/*"))
        assert "caught" not in execute(arn)["output"]


def test_a_state_that_is_tried_by_itself_is_done_in_the_role_that_it_is_tried_with(
    machine_role: Role,
    called: str,  # noqa: ARG001 - the bucket
) -> None:
    head = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:headObject",
        "Parameters": {"Bucket": "of-tasks", "Key": "in/there.txt"},
        "End": True,
    }
    # `test_state` of the client goes to a host of its own (`sync-`), which no loopback address has.
    config = Config(inject_host_prefix=False)
    for action, status in (("s3:GetObject", "SUCCEEDED"), ("s3:PutObject", "FAILED")):
        machine_role.may(allow(action))
        tried = boto3.client("stepfunctions", config=config).test_state(
            definition=json.dumps(head), roleArn=machine_role.arn
        )
        assert tried["status"] == status


def test_a_task_that_waits_for_its_token_fails_when_it_may_not_be_started(
    machine_role: Role,
    called: str,
) -> None:
    send = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": called, "MessageBody": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 1,
        "End": True,
    }
    with machine(machine_role, ("Send", send)) as arn:
        for grants, error in (((allow("sqs:SendMessage"),), "States.Timeout"), ((), "SQS.AmazonSQSException")):
            machine_role.may(*grants)
            assert execute(arn)["error"] == error


def test_a_distributed_map_reads_its_items_and_starts_its_executions_in_the_role(
    machine_role: Role,
    called: str,  # noqa: ARG001 - the bucket
) -> None:
    each = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "of-tasks", "Key": "items.json"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Same",
            "States": {"Same": {"Type": "Pass", "End": True}},
        },
        "End": True,
    }
    with machine(machine_role, ("Each", each)) as arn:
        reading = allow("s3:GetObject", resource="arn:aws:s3:::of-tasks/items.json")
        starting = allow("states:StartExecution", resource=arn)
        for grants, error in (
            ((reading, starting), None),
            ((starting,), "States.ItemReaderFailed"),
            ((reading,), "StepFunctions.AWSStepFunctionsException"),
        ):
            machine_role.may(*grants)
            assert execute(arn).get("error") == error


def test_a_machine_whose_role_does_not_trust_step_functions_does_nothing(
    role: Callable[[str], Role],
    called: str,  # noqa: ARG001 - the bucket
) -> None:
    other = role("lambda.amazonaws.com")
    other.may(allow("*"))
    head = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:headObject",
        "Parameters": {"Bucket": "of-tasks", "Key": "in/there.txt"},
        "End": True,
    }
    with machine(other, ("Head", head)) as arn:
        assert "states.amazonaws.com is not authorized to perform: sts:AssumeRole" in execute(arn)["cause"]
