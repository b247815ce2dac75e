"""Ways to read an input of a tenant, or to forge one of its idempotency records."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from tests.support.account import ACCOUNT, REGION
from tests.support.agentcore_sessions import Session
from tests.support.iam import Role, allow, any_client, document
from tests.support.stacks import wait_until_settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from sandpiper.deployment import Deployment

    Attack = Callable[[Any, "Victim", ExitStack], object]

SECRET = b"payroll"
PRIVATE_CODE = "print('from the history')"
NAME = "attacked"
"""The name of the environment."""
TAGS = [{"Key": "sandpiper:environment", "Value": NAME}, {"Key": "sandpiper:tenant", "Value": "claims"}]
"""The tags of roles of the tenant."""
ANY_ROLE_OF_THE_ACCOUNT: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": ACCOUNT},
    "Action": "sts:AssumeRole",
}


class NotStolenError(Exception):
    """A call had success and returned nothing."""


@dataclass(frozen=True)
class Victim:
    """The tenant `claims`, its roles and a former execution."""

    deployment: Deployment
    role: str
    function: str
    execution: str

    @property
    def bundle(self) -> dict[str, str]:
        """The bundle of the session function, in the bucket of the CDK."""
        stack = f"sandpiper-{NAME}-claims"
        template: Any = any_client("cloudformation").get_template(StackName=stack)["TemplateBody"]
        (code,) = (
            each["Properties"]["Code"]
            for name, each in template["Resources"].items()
            if each["Type"] == "AWS::Lambda::Function" and name.startswith("SessionFunction")
        )
        return {"Bucket": f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}", "Key": code["S3Key"]}

    @property
    def input(self) -> dict[str, str]:
        return {"Bucket": self.deployment.bucket, "Key": f"{self.deployment.prefix}/inputs/payroll.csv"}

    @property
    def record(self) -> dict[str, str]:
        return {"Bucket": self.deployment.bucket, "Key": f"{self.deployment.prefix}/runs/run/e1/S/claim.json"}

    @property
    def own_file(self) -> dict[str, str]:
        return {"Bucket": self.deployment.bucket, "Key": f"{self.deployment.prefix}/sandbox/sandbox/a.csv"}


def resources_of(tenant: str) -> dict[str, list[str]]:
    """Returns the physical IDs of a tenant's resources by type."""
    found: dict[str, list[str]] = {}
    stack = f"sandpiper-{NAME}-{tenant}"
    for each in any_client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]:
        found.setdefault(each["ResourceType"], []).append(each.get("PhysicalResourceId", ""))
    return found


