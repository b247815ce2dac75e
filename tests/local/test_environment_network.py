"""Tests the production example, which has a network: deployment, runs, changes and deletion."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_agentcore.admin_client import FaultInjector
from local_agentcore.faults import Rule
from local_aws import control, environment, running_instance
from local_aws.settings import Hosts, StateDirectory
from sandpiper import deployment_policy, workflow
from sandpiper.cdk_cli import PROJECT
from sandpiper.environment import load
from sandpiper.errors import CliError
from tests.support.account import ACCOUNT, REGION
from tests.support.cdk_commands import cdk
from tests.support.environments import Environments
from tests.support.source_vpc import check_credentials_are_useless_elsewhere
from tests.support.stacks import access_denied_reason, create, reasons, wait_until_settled
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.skipif(ON_AWS, reason="the environment is for the embedded AWS only")
DATABASE = "database.corp.internal"
CHANGES = (
    ("data_bucket:\n", "termination_protection: false\ndata_bucket:\n  retain: false\n"),
    ("  endpoints: [logs, secretsmanager]\n", '  endpoints: [logs, secretsmanager]\n  domains: ["*.corp.internal"]\n'),
)
"""Allows the deletion of the stacks, and adds a domain that code can resolve."""
TENANT = "analytics"
"""The tenant whose interpreter is in the environment's network."""
REACHES = f"""
import urllib.request
print(urllib.request.urlopen("http://{DATABASE}:{{port}}/", timeout=5).read().decode())
try:
    urllib.request.urlopen("http://example.com/", timeout=5)
except OSError:
    print("nothing else")
"""


class VpcService(BaseHTTPRequestHandler):
    """An HTTP service in the VPC."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the VPC")


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), VpcService)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture(scope="module")
def state(port: int, quick_polls: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[StateDirectory]:  # noqa: ARG001
    """An embedded AWS for this module, whose VPCs contain one service."""
    state = StateDirectory(tmp_path_factory.mktemp("aws"))
    running, _ = control.start(state, hosts=Hosts(vpc=[f"{DATABASE}:{port}=127.0.0.1:{port}"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it can point to another embedded AWS
        for name, value in environment.changes(running, os.environ).items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        yield state
        control.stop(state)


@pytest.fixture(scope="module")
def deployed(state: StateDirectory, tmp_path_factory: pytest.TempPathFactory) -> tuple[Environments, Path]:  # noqa: ARG001
    """Deploys the environment, in a role that has only the environment's deployment policies."""
    environments = Environments(tmp_path_factory.mktemp("environments"))
    file = environments.copy("prod", *CHANGES)
    iam = boto3.client("iam")
    arns = [
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))["Policy"].get("Arn", "")
        for name, policy in deployment_policy.policy_documents(load(file)).items()
    ]
    cdk(
        ["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--cloudformation-execution-policies", ",".join(arns)],
        tmp_path_factory.mktemp("cdk.out"),
        print,
    )
    environments.deploy(file)
    return environments, file


def any_client(service: str) -> Any:
    """Returns a client of a service without installed type stubs."""
    session: Any = boto3
    return session.client(service)


def run(environments: Environments, file: Path, code: str, tenant: str = TENANT) -> str:
    deployment = environments.tenant(file, tenant)
    finished = workflow.run(
        boto3.Session(), deployment, {"code": code}, [], environments.folder / "out", lambda _: None
    )
    return str(finished.result["stdout"]).strip()


def stub_resources(state: StateDirectory) -> dict[str, list[dict[str, Any]]]:
    """Returns the stub resources of `local status`, by type."""
    command = [Path(sys.executable).with_name("sandpiper"), "local", "status", "--json", "--state", state.directory]
    completed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(completed.stdout)["recordedOnly"]:
        by_type.setdefault(each["type"], []).append(each)
    return by_type


def test_code_reaches_the_service_in_the_vpc_only(deployed: tuple[Environments, Path], port: int) -> None:
    assert run(*deployed, REACHES.format(port=port)) == "from the VPC\nnothing else"


def test_code_can_use_its_own_folder(deployed: tuple[Environments, Path]) -> None:
    environments, file = deployed
    deployment = environments.tenant(file, TENANT)
    program = f"""
import boto3
s3 = boto3.client("s3")
key = "{deployment.prefix}/sandbox/private/kept.txt"
s3.put_object(Bucket="{deployment.bucket}", Key=key, Body=b"kept")
print(s3.get_object(Bucket="{deployment.bucket}", Key=key)["Body"].read().decode())
"""
    assert run(environments, file, program) == "kept"


