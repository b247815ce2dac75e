"""The network allows connections only to the listed targets and resolves only the listed DNS names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from sandpiper_constructs.dns_firewall import endpoint_names
from sandpiper_constructs.sandbox_network import SandboxNetwork
from sandpiper_constructs.template_text import template_text
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.account import ACCOUNT, REGION
from tests.support.policy_documents import statements
from tests.support.private_network import synthesized

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.assemblies import Assembly, Template

OTHER_ACCOUNT = "222233334444"
PREFIX_LIST = "pl-6da54004"
FOLDERS = """\
        read: [s3://reference-data/rates/]
        write:
          - {uri: s3://partner.data/inbox/, account: "222233334444"}
"""


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesized(tmp_path_factory.mktemp("private") / "one")


@pytest.fixture(scope="module")
def network(private: Assembly) -> Template:
    return private["sandpiper-private-network"]


def test_network_stack_exists_only_with_the_network_option(local: Assembly, private: Assembly) -> None:
    assert "sandpiper-local-network" not in local.templates
    assert "sandpiper-private-network" in private.templates


def test_vpc_has_no_gateway_or_route_to_the_internet(network: Template) -> None:
    types = {resource["Type"] for resource in network.content["Resources"].values()}
    gateways = {"InternetGateway", "NatGateway", "EgressOnlyInternetGateway", "VPCGatewayAttachment", "Route", "EIP"}
    assert not types & {f"AWS::EC2::{way}" for way in gateways}
    assert "Custom::" not in json.dumps(network.content)
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in network.resources("AWS::EC2::Subnet").values())


def test_no_security_group_allows_all_destinations(network: Template) -> None:
    groups = network.resources("AWS::EC2::SecurityGroup")
    rules = [
        *(rule for group in groups.values() for rule in group["SecurityGroupEgress"]),
        *network.resources("AWS::EC2::SecurityGroupEgress").values(),
    ]
    assert len(groups) == 2
    assert all(group["SecurityGroupEgress"] for group in groups.values()), (
        "AWS adds a rule that allows everything to a group without a rule"
    )
    assert {rule.get("CidrIp", "255.255.255.255/32") for rule in rules} == {"255.255.255.255/32"}
    assert not any("CidrIpv6" in rule for rule in rules)


def test_interpreters_reach_s3_and_the_endpoints_on_port_443_only(network: Template) -> None:
    (endpoint, *others) = (
        each for each in network.resources("AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == "Interface"
    )
    (of_endpoints,) = endpoint["SecurityGroupIds"]
    assert all(other["SecurityGroupIds"] == [of_endpoints] for other in others)
    groups = network.resources("AWS::EC2::SecurityGroup")
    (ingress,) = groups[of_endpoints["Ref"]]["SecurityGroupIngress"]
    interpreters = ingress["SourceSecurityGroupId"]
    assert (ingress["IpProtocol"], ingress["FromPort"], ingress["ToPort"]) == ("tcp", 443, 443)
    to_endpoints = network.only("AWS::EC2::SecurityGroupEgress")
    (to_s3,) = groups[interpreters["Ref"]]["SecurityGroupEgress"]
    assert "SecurityGroupIngress" not in groups[interpreters["Ref"]]
    assert to_s3["DestinationPrefixListId"] == PREFIX_LIST
    assert (to_endpoints["GroupId"], to_endpoints["DestinationSecurityGroupId"]) == (interpreters, of_endpoints)
    for rule in (to_s3, to_endpoints):
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)


DATA = "sandpiper-private-111122223333-eu-west-1"
LIST = "s3:ListBucket"


def s3_policy(template: Template) -> dict[str, Any]:
    """Returns the policy of the S3 endpoint."""
    (endpoint,) = (
        each for each in template.resources("AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == "Gateway"
    )
    assert template_text(endpoint["ServiceName"]) == "com.amazonaws.<AWS::Region>.s3"
    return endpoint["PolicyDocument"]


def is_allowed(template: Template, action: str, resource: str, *, owner: str = "111122223333", **keys: str) -> bool:
    """Returns whether the S3 endpoint allows a request of an administrator of the account."""
    request = Request(
        Principal.parse("arn:aws:sts::111122223333:assumed-role/administrator/one"),
        action,
        f"arn:aws:s3:::{resource}",
        "111122223333",
        {
            "aws:PrincipalAccount": "111122223333",
            "aws:ResourceAccount": owner,
            **{key.replace("__", ":"): value for key, value in keys.items()},
        },
    )
    document = s3_policy(template)
    return evaluate(
        request, Policies(resource=parse_policy("the endpoint's policy", PolicyKind.RESOURCE, document))
    ).allowed


def test_s3_endpoint_allows_the_folders_of_this_network_in_their_accounts(network: Template) -> None:
    allowed: dict[str, str] = {}
    listed: dict[str, list[str]] = {}
    for statement in statements(s3_policy(network)):
        assert statement["Effect"] == "Allow"
        if "s3:authType" in statement["Condition"]["StringEquals"]:  # of session functions
            continue
        assert set(statement["Action"]) <= {LIST, "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"}
        assert statement["Condition"]["StringEquals"]["aws:PrincipalAccount"] == "111122223333"
        owner = statement["Condition"]["StringEquals"]["aws:ResourceAccount"]
        allowed |= dict.fromkeys(statement["Resource"], owner)
        if statement["Action"] == [LIST]:
            assert set(statement["Condition"]) == {"StringEquals", "StringLike"}
            listed |= dict.fromkeys(statement["Resource"], statement["Condition"]["StringLike"]["s3:prefix"])
    folders = {
        f"{DATA}/tenants/claims/sandbox/private": "111122223333",
        "reference-data/rates": "111122223333",
        "partner.data/inbox": OTHER_ACCOUNT,
    }
    assert allowed == {
        f"arn:aws:s3:::{resource}": owner
        for folder, owner in folders.items()
        for resource in (folder.partition("/")[0], f"{folder}/*")
    }
    assert listed == {
        f"arn:aws:s3:::{bucket}": [f"{folder}/*"] for bucket, _, folder in (place.partition("/") for place in folders)
    }
    written = {
        bucket
        for statement in statements(s3_policy(network))
        if set(statement["Action"]) - {LIST, "s3:GetObject"}
        and "s3:authType" not in statement["Condition"]["StringEquals"]
        for bucket in statement["Resource"]
    }
    assert written == {f"arn:aws:s3:::{name}/*" for name in folders if name != "reference-data/rates"}, "read-only"


def test_s3_endpoint_denies_inputs_runs_and_other_folders_for_all_credentials(network: Template) -> None:
    reached = f"{DATA}/tenants/claims/sandbox/private"
    for action in ("s3:GetObject", "s3:PutObject"):
        assert is_allowed(network, action, f"{reached}/reports/table.csv")
        for key in (
            "tenants/claims/inputs/sandbox/payroll.csv",
            "tenants/claims/runs/report/e1/S/files/sandbox/x.png",
            "tenants/claims/sandbox/sandbox/kept.txt",
            "tenants/claims/sandbox/private-2/kept.txt",
            "tenants/other/sandbox/private/kept.txt",
        ):
            assert not is_allowed(network, action, f"{DATA}/{key}"), key
    assert is_allowed(network, "s3:GetObject", "partner.data/inbox/a", owner=OTHER_ACCOUNT)
    assert not is_allowed(network, "s3:GetObject", "partner.data/inbox/a"), "the bucket is in another account"


PRESIGNED = {"s3__authType": "REST-QUERY-STRING", "aws__PrincipalTag/sandpiper__component": "session-function"}
INPUT = "tenants/claims/inputs/sandbox/payroll.csv"
OUTPUT = "tenants/claims/runs/report/e1/S/files/sandbox/x.png"


def test_s3_endpoint_allows_urls_that_the_tenants_session_function_presigned(network: Template) -> None:
    allowed = {("s3:GetObject", INPUT), ("s3:PutObject", OUTPUT)}
    assert {
        (action, key)
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:PutObjectAcl")
        for key in (INPUT, OUTPUT, "tenants/claims/x", "tenants/other/inputs/x", "tenants/other/runs/x", "x")
        if is_allowed(network, action, f"{DATA}/{key}", **PRESIGNED)
    } == allowed
    for changed in (
        {"s3__authType": "REST-HEADER"},
        {"aws__PrincipalTag/sandpiper__component": "other"},
        {"aws__PrincipalAccount": OTHER_ACCOUNT},
        {"aws__ResourceAccount": OTHER_ACCOUNT},
    ):
        for action, key in allowed:
            assert not is_allowed(network, action, f"{DATA}/{key}", **{**PRESIGNED, **changed}), changed
    assert not is_allowed(network, LIST, DATA, **PRESIGNED, s3__prefix="tenants/claims/inputs/")


def test_role_of_the_session_function_has_the_tag_and_the_permissions_of_its_urls(private: Assembly) -> None:
    (role,) = (
        each
        for name, each in private["sandpiper-private-claims"].resources("AWS::IAM::Role").items()
        if name.startswith("SessionFunctionRole")
    )
    assert {"Key": "sandpiper:component", "Value": "session-function"} in role["Tags"]
    tagged = [
        name
        for name, each in private["sandpiper-private-claims"].resources("AWS::IAM::Role").items()
        if any(tag["Key"] == "sandpiper:component" for tag in each.get("Tags", ()))
    ]
    assert len(tagged) == 1


def test_only_keys_of_allowed_folders_can_be_listed(network: Template) -> None:
    for prefix in ("", "i", "inputs/a", "sandbox/private-2/", "sandbox/privat", "sandbox/sandbox/"):
        assert not is_allowed(network, LIST, DATA, s3__prefix=f"tenants/claims/{prefix}"), prefix
    assert not is_allowed(network, LIST, DATA, s3__prefix="")
    assert not is_allowed(network, LIST, DATA), "all keys can be listed"
    # Prefixes in requests of `aws s3 ls`, `cp --recursive` and `sync`.
    for prefix in ("", "reports/"):
        assert is_allowed(network, LIST, DATA, s3__prefix=f"tenants/claims/sandbox/private/{prefix}")
        assert is_allowed(network, LIST, "reference-data", s3__prefix=f"rates/{prefix}")


def test_folder_with_a_short_name_is_listed_without_a_wildcard(tmp_path: Path) -> None:
    short = synthesized(tmp_path / "short", **{"s3://reference-data/rates/": "s3://reference-data/in/"})
    template = short["sandpiper-private-network"]
    patterns = [
        pattern
        for statement in statements(s3_policy(template))
        for pattern in statement["Condition"].get("StringLike", {}).get("s3:prefix", ())
    ]
    assert "in/" in patterns
    assert all(len(pattern) > 6 for pattern in patterns if "*" in pattern)
    assert is_allowed(template, LIST, "reference-data", s3__prefix="in/")
    assert not is_allowed(template, LIST, "reference-data", s3__prefix="inputs/")
    assert is_allowed(template, "s3:GetObject", "reference-data/in/deep/a.csv")


@pytest.mark.parametrize(("role", "reaches"), [("arn:aws:iam::111122223333:role/warehouse", True), ("none", False)])
def test_own_folder_is_allowed_only_with_an_execution_role(tmp_path: Path, role: str, reaches: bool) -> None:
    # Large files are staged in the interpreter's folder, if the execution role can write to it.
    changed = synthesized(tmp_path / "one", **{FOLDERS: f"        execution_role: {role}\n"})
    template = changed["sandpiper-private-network"]
    assert is_allowed(template, "s3:GetObject", f"{DATA}/tenants/claims/sandbox/private/a") is reaches


def test_network_without_interpreters_denies_s3(tmp_path: Path) -> None:
    none = synthesized(
        tmp_path / "none", **{"        network: VPC\n        read: [s3://ref": "        read: [s3://ref"}
    )
    template = none["sandpiper-private-network"]
    (statement,) = statements(s3_policy(template))
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", ["s3:*"], ["*"])
    assert not is_allowed(template, "s3:GetObject", f"{DATA}/tenants/claims/sandbox/private/a")


def test_endpoints_allow_only_principals_of_this_account(network: Template) -> None:
    endpoints = [
        each for each in network.resources("AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == "Interface"
    ]
    assert {template_text(each["ServiceName"]) for each in endpoints} == {
        "com.amazonaws.eu-west-1.logs",
        "com.amazonaws.eu-west-1.ecr.dkr",
    }
    for endpoint in endpoints:
        assert endpoint["PrivateDnsEnabled"] is True
        assert len(endpoint["SubnetIds"]) == 2
        (statement,) = statements(endpoint["PolicyDocument"])
        assert statement["Condition"]["StringEquals"] == {"aws:PrincipalAccount": "111122223333"}


def test_firewall_allows_its_list_and_blocks_all_other_names(network: Template) -> None:
    lists = {
        name: {template_text(domain) for domain in each["Domains"]}
        for name, each in network.resources("AWS::Route53Resolver::FirewallDomainList").items()
    }
    rules = sorted(
        network.only("AWS::Route53Resolver::FirewallRuleGroup")["FirewallRules"], key=lambda rule: rule["Priority"]
    )
    assert len({rule["Priority"] for rule in rules}) == 3
    listed = [(rule["Action"], lists[rule["FirewallDomainListId"]["Ref"]]) for rule in rules]
    s3 = "s3.eu-west-1.<AWS::URLSuffix>"
    assert listed == [
        (
            "ALLOW",
            {
                s3,
                f"sandpiper-private-111122223333-eu-west-1.{s3}",
                f"reference-data.{s3}",
                f"partner.data.{s3}",
                "logs.eu-west-1.<AWS::URLSuffix>",
                "*.dkr.ecr.eu-west-1.<AWS::URLSuffix>",
            },
        ),
        ("ALLOW", {"*.example.com"}),
        ("BLOCK", {"*"}),
    ]
    assert rules[1]["FirewallDomainRedirectionAction"] == "INSPECT_REDIRECTION_DOMAIN"
    assert rules[2]["BlockResponse"] == "NXDOMAIN"


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("bedrock-agentcore", "bedrock-agentcore"),
        ("bedrock-agentcore.gateway", "*.gateway.bedrock-agentcore"),
        ("ecr.api", "api.ecr"),
        ("execute-api", "*.execute-api"),
        ("kinesis-streams", "kinesis"),
        ("sagemaker.runtime", "runtime.sagemaker"),
    ],
)
def test_private_dns_name_of_an_endpoint_is_the_name_that_sdks_call(service: str, name: str) -> None:
    stack = cdk.Stack(env=cdk.Environment(region=REGION))
    assert [template_text(stack.resolve(each)) for each in endpoint_names(stack, service)] == [
        f"{name}.{REGION}.<AWS::URLSuffix>"
    ]


def test_firewall_is_associated_with_the_vpc_and_fails_closed(network: Template) -> None:
    association = network.only("AWS::Route53Resolver::FirewallRuleGroupAssociation")
    (vpc,) = network.resources("AWS::EC2::VPC")
    (group,) = network.resources("AWS::Route53Resolver::FirewallRuleGroup")
    assert association["VpcId"] == {"Ref": vpc}
    assert association["FirewallRuleGroupId"] == {"Ref": group}
    # Failing closed is Resolver's default. Only FirewallFailOpen changes it.
    assert "FailOpen" not in json.dumps(network.content)


def test_query_and_flow_logs_have_the_configured_retention(network: Template) -> None:
    (vpc,) = network.resources("AWS::EC2::VPC")
    groups = network.resources("AWS::Logs::LogGroup")
    assert [group["RetentionInDays"] for group in groups.values()] == [365, 365]
    flows = network.only("AWS::EC2::FlowLog")
    assert (flows["ResourceId"], flows["TrafficType"]) == ({"Ref": vpc}, "ALL")
    assert flows["LogGroupName"]["Ref"] in groups
    queries = network.only("AWS::Route53Resolver::ResolverQueryLoggingConfig")
    assert queries["DestinationArn"]["Fn::GetAtt"][0] in groups
    assert queries["DestinationArn"]["Fn::GetAtt"][0] != flows["LogGroupName"]["Ref"]
    assert network.only("AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation")["ResourceId"] == {"Ref": vpc}


def test_flow_log_role_trusts_this_account_and_writes_one_group(network: Template) -> None:
    role = network.only("AWS::IAM::Role")
    (trust,) = statements(role["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    (policy,) = role["Policies"]
    (may,) = statements(policy["PolicyDocument"])
    assert not any("*" in action for action in may["Action"])
    assert may["Resource"] == [{"Fn::GetAtt": [network.only("AWS::EC2::FlowLog")["LogGroupName"]["Ref"], "Arn"]}]


def subnets(template: Template) -> dict[str, str]:
    return {each["AvailabilityZone"]: each["CidrBlock"] for each in template.resources("AWS::EC2::Subnet").values()}


def test_another_zone_does_not_move_existing_subnets(private: Assembly, network: Template, tmp_path: Path) -> None:
    more = synthesized(tmp_path / "more", **{"eu-west-1a: euw1-az1": "eu-west-1b: euw1-az2, eu-west-1a: euw1-az1"})
    assert subnets(network) == {"eu-west-1a": "10.64.0.0/23", "eu-west-1c": "10.64.4.0/23"}
    assert subnets(more["sandpiper-private-network"]) == subnets(network) | {"eu-west-1b": "10.64.2.0/23"}
    before, after = (
        {name: subnet["CidrBlock"] for name, subnet in each.resources("AWS::EC2::Subnet").items()}
        for each in (private["sandpiper-private-network"], more["sandpiper-private-network"])
    )
    assert before.items() <= after.items()


def parameter_names(template: Template) -> set[str]:
    return {each["Name"] for each in template.resources("AWS::SSM::Parameter").values()}


def test_replaced_network_has_other_parameter_names(network: Template, tmp_path: Path) -> None:
    changes = {
        "cidr": {"  endpoints:": "  cidr: 10.96.0.0/20\n  endpoints:"},
        "zones": {"eu-west-1c: euw1-az3": "eu-west-1b: euw1-az2"},
    }
    for what, change in changes.items():
        other = synthesized(tmp_path / what, **change)["sandpiper-private-network"]
        assert not parameter_names(other) & parameter_names(network), what
    same = synthesized(tmp_path / "same", **{"[logs, ecr.dkr]": "[logs]"})["sandpiper-private-network"]
    assert parameter_names(same) == parameter_names(network)


INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"


def interpreters(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Returns the interpreters by the key in their names."""
    interpreters = assembly["sandpiper-private-claims"].resources(INTERPRETER).values()
    return {each["Name"].split("__")[2].rpartition("_")[0]: each for each in interpreters}


def policies_of_role(assembly: Assembly, prefix: str) -> list[dict[str, Any]]:
    """Returns the statements on S3 of an interpreter's role."""
    return [
        statement
        for name, each in assembly["sandpiper-private-claims"].resources("AWS::IAM::Role").items()
        if name.startswith(prefix)
        for policy in each.get("Policies", ())
        for statement in statements(policy["PolicyDocument"])
        if statement["Action"][0].startswith("s3:")
    ]


def test_interpreters_without_subnets_use_the_network(private: Assembly, network: Template) -> None:
    references = {f"{{{{resolve:ssm:{name}}}}}" for name in parameter_names(network)}
    configured = {key: each["NetworkConfiguration"] for key, each in interpreters(private).items()}
    vpc = configured["private"]["VpcConfig"]
    assert len(vpc["Subnets"]) == 2
    role = policies_of_role(private, "Interpreterprivate")
    (vpc_id,) = {each["Condition"]["StringEquals"]["aws:SourceVpc"] for each in role}
    assert {*vpc["Subnets"], *vpc["SecurityGroups"], vpc_id} == references
    for key in ("Interpreterelsewhere", "Interpretersandbox"):
        assert "aws:SourceVpc" not in str(policies_of_role(private, key))
    assert configured["elsewhere"]["VpcConfig"]["Subnets"] == ["subnet-0123456789abcdef0"]
    assert configured["sandbox"] == {"NetworkMode": "SANDBOX"}


def test_replaced_network_changes_interpreter_names(private: Assembly, tmp_path: Path) -> None:
    other = synthesized(tmp_path / "cidr", **{"  endpoints:": "  cidr: 10.96.0.0/20\n  endpoints:"})
    same = synthesized(tmp_path / "same", **{"[logs, ecr.dkr]": "[logs]"})
    names, of_other, of_same = (
        {key: each["Name"] for key, each in interpreters(each).items()} for each in (private, other, same)
    )
    assert {key for key in names if names[key] != of_other[key]} == {"private"}
    assert of_same == names


def test_no_stack_imports_from_another_stack(private: Assembly, assemblies: dict[str, Assembly]) -> None:
    for assembly in (private, *assemblies.values()):
        for template in assembly.templates.values():
            text = json.dumps(template.content)
            assert "Fn::ImportValue" not in text, template.name
            assert '"Export"' not in text, template.name


def test_synthesis_makes_no_lookups(private: Assembly) -> None:
    assert "missing" not in private.manifest


def test_region_without_a_known_prefix_list_requires_the_option(tmp_path: Path) -> None:
    other_region = {"eu-west-1": "ap-southeast-7", "euw1": "apse7"}
    with pytest.raises(Exception, match=r"network\.s3_prefix_list .*ap-southeast-7"):
        synthesized(tmp_path / "without", **other_region)
    prefix_list = {"  endpoints:": "  s3_prefix_list: pl-0123abcd\n  endpoints:"}
    assembly = synthesized(tmp_path / "with", **other_region, **prefix_list)
    assert "pl-0123abcd" in json.dumps(assembly["sandpiper-private-network"].content)


def test_construct_requires_only_zones_buckets_and_the_prefix_list(
    render: Callable[[Callable[[cdk.Stack], object]], Template],
) -> None:
    template = render(
        lambda stack: SandboxNetwork(
            stack, "Network", zones=[f"{REGION}a"], s3_prefix_list="pl-63a5400a", buckets={ACCOUNT: ["data"]}
        )
    )
    assert [each["VpcEndpointType"] for each in template.resources("AWS::EC2::VPCEndpoint").values()] == ["Gateway"]
    (group,) = template.resources("AWS::EC2::SecurityGroup").values()
    assert [rule["DestinationPrefixListId"] for rule in group["SecurityGroupEgress"]] == ["pl-63a5400a"]
    names = {
        template_text(name)
        for each in template.resources("AWS::Route53Resolver::FirewallDomainList").values()
        for name in each["Domains"]
    }
    # In this Region, SDKs can use both endpoints of S3.
    assert names == {
        "*",
        *(f"{bucket}s3.{region}<AWS::URLSuffix>" for bucket in ("", "data.") for region in ("", "us-east-1.")),
    }


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("cidr", "8.8.0.0/20", "cidr is '8.8.0.0/20'"),
        ("cidr", "10.0.0.0/28", "allowed: a private IPv4 range of 16 to 24 bits"),
        ("cidr", "10.0.0.1/20", "cidr is '10.0.0.1/20': 10.0.0.1/20 has host bits set"),
        ("zones", (), "zones is empty"),
        ("zones", ("us-east-1a", "us-east-1a"), "different zones"),
        ("zones", ("us-east-1z",), "with a letter from a to h"),
        ("buckets", {ACCOUNT: ["data/*/sandbox"]}, "buckets contains 'data/*/sandbox'"),
        ("buckets", {ACCOUNT: ["data/"]}, "buckets contains 'data/'"),
    ],
)
def test_invalid_arguments_are_rejected_before_the_first_resource(argument: str, value: Any, message: str) -> None:
    stack = cdk.Stack(cdk.App(), "stack")
    options: dict[str, Any] = {"zones": ["us-east-1a"], "s3_prefix_list": "pl-1", "buckets": {ACCOUNT: ["data"]}}
    with pytest.raises(ValueError, match=re.escape(message)):
        SandboxNetwork(stack, "Network", **(options | {argument: value}))
    assert not stack.node.children
