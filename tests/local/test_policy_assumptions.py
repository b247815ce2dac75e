"""Assumptions about AWS on which the policies that Sandpiper deploys depend.

The tests run against the embedded AWS, and against AWS with SANDPIPER_TARGET=aws. There they need permissions to create
and delete buckets, KMS keys, log groups, roles, stacks, state machines, interpreters and trails. Keys are deleted after
seven days.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandpiper import deployment
from sandpiper.audit.check import check_trail
from sandpiper.environment import Environment
from sandpiper.names import SESSION_FUNCTION_ROLE, data_bucket_name, role_name_pattern, stack_name
from sandpiper.plan.deployed import Account
from sandpiper_contract.bucket_policy import ObjectAccess, customer_key_statement, object_access_statements
from sandpiper_contract.settings import ACCESS_LOGS_SUFFIX, AUDIT_SUFFIX
from tests.support.assemblies import synthesize
from tests.support.iam import allow, any_client, document
from tests.support.source_vpc import check_credentials_are_useless_elsewhere
from tests.support.stacks import delete, wait_until_settled
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("aws")

PROPAGATION_SECONDS = 60 if ON_AWS else 0
"""How long IAM on AWS may take until a new policy applies."""
DELIVERY_SECONDS = 1_800
"""How long the delivery of a log file may take. CloudTrail delivers in about five minutes on average."""
TENANT_TAGS = {"sandpiper:environment": "probe", "sandpiper:tenant": "claims"}
CUSTOMER_KEY: Any = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


def account() -> str:
    return boto3.client("sts").get_caller_identity()["Account"]


def eventually(call: Callable[[], Any], *, seconds: int = PROPAGATION_SECONDS) -> Any:
    """Returns the result of a call. Retries it while AWS may not have applied a change, by default of IAM."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ClientError:
            if time.monotonic() >= end:
                raise
            time.sleep(2)


def is_denied(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response.get("Error", {}).get("Code") == "AccessDenied", error
        return True
    return False


@pytest.fixture(scope="module")
def bucket() -> Generator[str]:
    s3, name = boto3.resource("s3"), f"sandpiper-probe-{uuid.uuid4().hex[:12]}"
    region = s3.meta.client.meta.region_name
    location: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    created = s3.create_bucket(Bucket=name, **location)
    yield name
    s3.meta.client.delete_bucket_policy(Bucket=name)
    created.objects.delete()
    created.delete()


@contextmanager
def role(
    trusted: Mapping[str, str], *statements: dict[str, Any], prefix: str = "sandpiper-probe-", **tags: str
) -> Generator[str]:
    """Creates a role. Yields its name."""
    iam, name = boto3.client("iam"), f"{prefix}{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted}
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=document(trust),
        Tags=[{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()],
    )
    iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=document(*statements))
    yield name
    iam.delete_role_policy(RoleName=name, PolicyName="probe")
    iam.delete_role(RoleName=name)


def client_of(name: str, service: str = "s3") -> Any:
    """Returns a client of a service with a session of a role."""
    arn = f"arn:aws:iam::{account()}:role/{name}"
    found = eventually(lambda: boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="probe"))["Credentials"]
    session: Any = boto3
    return session.client(
        service,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )


def test_bucket_policy_selects_the_tenant_by_the_arn_and_the_tags_of_a_role(bucket: str) -> None:
    """`aws:PrincipalArn` is the ARN of the role, and a variable in NotResource has a default."""
    everything = allow("s3:*", resource=[f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])
    access = ObjectAccess(
        environment="probe",
        role_names="sandpiper-probe-*",
        session_function_names="sandpiper-probe-*-SessionFunctionRole*",
        tenants_prefix="tenants",
    )
    tags = {key.replace(":", "__"): value for key, value in TENANT_TAGS.items()}
    trusted = {"AWS": account()}
    with (
        role(trusted, everything, **tags) as code,
        role(trusted, everything) as untagged,
        role(trusted, everything, prefix="probe-", **tags) as other_name,
    ):
        clients = {name: client_of(name) for name in (code, untagged, other_name)}
        for s3 in clients.values():
            eventually(lambda s3=s3: s3.put_object(Bucket=bucket, Key="control", Body=b""))
        statements = object_access_statements(f"arn:aws:s3:::{bucket}", f"arn:aws:iam::{account()}:role/", access)
        policy = {"Version": "2012-10-17", "Statement": statements}
        boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

        def denied(name: str, key: str) -> bool:
            return is_denied(lambda: clients[name].put_object(Bucket=bucket, Key=key, Body=b""))

        own, others = "tenants/claims/sandbox/one/a", "tenants/motor/sandbox/one/a"
        assert [denied(code, key) for key in (own, others, "tenants/claims/inputs/a")] == [False, True, True]
        assert [denied(name, own) for name in (untagged, other_name)] == [True, True]
        # A principal that may change the policy is not locked out.
        clients[other_name].delete_bucket_policy(Bucket=bucket)