def test_credentials_of_code_in_the_network_are_useless_elsewhere(deployed: tuple[Environments, Path]) -> None:
    environments, file = deployed
    check_credentials_are_useless_elsewhere(environments.tenant(file, TENANT))


def test_code_of_another_tenant_does_not_reach_the_network(deployed: tuple[Environments, Path], port: int) -> None:
    program = f"""
import urllib.request
try:
    urllib.request.urlopen("http://{DATABASE}:{port}/", timeout=5)
except OSError:
    print("nothing")
"""
    assert run(*deployed, program, "claims") == "nothing"


def test_interpreter_is_in_the_environment_network(deployed: tuple[Environments, Path]) -> None:
    environments, file = deployed
    (identifier,) = environments.tenant(file, TENANT).interpreters.values()
    interpreter = any_client("bedrock-agentcore-control").get_code_interpreter(codeInterpreterId=identifier)
    vpc = interpreter["networkConfiguration"]["vpcConfig"]
    ec2 = any_client("ec2")
    subnets = ec2.describe_subnets(SubnetIds=vpc["subnets"])["Subnets"]
    assert {each["AvailabilityZone"]: each["CidrBlock"] for each in subnets} == {
        "us-east-1a": "10.64.0.0/23",
        "us-east-1b": "10.64.2.0/23",
    }
    (group,) = ec2.describe_security_groups(GroupIds=vpc["securityGroups"])["SecurityGroups"]
    assert {group["VpcId"]} == {each["VpcId"] for each in subnets}


