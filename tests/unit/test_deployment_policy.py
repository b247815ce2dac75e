"""Tests the deployment policies against AWS's list of actions, and for what they must never allow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sandpiper.cdk_cli import PROJECT
from sandpiper.deployment_policy import (
    GRANTS,
    MAX_POLICIES,
    MAX_POLICY_CHARACTERS,
    generated_name_prefix,
    policy_documents,
    policy_statements,
    unscoped_grants,
)
from sandpiper.environment import Environment, load
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.iam_data import listed
from tests.support.resource_schemas import SCHEMAS

BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
CALLER = "arn:aws:iam::111122223333:role/agent"
GIVEN = "arn:aws:iam::111122223333:role/given"
CERTIFICATE = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:our-root-AbCdEf"
FULL: dict[str, Any] = {
    "name": "prod",
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "platform team",
    "availability_zones": {"eu-west-1a": "euw1-az1"},
    "network": {"endpoints": ("logs",)},
    "data_bucket": {"key": "own"},
    "budget": {"usd_a_month": 400, "emails": ("a@example.com",)},
    "alarm_subscriptions": {"emails": ("a@example.com",), "slack": {"workspace": "T1", "channel": "C1"}},
    "audit": {"trail": "own"},
    "permissions_boundary": BOUNDARY,
    "interpreters": {
        "inside": {"network": "VPC", "callers": (CALLER, "arn:aws:iam::444455556666:role/agent")},
        "other": {"execution_role": GIVEN, "certificates": (CERTIFICATE,)},
    },
}
NOT_IN_THE_REFERENCE = {"bedrock-agentcore:AllowVendedLogDeliveryForResource"}
"""Actions on resources for which the reference does not list them. docs/logs.md has the assumption and its probe."""
UNNEEDED: dict[str, tuple[str, ...]] = {
    "AWS::CloudTrail::Trail": (
        *("CloudTrail:PutInsightSelectors", "CloudTrail:PutEventConfiguration"),
        "organizations:*",
    ),
    "AWS::EC2::Subnet": ("ec2:*SubnetCidrBlock",),
    "AWS::EC2::VPC": ("ec2:CreateVpcEncryptionControl", "ec2:ModifyVpcTenancy"),
    "AWS::EC2::VPCEndpoint": ("vpc-lattice:*", "vpce:AllowMultiRegion"),
    "AWS::IAM::Policy": ("iam:*UserPolicy", "iam:*GroupPolicy"),
    "AWS::IAM::Role": ("iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePermissionsBoundary"),
    "AWS::KMS::Key": ("kms:DisableKey*", "kms:EnableKey"),
    "AWS::Lambda::Function": (
        *("s3:GetObjectVersion", "elasticfilesystem:*", "s3files:*", "ec2:DescribeNetworkInterfaces"),
        *("lambda:*CodeSigningConfig", "lambda:Put*Config", "lambda:GetLayerVersion", "lambda:PublishVersion"),
        *("lambda:PassCapacityProvider", "lambda:AssociateRuntimeAlias"),
    ),
    "AWS::Logs::DeliveryDestination": ("logs:*DeliveryDestinationPolicy",),
    "AWS::Logs::DeliverySource": ("*:AllowVendedLogDeliveryForResource",),
    "AWS::Logs::LogGroup": (
        *("logs:*DataProtectionPolicy", "logs:*IndexPolicy", "logs:PutBearerTokenAuthentication"),
        *("logs:PutLogGroupDeletionProtection", "s3:REST.PUT.OBJECT", "firehose:*"),
    ),
    "AWS::Route53Resolver::FirewallDomainList": ("route53resolver:ImportFirewallDomains",),
    "AWS::Route53Resolver::ResolverQueryLoggingConfig": ("resolverquerylogging:*",),
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation": ("resolverquerylogging:*",),
    "AWS::S3::Bucket": (
        *("s3:*Abac", "s3:*AnalyticsConfiguration", "s3:*CORS", "s3:*Cors", "s3:*InventoryConfiguration"),
        *("s3:*MetricsConfiguration", "s3:*BucketNotification", "s3:*Replication*", "s3:*Website", "s3:*Acl"),
        *("s3:*AccelerateConfiguration", "s3:*ObjectLockConfiguration", "s3:*IntelligentTieringConfiguration"),
        *("s3:*Metadata*TableConfiguration", "s3:DeleteObject", "s3:DeleteBucketEncryption"),
        *("s3:DeleteBucketLifecycle", "s3tables:*"),
    ),
    "AWS::SNS::Topic": ("sns:PutDataProtectionPolicy",),
    "AWS::StepFunctions::StateMachine": ("s3:GetObjectVersion",),
}
"""Actions that handlers list for properties that no template uses, and for services that IAM does not have."""
SMALL: dict[str, Any] = {key: FULL[key] for key in ("name", "account", "region", "owner")} | {
    "interpreters": {"sandbox": {}}
}


def allowed(options: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Returns every action with its statement."""
    return [
        (action, statement)
        for statement in policy_statements(Environment.model_validate(options))
        for action in statement["Action"]
    ]