def test_bucket_policy_denies_customer_provided_keys(bucket: str) -> None:
    everything = allow("s3:*", resource=[f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"])
    statements = [
        customer_key_statement(f"arn:aws:s3:::{bucket}"),
        {
            **{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"},
            "Condition": {"NumericLessThan": {"s3:TlsVersion": 1.2}},
        },
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    with role({"AWS": account()}, everything) as name:
        s3 = client_of(name)
        boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        eventually(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b""))
        assert is_denied(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"", **CUSTOMER_KEY))
        assert is_denied(lambda: s3.create_multipart_upload(Bucket=bucket, Key="a", **CUSTOMER_KEY))


@pytest.fixture(scope="module")
def key() -> Generator[str]:
    """ARN of a key that CloudWatch Logs can use for groups below `/sandpiper-probe/`. IAM policies allow all else."""
    kms, region = any_client("kms"), boto3.Session().region_name
    groups = f"arn:aws:logs:{region}:{account()}:log-group:/sandpiper-probe/*"
    policy = document(
        allow("kms:*", Principal={"AWS": f"arn:aws:iam::{account()}:root"}),
        allow(
            *("kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"),
            Principal={"Service": f"logs.{region}.amazonaws.com"},
            Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        ),
    )
    metadata = kms.create_key(Policy=policy, Description="Sandpiper: probe of assumptions")["KeyMetadata"]
    yield metadata["Arn"]
    kms.schedule_key_deletion(KeyId=metadata["KeyId"], PendingWindowInDays=7)


@pytest.mark.parametrize(
    ("folder", "status"), [("/sandpiper-probe", "CREATE_COMPLETE"), ("/other", "ROLLBACK_COMPLETE")]
)
def test_log_groups_use_a_key_with_their_arn_as_encryption_context(key: str, folder: str, status: str) -> None:
    name = f"sandpiper-probe-{uuid.uuid4().hex[:8]}"
    group = {"LogGroupName": f"{folder}/{name}", "KmsKeyId": key}
    body = {"Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": group}}}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(body))
    assert wait_until_settled(name) == status
    cloudformation.delete_stack(StackName=name)


def test_executions_need_the_key_of_their_state_machine_without_via_service(key: str) -> None:
    states, name = any_client("stepfunctions"), f"sandpiper-probe-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:states:{boto3.Session().region_name}:{account()}:stateMachine:{name}"
    context = {"StringEquals": {"kms:EncryptionContext:aws:states:stateMachineArn": arn}}
    use = allow("kms:Decrypt", "kms:GenerateDataKey", resource=key, Condition=context)
    via_service = {"StringEquals": {**context["StringEquals"], "kms:ViaService": "states.amazonaws.com"}}
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    encryption = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key, "kmsDataKeyReusePeriodSeconds": 60}
    with role({"Service": "states.amazonaws.com"}, use) as role_name:
        role_arn = f"arn:aws:iam::{account()}:role/{role_name}"
        eventually(
            lambda: states.create_state_machine(
                name=name, roleArn=role_arn, definition=definition, encryptionConfiguration=encryption
            )
        )
        execution = eventually(lambda: states.start_execution(stateMachineArn=arn))["executionArn"]
        assert states.describe_execution(executionArn=execution)["executionArn"] == execution
        denied = document({**use, "Condition": via_service})
        boto3.client("iam").put_role_policy(RoleName=role_name, PolicyName="probe", PolicyDocument=denied)
        time.sleep(PROPAGATION_SECONDS)
        with pytest.raises(ClientError, match="KmsAccessDeniedException"):
            states.start_execution(stateMachineArn=arn)
        states.delete_state_machine(stateMachineArn=arn)