def test_network_referenced_by_parameters_has_no_drift(
    deployed: tuple[Environments, Path],
) -> None:
    command = [Path(sys.executable).parent / "sandpiper", "status", "-e", deployed[1], "--json"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert json.loads(process.stdout)["drift"] == [], process.stderr
    assert process.returncode == 0


def test_buckets_match_the_template(deployed: tuple[Environments, Path]) -> None:
    environments, file = deployed
    data = environments.tenant(file, TENANT).bucket
    parameter = any_client("ssm").get_parameter(Name="/sandpiper/prod/data-key-arn")
    key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": parameter["Parameter"]["Value"]}
    assert encryption(data) == {"ApplyServerSideEncryptionByDefault": key, "BucketKeyEnabled": True}
    assert encryption(f"{data}-logs")["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert expirations(f"{data}-logs") == {"": (365, 90)}
    assert expirations(data) == {
        "": (None, 90),
        "tenants/claims/": (365, None),
        "tenants/claims/sandbox/": (90, None),
        "tenants/analytics/": (365, None),
        "tenants/analytics/sandbox/": (90, None),
    }
    assert expirations(f"{data}-audit") == {"": (400, 90)}
    s3 = any_client("s3")
    for name in (data, f"{data}-audit"):
        assert s3.get_bucket_logging(Bucket=name)["LoggingEnabled"]["TargetBucket"] == f"{data}-logs"
    for name in (data, f"{data}-logs", f"{data}-audit"):
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        owner = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert set(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values()) == {True}
        statements = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
        conditions = [each.get("Condition") for each in statements if each["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in conditions
        tags = {each["Key"]: each["Value"] for each in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
        assert (tags["sandpiper:environment"], tags["cost-center"]) == ("prod", "4711")


def encryption(bucket: str) -> dict[str, Any]:
    (rule,) = any_client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rule


def expirations(bucket: str) -> dict[str, tuple[int | None, int | None]]:
    """Returns the retention of objects and of their old versions in days, by prefix."""
    return {
        rule["Filter"]["Prefix"]: (
            rule.get("Expiration", {}).get("Days"),
            rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        )
        for rule in any_client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    }


def test_unchanged_template_is_rejected_unless_it_has_a_dynamic_reference(
    deployed: tuple[Environments, Path],
) -> None:
    environments, file = deployed
    before = environments.tenant(file, TENANT).interpreters

    def update(tenant: str) -> str:
        stack = f"sandpiper-prod-{tenant}"
        bucket, key = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}", f"{stack}.json"  # larger than a TemplateBody can be
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(environments.template(file, stack)))
        url = f"https://s3.{REGION}.amazonaws.com/{bucket}/{key}"
        return boto3.client("cloudformation").update_stack(
            StackName=stack, TemplateURL=url, Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
        )["StackId"]

    with pytest.raises(ClientError, match="No updates are to be performed"):
        update("claims")
    assert wait_until_settled(update(TENANT)) == "UPDATE_COMPLETE"
    assert environments.tenant(file, TENANT).interpreters == before


def test_networks_and_firewalls_of_others_cannot_be_changed(
    deployed: tuple[Environments, Path],  # noqa: ARG001 - its role is used
) -> None:
    role = f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
    ec2 = any_client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/28")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="others", Description="x")["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_tags(Resources=[vpc, group], Tags=[{"Key": "sandpiper:environment", "Value": "dev"}])
    tags = {"Tags": [{"Key": "sandpiper:environment", "Value": "prod"}]}
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/8", "GroupId": group}
    endpoint = {"ServiceName": f"com.amazonaws.{REGION}.s3", "VpcId": vpc, **tags}
    log = {"ResourceType": "VPC", "ResourceId": vpc, "TrafficType": "ALL", **tags}
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("AWS::EC2::SecurityGroupIngress", rule, "ec2:AuthorizeSecurityGroupIngress"),
        (
            "AWS::EC2::SubnetRouteTableAssociation",
            {"SubnetId": subnet, "RouteTableId": table},
            "ec2:AssociateRouteTable",
        ),
        ("AWS::EC2::Subnet", {"VpcId": vpc, "CidrBlock": "10.1.0.16/28", **tags}, "ec2:CreateSubnet"),
        ("AWS::EC2::RouteTable", {"VpcId": vpc, **tags}, "ec2:CreateRouteTable"),
        ("AWS::EC2::SecurityGroup", {"VpcId": vpc, "GroupDescription": "x", **tags}, "ec2:CreateSecurityGroup"),
        ("AWS::EC2::VPCEndpoint", endpoint, "ec2:CreateVpcEndpoint"),
        ("AWS::EC2::FlowLog", log, "ec2:CreateFlowLogs"),
        ("AWS::EC2::VPC", {"CidrBlock": "10.2.0.0/24"}, "ec2:CreateVpc"),
        ("AWS::Route53Resolver::FirewallRuleGroup", {"FirewallRules": []}, "route53resolver:CreateFirewallRuleGroup"),
    )
    for kind, properties, action in cases:
        template = {"Resources": {"It": {"Type": kind, "Properties": properties}}}
        stack, status = create(template, RoleARN=f"arn:aws:iam::{ACCOUNT}:role/{role}")
        assert status == "ROLLBACK_COMPLETE", (kind, properties)
        reason = reasons(stack, "CREATE_FAILED")[0]
        assert reason.startswith(access_denied_reason(role, action)), reason


def test_stub_resources_are_listed_with_their_properties(
    deployed: tuple[Environments, Path],  # noqa: ARG001 - its resources are listed
    state: StateDirectory,
) -> None:
    resources = stub_resources(state)
    assert {kind.removeprefix("AWS::"): len(each) for kind, each in resources.items()} == {
        "Budgets::Budget": 1,
        "EC2::FlowLog": 1,
        "EC2::SecurityGroupEgress": 1,
        "Logs::QueryDefinition": 10,
        "Route53Resolver::FirewallDomainList": 3,
        "Route53Resolver::FirewallRuleGroup": 1,
        "Route53Resolver::FirewallRuleGroupAssociation": 1,
        "Route53Resolver::ResolverQueryLoggingConfig": 1,
        "Route53Resolver::ResolverQueryLoggingConfigAssociation": 1,
    }
    (budget,) = resources["AWS::Budgets::Budget"]
    assert budget["properties"]["Budget"]["BudgetLimit"] == {"Amount": 2000, "Unit": "USD"}
    (group,) = resources["AWS::Route53Resolver::FirewallRuleGroup"]
    lists = {each["identifier"]: each["properties"] for each in resources["AWS::Route53Resolver::FirewallDomainList"]}
    rules = sorted(group["properties"]["FirewallRules"], key=lambda rule: int(rule["Priority"]))
    assert [(rule["Action"], rule["FirewallDomainListId"] in lists) for rule in rules] == [
        ("ALLOW", True),
        ("ALLOW", True),
        ("BLOCK", True),
    ]
    assert lists[rules[-1]["FirewallDomainListId"]]["Domains"] == ["*"]
    assert "logs.us-east-1.amazonaws.com" in lists[rules[0]["FirewallDomainListId"]]["Domains"]
    text = subprocess.run(
        [Path(sys.executable).with_name("sandpiper"), "local", "status", "--state", state.directory],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert f"stub resource: AWS::Route53Resolver::FirewallRuleGroup {group['identifier']}" in text


def test_new_domain_updates_the_list_and_new_range_replaces_the_network(
    deployed: tuple[Environments, Path], state: StateDirectory, port: int
) -> None:
    environments, file = deployed
    before = stub_resources(state)["AWS::Route53Resolver::FirewallDomainList"]
    (interpreter,) = environments.tenant(file, TENANT).interpreters.values()
    file.write_text(file.read_text().replace('"*.corp.internal"', '"*.example.com"'))
    # With change sets, which report what a new template changes.
    output = environments.cdk("deploy", file, "--all", "--require-approval", "never")
    # Storage, two tenants and the fleet are unchanged.
    assert output.count("(no changes)") == 4, output
    after = stub_resources(state)["AWS::Route53Resolver::FirewallDomainList"]
    assert {each["identifier"] for each in after} == {each["identifier"] for each in before}
    assert ["*.example.com"] in [each["properties"]["Domains"] for each in after]
    assert list(environments.tenant(file, TENANT).interpreters.values()) == [interpreter]

    file.write_text(file.read_text().replace("10.64.0.0/20", "10.96.0.0/20"))
    environments.deploy(file)
    (replaced,) = environments.tenant(file, TENANT).interpreters.values()
    assert replaced != interpreter
    assert run(environments, file, REACHES.format(port=port)).startswith("from the VPC")
    (flow_log,) = stub_resources(state)["AWS::EC2::FlowLog"]
    ec2 = any_client("ec2")
    (vpc,) = ec2.describe_vpcs(VpcIds=[flow_log["properties"]["ResourceId"]])["Vpcs"]
    assert vpc["CidrBlock"] == "10.96.0.0/20"


def test_tenant_that_fails_after_its_network_was_replaced_keeps_running_and_moves_later(
    deployed: tuple[Environments, Path], state: StateDirectory
) -> None:
    environments, file = deployed
    running = running_instance.find(state)
    assert running is not None
    faults = FaultInjector(running.agentcore_url)
    (before,) = environments.tenant(file, TENANT).interpreters.values()
    file.write_text(file.read_text().replace("10.96.0.0/20", "10.128.0.0/20"))
    faults.inject(Rule("error", "CreateCodeInterpreter", code="ServiceQuotaExceededException"))
    with pytest.raises(CliError, match="ServiceQuotaExceededException"):
        environments.deploy(file)
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    status = {each["StackName"].removeprefix("sandpiper-prod-"): each["StackStatus"] for each in stacks}
    assert (status["network"], status[TENANT]) == ("UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
    assert list(environments.tenant(file, TENANT).interpreters.values()) == [before]
    assert run(environments, file, "print('still')") == "still"
    (flow_log,) = stub_resources(state)["AWS::EC2::FlowLog"]
    (vpc,) = any_client("ec2").describe_vpcs(VpcIds=[flow_log["properties"]["ResourceId"]])["Vpcs"]
    assert vpc["CidrBlock"] == "10.128.0.0/20", "the network was not replaced"
    command = [Path(sys.executable).with_name("sandpiper"), "status", "-e", file]
    output = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT).stdout
    drifted = "drift: interpreter private of sandpiper-prod-analytics, NetworkConfiguration.VpcConfig.Subnets"
    assert re.search(rf"{drifted}: expected: .*resolve:ssm:/sandpiper/prod/network/.*found: .*subnet-", output), output

    faults.clear()
    # With change sets, which compare with the template that references deleted parameters.
    environments.cdk("deploy", file, "--all", "--require-approval", "never")
    (after,) = environments.tenant(file, TENANT).interpreters.values()
    assert after != before
    assert run(environments, file, "print('moved')") == "moved"

    environments.destroy()
    assert stub_resources(state) == {}