@pytest.mark.parametrize("action", sorted({action for grant in GRANTS for action in grant.actions}))
def test_every_action_exists(action: str) -> None:
    service, _, name = action.partition(":")
    assert listed("actions", service)[name.lower()]["name"] == name


@pytest.mark.parametrize(
    "kind", sorted({kind for grant in GRANTS for kind in grant.resource_types if kind[:3] == "AWS"})
)
def test_actions_of_cloudformation_handlers_are_allowed_or_listed_as_unneeded(kind: str) -> None:
    allowed_here = {action.lower() for action, _ in allowed(FULL)}
    missing = {action for action in handled(kind) if action.lower() not in allowed_here}
    patterns = UNNEEDED.get(kind, ())
    assert {each for each in missing if not any(fnmatchcase(each, of) for of in patterns)} == set()
    assert [of for of in patterns if not any(fnmatchcase(each, of) for each in missing)] == []


def handled(kind: str) -> set[str]:
    """Returns the actions that the registry lists for creating, reading, changing and deleting a resource type."""
    names: dict[str, str] = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    handlers = json.loads((SCHEMAS / f"resources/{names[kind]}.json").read_text()).get("handlers", {})
    return {action for of, handler in handlers.items() if of != "list" for action in handler["permissions"]}


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_action_with_resource_types_has_a_matching_resource(options: dict[str, Any]) -> None:
    for action, statement in allowed(options):
        service, _, name = action.partition(":")
        described, types = listed("actions", service)[name.lower()], listed("resourceTypes", service)
        arns = [types[item["name"].lower()]["arn"] for item in described["resourceTypes"]]
        if statement["Resource"] == ["*"]:
            assert not arns or "aws:RequestTag" in str(statement.get("Condition")), action
            continue
        if action in NOT_IN_THE_REFERENCE:
            continue
        kinds = [re.sub(r"\$\{\w+\}", "x", arn).split(":", 5)[5].split("/")[0].split(":")[0] for arn in arns]
        assert arns, f"{action} has no resource types"
        fitting = [
            each
            for each in statement["Resource"]
            if each.split(":")[2] in ("s3", "sns") or each.split(":", 5)[5].split("/")[0].split(":")[0] in kinds
        ]
        assert fitting, f"{action} on {statement['Resource']}, of {kinds}"