def assumed(arn: str, session: Any = None) -> Any:
    sts = (session or boto3).client("sts")
    credentials = sts.assume_role(RoleArn=arn, RoleSessionName="attack")["Credentials"]
    return session_of(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


def session_of(*credentials: str) -> Any:
    return boto3.Session(*credentials, region_name=REGION)


def read(session: Any, victim: Victim) -> None:
    body = session.client("s3").get_object(**victim.input)["Body"].read()
    if body != SECRET:
        raise NotStolenError


def read_object(session: Any, victim: Victim, _: ExitStack) -> None:
    read(session, victim)


def write_record(session: Any, victim: Victim, _: ExitStack) -> None:
    session.client("s3").put_object(**victim.record, Body=b"forged")


def delete_record(session: Any, victim: Victim, undo: ExitStack) -> None:
    undo.callback(any_client("s3").put_object, **victim.record, Body=SECRET)
    session.client("s3").delete_object(**victim.record)


def change_bucket_policy(session: Any, victim: Victim, undo: ExitStack) -> None:
    root, bucket = any_client("s3"), victim.deployment.bucket
    policy = root.get_bucket_policy(Bucket=bucket)["Policy"]
    undo.callback(root.put_bucket_policy, Bucket=bucket, Policy=policy)
    session.client("s3").delete_bucket_policy(Bucket=bucket)
    read(session, victim)


def expire_records(session: Any, victim: Victim, undo: ExitStack) -> None:
    root, bucket = any_client("s3"), victim.deployment.bucket
    rules = root.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    undo.callback(root.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    session.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def assume_role(session: Any, victim: Victim, _: ExitStack) -> None:
    read(assumed(f"arn:aws:iam::{ACCOUNT}:role/{victim.role}", session), victim)


def change_trust(session: Any, victim: Victim, undo: ExitStack) -> None:
    root = any_client("iam")
    trust: Any = root.get_role(RoleName=victim.role)["Role"].get("AssumeRolePolicyDocument")
    undo.callback(root.update_assume_role_policy, RoleName=victim.role, PolicyDocument=json.dumps(trust))
    changed = document(ANY_ROLE_OF_THE_ACCOUNT)
    session.client("iam").update_assume_role_policy(RoleName=victim.role, PolicyDocument=changed)
    read(assumed(f"arn:aws:iam::{ACCOUNT}:role/{victim.role}", session), victim)


def create_role(session: Any, victim: Victim, undo: ExitStack) -> None:
    iam, name = session.client("iam"), f"sandpiper-{NAME}-claims-SessionFunctionRole{uuid.uuid4().hex[:8]}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(ANY_ROLE_OF_THE_ACCOUNT), Tags=TAGS)
    undo.callback(any_client("iam").delete_role, RoleName=name)
    iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=document(allow("s3:*")))
    undo.callback(any_client("iam").delete_role_policy, RoleName=name, PolicyName="it")
    read(assumed(f"arn:aws:iam::{ACCOUNT}:role/{name}", session), victim)


def tag_session(session: Any, victim: Victim, undo: ExitStack) -> None:
    """Assumes a role that allows its callers to set tags, with the tags of the tenant."""
    role = Role(f"accomplice-{uuid.uuid4().hex[:8]}")
    trust = {**ANY_ROLE_OF_THE_ACCOUNT, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    any_client("iam").create_role(RoleName=role.name, AssumeRolePolicyDocument=document(trust))
    undo.callback(any_client("iam").delete_role, RoleName=role.name)
    role.set_permissions(allow("*"))
    undo.callback(any_client("iam").delete_role_policy, RoleName=role.name, PolicyName="it")
    found = session.client("sts").assume_role(RoleArn=role.arn, RoleSessionName="attack", Tags=TAGS)["Credentials"]
    read(session_of(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]), victim)


def program_with_credentials() -> bytes:
    """Returns a bundle with the handler of the session function, which returns the credentials of its role."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    program = f"import os\ndef run_operation(event, context):\n    return [os.environ[name] for name in {names}]\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code_runner/__init__.py", "")
        file.writestr("code_runner/handlers.py", program)
    return archive.getvalue()


def read_with_credentials_of(functions: Any, name: str, victim: Victim) -> None:
    credentials = json.loads(functions.invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
    read(session_of(*credentials), victim)


def replace_function(session: Any, victim: Victim, undo: ExitStack) -> None:
    root, bundle = any_client("lambda"), {"S3Bucket": victim.bundle["Bucket"], "S3Key": victim.bundle["Key"]}
    undo.callback(root.update_function_code, FunctionName=victim.function, **bundle)
    functions = session.client("lambda")
    functions.update_function_code(FunctionName=victim.function, ZipFile=program_with_credentials())
    read_with_credentials_of(functions, victim.function, victim)


def create_function(session: Any, victim: Victim, undo: ExitStack) -> None:
    functions, name = session.client("lambda"), f"attack-{uuid.uuid4().hex[:8]}"
    deployed = any_client("lambda").get_function_configuration(FunctionName=victim.function)
    undo.callback(delete_function, name)
    functions.create_function(
        FunctionName=name,
        Role=deployed["Role"],
        Runtime=deployed["Runtime"],
        Handler="code_runner.handlers.run_operation",
        Code={"ZipFile": program_with_credentials()},
    )
    read_with_credentials_of(functions, name, victim)


def delete_function(name: str) -> None:
    functions = any_client("lambda")
    with suppress(functions.exceptions.ResourceNotFoundException):
        functions.delete_function(FunctionName=name)


def replace_bundle(session: Any, victim: Victim, undo: ExitStack) -> None:
    """Replaces the bundle that the next deployment of the function uses."""
    root = any_client("s3")
    undo.callback(root.put_object, **victim.bundle, Body=root.get_object(**victim.bundle)["Body"].read())
    session.client("s3").put_object(**victim.bundle, Body=b"forged")


def invoke_function(session: Any, victim: Victim, _: ExitStack) -> None:
    """Requests a run that no execution has, which writes its record."""
    run = {"execution": f"forged-{uuid.uuid4().hex}"}
    event = {"operation": "run_code", "run": run, "request": {"code": "print(1)"}}
    session.client("lambda").invoke(FunctionName=victim.function, Payload=json.dumps(event).encode())
    written = f"{victim.deployment.prefix}/runs/=none/{run['execution']}/"
    if not any_client("s3").list_objects_v2(Bucket=victim.deployment.bucket, Prefix=written)["KeyCount"]:
        raise NotStolenError


def change_workflow(session: Any, victim: Victim, undo: ExitStack) -> None:
    """Changes the definition. The next execution could send any run to the session function."""
    root, arn = any_client("stepfunctions"), victim.deployment.run_code_arn
    definition = root.describe_state_machine(stateMachineArn=arn)["definition"]
    undo.callback(root.update_state_machine, stateMachineArn=arn, definition=definition)
    changed = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    session.client("stepfunctions").update_state_machine(stateMachineArn=arn, definition=changed)


def run_code(session: Any, victim: Victim, undo: ExitStack) -> None:
    """Runs code in a sandbox of the tenant, which reads the folder of the interpreter."""
    (interpreter,) = victim.deployment.interpreters.values()
    sandbox = Session(session.client("bedrock-agentcore"), interpreter)
    undo.callback(Session.stop, sandbox)
    program = f"import boto3; print(boto3.client('s3').get_object(**{victim.own_file})['Body'].read().decode())"
    if SECRET.decode() not in sandbox.python(program)["stdout"]:
        raise NotStolenError


def read_history(session: Any, victim: Victim, _: ExitStack) -> None:
    history = session.client("stepfunctions").get_execution_history(executionArn=victim.execution)
    if PRIVATE_CODE not in json.dumps(history, default=str):
        raise NotStolenError


def deploy_template(session: Any, victim: Victim, undo: ExitStack) -> None:
    """Deploys a role with the name and the tags of the tenant, with the role of the CDK for CloudFormation."""
    caller = session.client("sts").get_caller_identity()["Arn"].split("/")[1]
    trust = {**ANY_ROLE_OF_THE_ACCOUNT, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/{caller}"}}
    properties = {
        "RoleName": f"sandpiper-{NAME}-claims-SessionFunctionRole{uuid.uuid4().hex[:8]}",
        "AssumeRolePolicyDocument": json.loads(document(trust)),
        "Tags": TAGS,
        "Policies": [{"PolicyName": "it", "PolicyDocument": json.loads(document(allow("s3:*")))}],
    }
    body = json.dumps({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}})
    stack = f"attack-{uuid.uuid4().hex[:8]}"
    session.client("cloudformation").create_stack(
        StackName=stack,
        TemplateBody=body,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        RoleARN=f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}",
    )
    undo.callback(any_client("cloudformation").delete_stack, StackName=stack)
    assert wait_until_settled(stack) == "CREATE_COMPLETE"
    read(assumed(f"arn:aws:iam::{ACCOUNT}:role/{properties['RoleName']}", session), victim)


ATTACKS: dict[str, Attack] = {
    "read an object": read_object,
    "write a record": write_record,
    "delete a record": delete_record,
    "assume the role of the session function": assume_role,
    "set the tags of the tenant on a session": tag_session,
    "change the bucket policy": change_bucket_policy,
    "expire records by a lifecycle rule": expire_records,
    "change the trust of the role": change_trust,
    "create a role with the name and the tags": create_role,
    "deploy a template with such a role": deploy_template,
    "replace the code of the session function": replace_function,
    "pass the role to a new function": create_function,
    "replace the published bundle": replace_bundle,
    "invoke the session function": invoke_function,
    "change the workflow": change_workflow,
    "run code in the interpreter": run_code,
    "read the history of an execution": read_history,
}