def test_readers_of_executions_need_the_key_through_step_functions(key: str) -> None:
    states, name, region = (
        any_client("stepfunctions"),
        f"sandpiper-probe-{uuid.uuid4().hex[:8]}",
        boto3.Session().region_name,
    )
    arn = f"arn:aws:states:{region}:{account()}:stateMachine:{name}"
    context = {"kms:EncryptionContext:aws:states:stateMachineArn": arn}
    use = allow("kms:Decrypt", "kms:GenerateDataKey", resource=key, Condition={"StringEquals": context})
    through = {"StringEquals": {**context, "kms:ViaService": f"states.{region}.amazonaws.com"}}
    reads = allow("states:DescribeExecution")
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    with (
        role({"Service": "states.amazonaws.com"}, use) as runner,
        role({"AWS": account()}, reads, allow("kms:Decrypt", resource=key, Condition=through)) as reader,
        role({"AWS": account()}, reads) as stranger,
    ):
        eventually(
            lambda: states.create_state_machine(
                name=name,
                roleArn=f"arn:aws:iam::{account()}:role/{runner}",
                definition=definition,
                encryptionConfiguration={"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key},
            )
        )
        execution = eventually(lambda: states.start_execution(stateMachineArn=arn))["executionArn"]
        allowed, denied = (client_of(each, "stepfunctions") for each in (reader, stranger))
        assert eventually(lambda: allowed.describe_execution(executionArn=execution))["executionArn"] == execution
        with pytest.raises(ClientError, match="KmsAccessDeniedException"):
            denied.describe_execution(executionArn=execution)
        states.delete_state_machine(stateMachineArn=arn)


if ON_AWS:  # on the embedded AWS, tests/local/test_environment_network.py does the same

    def test_requests_of_code_in_the_network_have_its_vpc() -> None:
        """Needs SANDPIPER_ENVIRONMENT and SANDPIPER_TENANT with an interpreter in the environment's network."""
        check_credentials_are_useless_elsewhere(deployment.find(boto3.Session(), ENVIRONMENT, TENANT))


def test_generated_names_of_roles_match_the_patterns_of_policies() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    resource = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": trust}},
    }
    ids = ("SessionFunctionRole1A2B3C4D", "InterpreterwithalongnameExecutionRole1a2b3c4d9F8E7D6C", "Role")
    longest = "averylongenvironment", "averylongtenantsname0001"
    for environment, tenant in (("dev", "a"), ("thirteenchars", "claims"), longest):
        stack = stack_name(environment, tenant)
        body = json.dumps({"Resources": dict.fromkeys(ids, resource)})
        boto3.client("cloudformation").create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        assert wait_until_settled(stack) == "CREATE_COMPLETE"
        summaries = boto3.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
        names = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in summaries}
        assert max(map(len, names.values())) <= 64
        assert all(fnmatchcase(name, role_name_pattern(environment)) for name in names.values())
        of_session_functions = role_name_pattern(environment, SESSION_FUNCTION_ROLE)
        assert [name for name in ids if fnmatchcase(names[name], of_session_functions)] == [ids[0]]
        boto3.client("cloudformation").delete_stack(StackName=stack)


def test_trail_delivers_events_of_an_interpreter_to_its_bucket(tmp_path: Path) -> None:
    """On the embedded AWS, which delivers no log files, it checks only that the trail records."""
    cloudformation, region = boto3.client("cloudformation"), boto3.Session().region_name or ""
    options: dict[str, Any] = {"name": "probe", "account": account(), "region": region, "owner": "a probe"}
    environment: dict[str, Any] = {
        **options,
        "interpreters": {"run": {}},
        "audit": {"trail": "own"},
        "data_bucket": {"retain": False},
    }
    resources = synthesize(tmp_path, environment)["sandpiper-probe-storage"].content["Resources"]
    body = json.dumps({"Resources": resources})
    stack = cloudformation.create_stack(StackName=f"probe-{uuid.uuid4().hex[:8]}", TemplateBody=body)["StackId"]
    control: Any = boto3.client("bedrock-agentcore-control")
    name = f"probe__{uuid.uuid4().hex[:8]}"
    interpreter = control.create_code_interpreter(name=name, networkConfiguration={"networkMode": "SANDBOX"})
    try:
        assert wait_until_settled(stack) == "CREATE_COMPLETE"
        checked = check_trail(Account(boto3.Session(), None), Environment.model_validate(environment))
        assert checked is not None
        assert checked.problems == ()
        data: Any = boto3.client("bedrock-agentcore")
        identifier = interpreter["codeInterpreterId"]
        session = data.start_code_interpreter_session(codeInterpreterIdentifier=identifier)["sessionId"]
        data.stop_code_interpreter_session(codeInterpreterIdentifier=identifier, sessionId=session)
        bucket = data_bucket_name("probe", account(), region) + AUDIT_SUFFIX
        if ON_AWS:
            event = eventually(lambda: event_in(bucket, identifier), seconds=DELIVERY_SECONDS)
            assert event["eventName"] == "StartCodeInterpreterSession"
        boto3.client("s3").delete_bucket_policy(Bucket=bucket)  # it denies every deletion of a log file
        for each in (bucket, bucket.removesuffix(AUDIT_SUFFIX) + ACCESS_LOGS_SUFFIX):
            boto3.resource("s3").Bucket(each).object_versions.delete()
    finally:
        control.delete_code_interpreter(codeInterpreterId=interpreter["codeInterpreterId"])
        delete(stack)


def event_in(bucket: str, interpreter: str) -> dict[str, Any]:
    """Returns the start of a session in a log file. Raises ClientError, for `eventually`, while there is none."""
    for item in boto3.resource("s3").Bucket(bucket).objects.all():
        if item.key.endswith(".json.gz"):
            for event in json.loads(gzip.decompress(item.get()["Body"].read())).get("Records", []):
                resources = {each.get("ARN", "") for each in event.get("resources", [])}
                if event["eventName"].startswith("Start") and any(arn.endswith(interpreter) for arn in resources):
                    return event
    raise ClientError({"Error": {"Code": "NotDelivered", "Message": "no event yet"}}, "GetObject")