def test_page_lists_every_unscoped_grant_with_its_reason() -> None:
    page = (PROJECT / "docs" / "how-to" / "deploy-with-a-small-role.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line)]
    statements = list(policy_statements(Environment.model_validate(FULL)))
    reasons = unscoped_grants(Environment.model_validate(FULL))
    written = [
        f"| `{each['Sid']}` | {', '.join(f'`{action}`' for action in each['Action'])} | {condition_keys(each)} | "
        f"{reasons[each['Sid']]} |"
        for each in statements
        if each["Sid"] in reasons
    ]
    assert rows == written, "\n".join(written)
    assert {each["Sid"] for each in statements if "*" in each["Resource"]} <= reasons.keys()
    assert len(rows) > len(unscoped_grants(Environment.model_validate(SMALL))) > 0


def test_page_names_every_action_that_grants_access_or_runs_code() -> None:
    page = (PROJECT / "docs" / "how-to" / "deploy-with-a-small-role.md").read_text()
    granting = {
        action
        for action, _ in allowed(FULL)
        for service, _, name in [action.partition(":")]
        if "Permissions management" in listed("actions", service)[name.lower()]["accessLevel"]
    }
    assert {"iam:PutRolePolicy", "s3:PutBucketPolicy", "kms:PutKeyPolicy"} < granting
    running = {"iam:PassRole", "lambda:InvokeFunction", "lambda:UpdateFunctionCode"}
    assert {action for action in granting | running if f"`{action}`" not in page} == set()


def condition_keys(statement: dict[str, Any]) -> str:
    """Returns the condition keys of a statement, as the page writes them."""
    keys = dict.fromkeys(key.partition("/")[0] for of in statement.get("Condition", {}).values() for key in of)
    return ", ".join(f"`{key}`" for key in keys) or "nothing"


def test_command_prints_unscoped_grants_with_their_reasons() -> None:
    file = PROJECT / "environments" / "prod.yaml"
    command = [Path(sys.executable).with_name("sandpiper"), "deployment-policy", "-e", file]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == policy_documents(load(file))
    reasons = unscoped_grants(load(file))
    assert "LogDeliveriesOfTheWholeAccount" in reasons
    for name, reason in reasons.items():
        assert f"{name} is not limited to this environment's resources: {reason}" in ran.stderr


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_no_code_is_run_and_no_action_has_a_wildcard(options: dict[str, Any]) -> None:
    actions = {action for action, _ in allowed(options)}
    assert not any("*" in action or "?" in action for action in actions)
    agentcore = {action.partition(":")[2] for action in actions if action.startswith("bedrock-agentcore:")}
    assert agentcore == {
        *("CreateCodeInterpreter", "GetCodeInterpreter", "DeleteCodeInterpreter"),
        *("ListTagsForResource", "TagResource", "UntagResource", "AllowVendedLogDeliveryForResource"),
    }
    assert not actions & {"sts:AssumeRole", "s3:PutObject", "states:StartExecution", "iam:AttachRolePolicy"}
    for action, statement in allowed(options):
        if action == "s3:GetObject":
            assert statement["Resource"] == ["arn:aws:s3:::cdk-hnb659fds-assets-111122223333-eu-west-1/*"]
        if action == "lambda:InvokeFunction":
            assert statement["Resource"][0].endswith("function:sandpiper-prod-*SessionStopper*")


def test_roles_are_passed_to_their_services_only() -> None:
    passed = {
        tuple(statement["Resource"]): statement["Condition"]["StringEquals"]["iam:PassedToService"]
        for action, statement in allowed(SMALL)
        if action == "iam:PassRole"
    }
    services = ["bedrock-agentcore.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"]
    assert passed == {("arn:aws:iam::111122223333:role/sandpiper-prod-*",): services}


TAG = "sandpiper:environment"
REQUEST_TAG = {f"aws:RequestTag/{TAG}": "prod"}
OWN_TAG, OTHER_TAG = ({f"aws:ResourceTag/{TAG}": name} for name in ("prod", "dev"))
IN_EC2 = "arn:aws:ec2:eu-west-1:111122223333:"
IN_RESOLVER = "arn:aws:route53resolver:eu-west-1:111122223333:"
CREATING = {
    "ec2:CreateVpc": ("vpc",),
    "ec2:CreateSubnet": ("subnet", "vpc"),
    "ec2:CreateRouteTable": ("route-table", "vpc"),
    "ec2:CreateSecurityGroup": ("security-group", "vpc"),
    "ec2:CreateVpcEndpoint": ("vpc-endpoint", "vpc", "subnet", "route-table", "security-group"),
    "ec2:CreateFlowLogs": ("vpc-flow-log", "vpc"),
    "route53resolver:CreateFirewallDomainList": ("firewall-domain-list",),
    "route53resolver:CreateFirewallRuleGroup": ("firewall-rule-group",),
    "route53resolver:CreateResolverQueryLogConfig": ("resolver-query-log-config",),
    "route53resolver:AssociateFirewallRuleGroup": ("firewall-rule-group-association",),
}
"""Creating actions, with the type that they create and the types that they create it in."""
TAGGING = ("ec2:CreateTags", "route53resolver:TagResource", "kms:TagResource")
BY_TAG = ("ec2", "route53resolver", "kms")
"""Services whose resources have no name that a policy could match."""


def may(action: str, resource: str, *keys: dict[str, str], options: dict[str, Any] = FULL) -> bool:
    """Returns whether the policies together allow an action."""
    principal = Principal.parse("arn:aws:iam::111122223333:role/cfn-exec-role")
    context = {key: value for each in keys for key, value in each.items()}
    request = Request(principal, action, resource, "111122223333", context)
    return evaluate(request, policies_of(json.dumps(options))).allowed


@cache
def policies_of(options: str) -> Policies:
    """Returns the parsed policies of an environment, whose options are JSON."""
    documents = policy_documents(Environment.model_validate(json.loads(options)))
    return Policies(
        identity=[parse_policy(name, PolicyKind.IDENTITY, document) for name, document in documents.items()]
    )


def on(action: str, kind: str) -> str:
    return f"{IN_EC2 if action.startswith('ec2:') else IN_RESOLVER}{kind}/x-0123456789abcdef0"


@cache
def changes() -> dict[str, set[str]]:
    """Returns the actions that change or delete existing resources, with the ARN patterns that they are allowed on."""
    grants: dict[str, set[str]] = {}
    for action, statement in allowed(FULL):
        service, _, name = action.partition(":")
        if service in BY_TAG and action not in (*CREATING, *TAGGING, "kms:CreateKey"):
            if listed("actions", service)[name.lower()]["accessLevel"] in ("Read", "List"):
                continue
            # A rule does not exist yet: its group is checked.
            patterns = {each for each in statement["Resource"] if not each.endswith(":security-group-rule/*")}
            grants.setdefault(action, set()).update(patterns)
    return grants


IN_ACCOUNT = "eu-west-1:111122223333"
WORKFLOW_KEY_USE = {
    "kms:ViaService": "states.eu-west-1.amazonaws.com",
    "kms:EncryptionContext:aws:states:stateMachineArn": (
        f"arn:aws:states:{IN_ACCOUNT}:stateMachine:sandpiper-prod-main-run-code"
    ),
}
FUNCTION_KEY_USE = {
    "kms:ViaService": "lambda.eu-west-1.amazonaws.com",
    "kms:EncryptionContext:aws:lambda:FunctionArn": (
        f"arn:aws:lambda:{IN_ACCOUNT}:function:sandpiper-prod-main-SessionFunction"
    ),
}
GRANT = {"kms:ViaService": "lambda.eu-west-1.amazonaws.com", "kms:GrantIsForAWSResource": "true"}
KEY_USES = {
    "kms:CreateGrant": (GRANT,),
    "kms:Decrypt": (WORKFLOW_KEY_USE, FUNCTION_KEY_USE),
    "kms:Encrypt": (FUNCTION_KEY_USE,),
    "kms:GenerateDataKey": (WORKFLOW_KEY_USE, FUNCTION_KEY_USE),
}
"""Condition keys of the calls of services that use the key for a deployment, by action."""


@pytest.mark.parametrize("action", sorted(changes()))
def test_only_resources_with_the_environment_tag_can_be_changed(action: str) -> None:
    for pattern in changes()[action]:
        resource = pattern.replace("*", "x-0123456789abcdef0")
        for context in KEY_USES.get(action, ({},)):
            assert may(action, resource, OWN_TAG, context)
            assert not may(action, resource, OTHER_TAG, context)
            assert not may(action, resource, context)
            assert not may(action, resource, REQUEST_TAG, context)


@pytest.mark.parametrize("action", KEY_USES)
def test_key_is_used_only_by_services_for_resources_of_the_environment(action: str) -> None:
    key = f"arn:aws:kms:{IN_ACCOUNT}:key/x"
    for context in KEY_USES[action]:
        assert may(action, key, OWN_TAG, context)
        for name, value in context.items():
            assert not may(action, key, OWN_TAG, {each: context[each] for each in context if each != name})
            other = (
                value.replace("prod", "prod2").replace("true", "false").replace("west-1.amazonaws", "west-2.amazonaws")
            )
            assert not may(action, key, OWN_TAG, {**context, name: other})


def test_changing_actions_of_each_service_are_covered() -> None:
    assert changes().keys() > {
        *("ec2:AuthorizeSecurityGroupIngress", "ec2:ReplaceRouteTableAssociation", "ec2:ModifyVpcEndpoint"),
        *("route53resolver:UpdateFirewallDomains", "route53resolver:CreateFirewallRule", "kms:PutKeyPolicy"),
        *("route53resolver:AssociateResolverQueryLogConfig", "ec2:DeleteTags"),
    }


@pytest.mark.parametrize(("action", "kinds"), CREATING.items())
def test_created_resource_and_its_parents_must_have_the_tag(action: str, kinds: tuple[str, ...]) -> None:
    created, *parents = (on(action, kind) for kind in kinds)
    assert may(action, created, REQUEST_TAG)
    assert not may(action, created)
    assert not may(action, created, {f"aws:RequestTag/{TAG}": "dev"})
    for parent in parents:
        assert may(action, parent, OWN_TAG)
        assert may(action, parent, OWN_TAG, REQUEST_TAG)
        assert not may(action, parent, REQUEST_TAG)
        assert not may(action, parent, OTHER_TAG, REQUEST_TAG)


def test_network_resource_can_be_tagged_only_at_creation() -> None:
    group = on("ec2:CreateTags", "security-group")
    assert may("ec2:CreateTags", group, REQUEST_TAG, {"ec2:CreateAction": "CreateSecurityGroup"})
    assert not may("ec2:CreateTags", group, REQUEST_TAG, {"ec2:CreateAction": "CreateManagedPrefixList"})
    assert not may("ec2:CreateTags", group, {"ec2:CreateAction": "CreateSecurityGroup"})
    assert not may("ec2:CreateTags", group, REQUEST_TAG)
    assert not may("ec2:CreateTags", group, REQUEST_TAG, OTHER_TAG)
    assert may("ec2:CreateTags", group, OWN_TAG, {"aws:RequestTag/cost-center": "4711"})


@pytest.mark.parametrize("resource", [IN_RESOLVER + "firewall-rule-group/rslvr-frg-0", f"{IN_EC2}key/0"])
def test_tag_of_another_environment_cannot_be_replaced(resource: str) -> None:
    service = "route53resolver" if "resolver" in resource else "kms"
    resource = resource.replace(":ec2:", ":kms:")
    assert may(f"{service}:TagResource", resource, REQUEST_TAG)
    assert may(f"{service}:TagResource", resource, OWN_TAG, {"aws:RequestTag/cost-center": "4711"})
    assert not may(f"{service}:TagResource", resource, REQUEST_TAG, OTHER_TAG)
    assert not may(f"{service}:TagResource", resource, OTHER_TAG)
    assert not may(f"{service}:TagResource", resource)


def test_key_must_be_created_with_the_tag() -> None:
    assert may("kms:CreateKey", "*", REQUEST_TAG)
    assert not may("kms:CreateKey", "*")


def test_policies_are_written_only_to_roles_with_the_boundary() -> None:
    role = "arn:aws:iam::111122223333:role/sandpiper-prod-main-Role-0123456789AB"
    assert may("iam:PutRolePolicy", role, {"iam:PermissionsBoundary": BOUNDARY})
    assert not may("iam:PutRolePolicy", role, {"iam:PermissionsBoundary": f"{BOUNDARY}-other"})
    assert not may("iam:PutRolePolicy", role)
    assert may("iam:PutRolePolicy", role, options=SMALL)
    assert may("iam:PutRolePolicy", CALLER), "roles of callers exist already and may have no boundary"


def test_every_role_needs_the_boundary_and_it_cannot_be_removed() -> None:
    making = [statement for action, statement in allowed(FULL) if action == "iam:CreateRole"]
    assert [each["Condition"] for each in making] == [{"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}]
    assert "iam:DeleteRolePermissionsBoundary" not in dict(allowed(FULL))
    assert "iam:PutRolePermissionsBoundary" not in dict(allowed(SMALL))


def test_roles_in_the_file_are_allowed_by_name() -> None:
    by_name = {statement["Sid"]: statement for _, statement in allowed(FULL)}
    assert by_name["PoliciesOfCallers"]["Resource"] == [CALLER]
    assert by_name["HandOverGivenRoles"]["Resource"] == [GIVEN]


def test_only_secrets_with_certificates_can_be_read() -> None:
    read = [statement["Resource"] for action, statement in allowed(FULL) if action == "secretsmanager:GetSecretValue"]
    assert read == [[CERTIFICATE]]
    assert "secretsmanager:GetSecretValue" not in dict(allowed(SMALL))


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_documents_are_within_iam_limits_and_contain_every_statement(options: dict[str, Any]) -> None:
    environment = Environment.model_validate(options | {"name": "a" * 20})
    documents = policy_documents(environment)
    assert len(documents) <= MAX_POLICIES
    assert all(len(json.dumps(each, separators=(",", ":"))) <= MAX_POLICY_CHARACTERS for each in documents.values())
    sids = [statement["Sid"] for each in documents.values() for statement in each["Statement"]]
    assert sorted(sids) == sorted(statement["Sid"] for statement in policy_statements(environment))


@pytest.mark.parametrize("name", ["a", "a" * 13, "abcdefghijklmn", "abcdefghijklmno", "abcdefghijklmnopqrst"])
def test_truncated_generated_names_are_matched(name: str) -> None:
    stack = f"sandpiper-{name}-analytics-of-everything"
    for length in range(24, len(stack) + 1):
        assert fnmatchcase(f"{stack[:length]}-SessionFunctionRole1234-0123456789AB", f"{generated_name_prefix(name)}*")
    assert not fnmatchcase("sandpiper-other-analytics-Role-0123456789AB", f"{generated_name_prefix(name)}*")
