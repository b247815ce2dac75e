"""A code interpreter is secure by default, and a change of a create-only property can be deployed."""

from __future__ import annotations

import datetime
import fnmatch
import re
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.execution_role import ExecutionRole
from sandpiper_constructs.interpreter import MAX_NAME_CHARACTERS, CodeInterpreter
from sandpiper_constructs.metrics import Operation, OperationMetric, Usage
from sandpiper_constructs.network_access import PublicAccess, VpcAccess
from sandpiper_constructs.principals import service_principal
from sandpiper_contract.aws import EMBEDDED_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.assemblies import Template

    Render = Callable[[Callable[[cdk.Stack], object]], Template]

TYPE = "AWS::BedrockAgentCore::CodeInterpreterCustom"
SUBNET, GROUP = "subnet-0123456789abcdef0", "sg-0123456789abcdef0"
VPC = VpcAccess(subnets=[SUBNET], security_groups=[GROUP])
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:roots-AbCdEf"  # noqa: S105 - its ARN
CUSTOM = "arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom/one-a1B2c3D4e5"
PUBLIC = PublicAccess(reason="Packages from PyPI", owner="platform team", expires=datetime.date(2099, 1, 1))


def test_network_is_sandbox_by_default(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    assert template.only(TYPE)["NetworkConfiguration"] == {"NetworkMode": "SANDBOX"}


def test_template_contains_the_reason_for_public(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one", network=PUBLIC))
    (resource,) = (each for each in template.content["Resources"].values() if each["Type"] == TYPE)
    assert resource["Properties"]["NetworkConfiguration"] == {"NetworkMode": "PUBLIC"}
    assert resource["Metadata"]["Sandpiper::PublicAccess"] == {
        "Reason": "Packages from PyPI",
        "Owner": "platform team",
        "Expires": "2099-01-01",
    }


@pytest.mark.parametrize("missing", ["reason", "owner"])
def test_public_without_a_reason_or_an_owner_is_rejected(missing: str) -> None:
    arguments = {"reason": "Packages", "owner": "platform team", missing: "  "}
    with pytest.raises(ValueError, match=f"{missing} is empty"):
        PublicAccess(**arguments, expires=datetime.date(2099, 1, 1))


def test_public_without_an_expiry_date_is_accepted_on_the_embedded_aws_alone() -> None:
    unlimited = PublicAccess(reason="Packages", owner="platform team")
    for account in ("111122223333", None):
        stack = cdk.Stack(env=cdk.Environment(account=account, region="us-east-1"))
        with pytest.raises(ValueError, match="expires is missing; allowed: a date such as"):
            CodeInterpreter(stack, "One", name_prefix="one", network=unlimited)
    embedded = cdk.Stack(env=cdk.Environment(account=EMBEDDED_ACCOUNT, region="us-east-1"))
    assert CodeInterpreter(embedded, "One", name_prefix="one", network=unlimited)


@pytest.mark.parametrize("expires", ["2099-01-01", datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC), 2099])
def test_public_with_an_expiry_that_is_not_a_date_is_rejected(expires: Any) -> None:
    with pytest.raises(ValueError, match=r"allowed: a date such as datetime\.date"):
        PublicAccess(reason="Packages", owner="platform team", expires=expires)


@pytest.mark.parametrize("network", ["PUBLIC", None, PublicAccess])
def test_network_of_another_type_than_network_access_is_rejected(render: Render, network: Any) -> None:
    with pytest.raises(
        ValueError, match=r"network is .*; allowed: SANDBOX, PublicAccess\(reason=…, owner=…, expires=…"
    ):
        render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one", network=network))


def test_role_trusts_exactly_this_interpreter(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    name = template.only(TYPE)["Name"]
    (statement,) = template.only("AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "bedrock-agentcore.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    pattern = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    arns = "arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom"
    assert pattern == f"{arns}/{name}-??????????"
    assert fnmatch.fnmatchcase(f"{arns}/{name}-a1B2c3D4e5", pattern)
    assert not fnmatch.fnmatchcase(f"{arns}/{name}_evil-a1B2c3D4e5", pattern)


def test_role_has_no_permissions_without_a_folder(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one"))
    assert "Policies" not in template.only("AWS::IAM::Role")
    assert not template.resources("AWS::IAM::Policy")


def test_role_reads_writes_and_lists_its_folder_in_this_account(render: Render) -> None:
    def fill(stack: cdk.Stack) -> None:
        bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "data")
        CodeInterpreter(stack, "One", name_prefix="one", folder=BucketFolder(bucket=bucket, path="a/b"))

    (policy,) = render(fill).only("AWS::IAM::Role")["Policies"]
    objects, keys = policy["PolicyDocument"]["Statement"]
    account = {"aws:ResourceAccount": "123456789012"}
    assert objects["Action"] == ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    assert objects["Resource"] == "arn:aws:s3:::data/a/b/*"
    assert objects["Condition"] == {"StringEquals": account}
    assert keys["Action"] == "s3:ListBucket"
    assert keys["Resource"] == "arn:aws:s3:::data"
    assert keys["Condition"] == {"StringEquals": account, "StringLike": {"s3:prefix": "a/b/*"}}


def test_other_folders_are_limited_to_their_account_and_to_their_key_through_s3(
    render: Render,
) -> None:
    key = "arn:aws:kms:eu-west-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    def fill(stack: cdk.Stack) -> None:
        other_bucket = s3.Bucket.from_bucket_name(stack, "Theirs", "theirs")
        own_bucket = s3.Bucket.from_bucket_name(stack, "Ours", "ours")
        CodeInterpreter(
            stack,
            "One",
            name_prefix="one",
            read=[BucketFolder(bucket=other_bucket, path="in", account="999999999999", key_arn=key)],
            write=[BucketFolder(bucket=own_bucket, path="out", key_arn=key)],
        )

    (policy,) = render(fill).only("AWS::IAM::Role")["Policies"]
    statements = {
        str(each["Action"]): each for each in policy["PolicyDocument"]["Statement"] if "s3:List" not in each["Action"]
    }
    reading, writing = (
        statements["s3:GetObject"],
        statements["['s3:AbortMultipartUpload', 's3:GetObject', 's3:PutObject']"],
    )
    assert (reading["Resource"], writing["Resource"]) == ("arn:aws:s3:::theirs/in/*", "arn:aws:s3:::ours/out/*")
    assert reading["Condition"] == {"StringEquals": {"aws:ResourceAccount": "999999999999"}}
    assert writing["Condition"] == {"StringEquals": {"aws:ResourceAccount": "123456789012"}}
    decrypting, encrypting = statements["kms:Decrypt"], statements["['kms:Decrypt', 'kms:GenerateDataKey']"]
    for statement, bucket, objects in ((decrypting, "theirs", "theirs/in/*"), (encrypting, "ours", "ours/out/*")):
        assert statement["Resource"] == key
        assert statement["Condition"]["StringEquals"] == {
            "kms:ViaService": {"Fn::Join": ["", ["s3.eu-west-1.", {"Ref": "AWS::URLSuffix"}]]}
        }
        context = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{objects}"]
        assert statement["Condition"]["ArnLike"] == {"kms:EncryptionContext:aws:s3:arn": context}


def test_too_many_folders_are_rejected_before_the_role_is_created() -> None:
    stack = cdk.Stack()
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "data")
    folders = [BucketFolder(bucket=bucket, path=f"folder-{number}") for number in range(60)]
    with pytest.raises(ValueError, match=r"the policy for 60 folders has \d+ characters; allowed: 10240"):
        ExecutionRole(stack, "Role", interpreter_name="one", read=folders)
    assert stack.node.try_find_child("Role") is None


GRANTS = {
    "run": ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession"),
    "invoke": ("InvokeCodeInterpreter", "GetCodeInterpreterSession"),
    "use": (
        *("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession"),
        *("GetCodeInterpreterSession", "ListCodeInterpreterSessions"),
    ),
    "read": ("GetCodeInterpreter", "GetCodeInterpreterSession", "ListCodeInterpreterSessions"),
}
STARTING = ("run", "use")


@pytest.mark.parametrize("grant", GRANTS)
def test_grants_are_limited_to_this_interpreter(render: Render, grant: str) -> None:
    def fill(stack: cdk.Stack) -> None:
        caller = iam.Role(stack, "Caller", assumed_by=service_principal("lambda"))
        getattr(CodeInterpreter(stack, "One", name_prefix="one"), f"grant_{grant}")(caller)

    template = render(fill)
    (interpreter,) = template.resources(TYPE)
    (statement,) = template.only("AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    assert sorted(statement["Action"]) == sorted(f"bedrock-agentcore:{action}" for action in GRANTS[grant])
    assert statement["Resource"] == {"Fn::GetAtt": [interpreter, "CodeInterpreterArn"]}


@pytest.mark.parametrize("grant", GRANTS)
def test_only_grants_that_start_sessions_include_the_certificates(render: Render, grant: str) -> None:
    def fill(stack: cdk.Stack) -> None:
        caller = iam.Role(stack, "Caller", assumed_by=service_principal("lambda"))
        getattr(CodeInterpreter(stack, "One", name_prefix="one", certificates=[SECRET]), f"grant_{grant}")(caller)

    template = render(fill)
    assert template.only(TYPE)["Certificates"] == [{"CertificateLocation": {"SecretArn": SECRET}}]
    policies = [
        statement
        for name, policy in template.resources("AWS::IAM::Policy").items()
        for statement in policy["PolicyDocument"]["Statement"]
        if name.startswith("Caller") and "secretsmanager" in str(statement["Action"])
    ]
    reading = {"Action": "secretsmanager:GetSecretValue", "Effect": "Allow", "Resource": SECRET}
    assert policies == ([reading] if grant in STARTING else [])
    assert not any("Policies" in role for role in template.resources("AWS::IAM::Role").values())


@pytest.mark.parametrize(
    ("arn", "identifier"),
    [
        (CUSTOM, "one-a1B2c3D4e5"),
        (
            "arn:aws:bedrock-agentcore:us-east-1:aws:code-interpreter/aws.codeinterpreter.v1",
            "aws.codeinterpreter.v1",
        ),
    ],
)
def test_imported_interpreter_is_granted_by_arn(render: Render, arn: str, identifier: str) -> None:
    def fill(stack: cdk.Stack) -> None:
        caller = iam.Role(stack, "Caller", assumed_by=service_principal("lambda"))
        known = CodeInterpreter.from_arn(stack, "Known", arn)
        assert known.interpreter_id == identifier
        known.grant_use(caller)

    (statement,) = render(fill).only("AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    assert statement["Resource"] == arn


@pytest.mark.parametrize("arn", ["one-a1B2c3D4e5", CUSTOM.replace("-custom", ""), CUSTOM + "/x", CUSTOM[:-1]])
def test_invalid_interpreter_arns_are_rejected(arn: str) -> None:
    with pytest.raises(ValueError, match=r"arn is .*; allowed: arn:aws:bedrock-agentcore:REGION:ACCOUNT:"):
        CodeInterpreter.from_arn(cdk.Stack(), "Known", arn)


def test_managed_interpreter_is_in_the_account_aws(render: Render) -> None:
    def fill(stack: cdk.Stack) -> None:
        caller = iam.Role(stack, "Caller", assumed_by=service_principal("lambda"))
        managed = CodeInterpreter.managed(stack, "Managed")
        assert (managed.interpreter_id, managed.network) == ("aws.codeinterpreter.v1", "SANDBOX")
        managed.grant_run(caller)

    (statement,) = render(fill).only("AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    resource = "arn:aws:bedrock-agentcore:us-east-1:aws:code-interpreter/aws.codeinterpreter.v1"
    assert statement["Resource"] in (
        resource,
        {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, resource.removeprefix("arn:aws")]]},
    )


def test_metrics_have_the_documented_dimensions() -> None:
    known = CodeInterpreter.from_arn(cdk.Stack(), "Known", CUSTOM)
    invoking = {"Resource": CUSTOM, "Operation": "InvokeCodeInterpreter"}
    for metric, name, statistic, dimensions in (
        (known.metric_invocations(), "Invocations", "Sum", invoking),
        (known.metric_throttles(), "Throttles", "Sum", invoking),
        (known.metric_system_errors(), "SystemErrors", "Sum", invoking),
        (known.metric_user_errors(), "UserErrors", "Sum", invoking),
        (known.metric_latency(), "Latency", "p90", invoking),
        (
            known.metric_throttles(Operation.START),
            "Throttles",
            "Sum",
            {"Resource": CUSTOM, "Operation": "StartCodeInterpreterSession"},
        ),
        (known.metric_duration(), "Duration", "Average", {"Resource": CUSTOM, "Operation": "CodeInterpreterSession"}),
        (
            known.metric_usage(Usage.CPU),
            "CPUUsed-vCPUHours",
            "Sum",
            {"Resource": CUSTOM, "Service": "AgentCore.CodeInterpreter"},
        ),
        (known.metric("New", statistic="Maximum"), "New", "Maximum", {"Resource": CUSTOM}),
        (known.metric(OperationMetric.LATENCY), "Latency", "p90", {"Resource": CUSTOM}),
    ):
        assert metric.namespace == "AWS/Bedrock-AgentCore"
        assert (metric.metric_name, metric.statistic, metric.dimensions) == (name, statistic, dimensions)


def test_vpc_uses_the_subnets_and_groups_and_creates_no_group(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one", network=VPC))
    assert template.only(TYPE)["NetworkConfiguration"] == {
        "NetworkMode": "VPC",
        "VpcConfig": {"Subnets": [SUBNET], "SecurityGroups": [GROUP]},
    }
    assert not template.resources("AWS::EC2::SecurityGroup")


def test_subnets_and_groups_can_be_constructs(render: Render) -> None:
    def fill(stack: cdk.Stack) -> None:
        isolated = ec2.SubnetConfiguration(name="only", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        vpc = ec2.Vpc(stack, "Vpc", availability_zones=["us-east-1a"], subnet_configuration=[isolated])
        group = ec2.SecurityGroup(stack, "Group", vpc=cast("ec2.IVpc", vpc), allow_all_outbound=False)
        access = VpcAccess(subnets=vpc.isolated_subnets, security_groups=[cast("ec2.ISecurityGroup", group)])
        CodeInterpreter(stack, "One", name_prefix="one", network=access)

    template = render(fill)
    (group,) = template.resources("AWS::EC2::SecurityGroup")
    (subnet,) = template.resources("AWS::EC2::Subnet")
    assert template.only(TYPE)["NetworkConfiguration"]["VpcConfig"] == {
        "Subnets": [{"Ref": subnet}],
        "SecurityGroups": [{"Fn::GetAtt": [group, "GroupId"]}],
    }


@pytest.mark.parametrize(
    ("subnets", "groups", "what"),
    [
        ([], [GROUP], "subnets has 0 items"),
        ([SUBNET], [], "security_groups has 0 items"),
        ([f"{SUBNET[:-2]}{number:02}" for number in range(17)], [GROUP], "subnets has 17 items"),
        ([SUBNET, SUBNET], [GROUP], "subnets has an item twice"),
        ([GROUP], [GROUP], "subnets has 'sg-"),
        ([SUBNET], ["default"], "security_groups has 'default'"),
    ],
)
def test_invalid_vpc_access_is_rejected(subnets: list[str], groups: list[str], what: str) -> None:
    with pytest.raises(ValueError, match=f"{what}.*; allowed: 1 to 16, each once"):
        VpcAccess(subnets=subnets, security_groups=groups)


def test_interpreter_can_have_no_role(render: Render) -> None:
    template = render(lambda stack: CodeInterpreter(stack, "One", name_prefix="one", execution_role="none"))
    assert "ExecutionRoleArn" not in template.only(TYPE)
    assert not template.resources("AWS::IAM::Role")


def test_existing_role_is_not_changed(render: Render) -> None:
    arn = "arn:aws:iam::123456789012:role/path/theirs"

    def fill(stack: cdk.Stack) -> None:
        role = iam.Role.from_role_arn(stack, "Theirs", arn)
        CodeInterpreter(stack, "One", name_prefix="one", execution_role=role, certificates=[SECRET])

    template = render(fill)
    assert template.only(TYPE)["ExecutionRoleArn"] == arn
    assert {each["Type"] for each in template.content["Resources"].values()} == {TYPE}


@pytest.mark.parametrize(("service", "refused"), [("lambda", True), ("bedrock-agentcore", False)])
def test_role_that_does_not_trust_the_service_fails_synthesis(render: Render, service: str, refused: bool) -> None:
    def fill(stack: cdk.Stack) -> None:
        role = cast("iam.IRole", iam.Role(stack, "Mine", assumed_by=service_principal(service)))
        CodeInterpreter(stack, "One", name_prefix="one", execution_role=role)

    if not refused:
        render(fill)
        return
    with pytest.raises(RuntimeError, match=r"execution_role is stack/Mine, which does not trust bedrock-agentcore"):
        render(fill)


def test_folders_require_the_role_of_the_construct() -> None:
    stack = cdk.Stack()
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "data")
    with pytest.raises(
        ValueError, match="folder, read and write are permissions of the role that this construct creates"
    ):
        CodeInterpreter(
            stack, "One", name_prefix="one", execution_role="none", read=[BucketFolder(bucket=bucket, path="a")]
        )


def _names(options: dict[str, Any], construct_id: str = "One") -> tuple[str, str]:
    """Returns the name of the interpreter and the logical id of its role."""
    stack = cdk.Stack()
    arguments: dict[str, Any] = {"name_prefix": "one", **options}
    interpreter = CodeInterpreter(stack, construct_id, **arguments)
    assert interpreter.execution_role is not None
    role = interpreter.execution_role.node.default_child
    assert isinstance(role, cdk.CfnResource)
    return interpreter.interpreter_name, str(stack.resolve(role.logical_id))


CREATE_ONLY: dict[str, dict[str, Any]] = {
    "description": {"description": "Other"},
    "public": {"network": PUBLIC},
    "VPC": {"network": VPC},
    "prefix": {"name_prefix": "two"},
    "certificates": {"certificates": [SECRET]},
}


@pytest.mark.parametrize("change", CREATE_ONLY.values(), ids=CREATE_ONLY)
def test_create_only_properties_change_the_name_and_the_role(change: dict[str, Any]) -> None:
    before, after = _names({}), _names(change)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_another_construct_path_changes_the_role_and_the_name() -> None:
    assert _names({}, "One") != _names({}, "Two")


def test_order_of_inputs_does_not_change_the_name() -> None:
    one, two = ("0123456789abcdef0", "0123456789abcdef1")

    def ordered(*ids: str) -> dict[str, Any]:
        vpc = VpcAccess(subnets=[f"subnet-{each}" for each in ids], security_groups=[f"sg-{each}" for each in ids])
        return {"network": vpc, "certificates": [SECRET + each for each in ids]}

    assert _names(ordered(one, two)) == _names(ordered(two, one))
    assert _names(ordered(one, two)) != _names(ordered(one))


def test_another_role_changes_the_name() -> None:
    stack = cdk.Stack()
    roles = [iam.Role.from_role_arn(stack, name, f"arn:aws:iam::123456789012:role/{name}") for name in ("A", "B")]
    new_role = iam.Role(stack, "C", assumed_by=service_principal("bedrock-agentcore"))
    execution_roles: list[Any] = ["own", "none", *roles, new_role]
    names = {
        CodeInterpreter(cdk.Stack(stack, f"S{number}"), "One", name_prefix="one", execution_role=role).interpreter_name
        for number, role in enumerate(execution_roles)
    }
    assert len(names) == len(execution_roles)


def test_long_prefix_is_shortened_and_stays_unique() -> None:
    long = "a" * 60
    name, _ = _names({"name_prefix": long + "1"})
    other, _ = _names({"name_prefix": long + "2"})
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,47}", name)
    assert len(name) == MAX_NAME_CHARACTERS
    assert name != other


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name_prefix", ""),
        ("name_prefix", "1one"),
        ("name_prefix", "one-two"),
        ("description", ""),
        ("description", "with, comma"),
        ("description", "x" * 201),
        ("certificates", ["secret"]),
        ("certificates", [f"{SECRET}{number}" for number in range(11)]),
        ("certificates", [SECRET, SECRET]),
    ],
)
def test_invalid_options_are_rejected_before_the_first_resource(option: str, value: str) -> None:
    stack = cdk.Stack()
    arguments: dict[str, Any] = {"name_prefix": "one", option: value}
    with pytest.raises(ValueError, match=rf"{option} (is|contains) .*; allowed: "):
        CodeInterpreter(stack, "One", **arguments)
    assert not stack.node.children


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "a/*", "a?", "${aws:username}"])
def test_invalid_folder_paths_are_rejected(path: str) -> None:
    bucket = s3.Bucket.from_bucket_name(cdk.Stack(), "Bucket", "data")
    with pytest.raises(ValueError, match="path is "):
        BucketFolder(bucket=bucket, path=path)
