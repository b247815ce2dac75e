"""The policies for CloudFormation's role, against AWS's list of actions and what they must never allow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from importlib.resources import files
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
from sandpiper_policy.document import Kind, policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.unit.test_resource_actions import listed

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
    "permissions_boundary": BOUNDARY,
    "interpreters": {
        "inside": {"network": "VPC", "callers": (CALLER, "arn:aws:iam::444455556666:role/agent")},
        "other": {"execution_role": GIVEN, "certificates": (CERTIFICATE,)},
    },
}
SCHEMAS = files("cfnlint") / "data/schemas"
"""The CloudFormation registry's, as cfn-lint brings them."""
NOT_ASKED: dict[str, tuple[str, ...]] = {
    "AWS::EC2::Subnet": ("ec2:*SubnetCidrBlock",),
    "AWS::EC2::VPC": ("ec2:CreateVpcEncryptionControl", "ec2:ModifyVpcTenancy"),
    "AWS::EC2::VPCEndpoint": ("vpc-lattice:*", "vpce:AllowMultiRegion"),
    "AWS::IAM::Policy": ("iam:*UserPolicy", "iam:*GroupPolicy"),
    "AWS::IAM::Role": ("iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePermissionsBoundary"),
    "AWS::KMS::Key": ("kms:DisableKey*", "kms:EnableKey"),
    "AWS::Lambda::Function": (
        *("s3:GetObjectVersion", "elasticfilesystem:*", "s3files:*", "kms:*", "ec2:DescribeNetworkInterfaces"),
        *("lambda:*CodeSigningConfig", "lambda:Put*Config", "lambda:GetLayerVersion", "lambda:PublishVersion"),
        *("lambda:PassCapacityProvider", "lambda:AssociateRuntimeAlias"),
    ),
    "AWS::Logs::LogGroup": (
        *("logs:*DataProtectionPolicy", "logs:*IndexPolicy", "logs:*KmsKey", "logs:PutBearerTokenAuthentication"),
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
    "AWS::StepFunctions::StateMachine": ("s3:GetObjectVersion", "kms:*"),
}
"""What the handlers name for properties that no template here has, and for services that IAM does not know."""
SMALL: dict[str, Any] = {key: FULL[key] for key in ("name", "account", "region", "owner")} | {
    "interpreters": {"sandbox": {}}
}


def allowed(options: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every action with its statement."""
    return [
        (action, statement)
        for statement in policy_statements(Environment.model_validate(options))
        for action in statement["Action"]
    ]


@pytest.mark.parametrize("action", sorted({action for grant in GRANTS for action in grant.actions}))
def test_every_action_is_one_of_aws(action: str) -> None:
    service, _, name = action.partition(":")
    assert listed("actions", service)[name.lower()]["name"] == name


@pytest.mark.parametrize("kind", sorted({kind for grant in GRANTS for kind in grant.types if kind[:3] == "AWS"}))
def test_what_cloudformation_s_handlers_call_is_allowed_or_not_asked_for(kind: str) -> None:
    allowed_here = {action.lower() for action, _ in allowed(FULL)}
    asked_but_not_allowed = {action for action in handled(kind) if action.lower() not in allowed_here}
    patterns = NOT_ASKED.get(kind, ())
    assert {each for each in asked_but_not_allowed if not any(fnmatchcase(each, of) for of in patterns)} == set()
    assert [of for of in patterns if not any(fnmatchcase(each, of) for each in asked_but_not_allowed)] == []


def handled(kind: str) -> set[str]:
    """The actions that the registry's schema names for making, reading, changing and deleting a type."""
    names: dict[str, str] = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    handlers = json.loads((SCHEMAS / f"resources/{names[kind]}.json").read_text()).get("handlers", {})
    return {action for of, handler in handlers.items() if of != "list" for action in handler["permissions"]}


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_an_action_that_takes_a_resource_has_one(options: dict[str, Any]) -> None:
    for action, statement in allowed(options):
        service, _, name = action.partition(":")
        described, types = listed("actions", service)[name.lower()], listed("resourceTypes", service)
        arns = [types[item["name"].lower()]["arn"] for item in described["resourceTypes"]]
        if statement["Resource"] == ["*"]:
            assert not arns or "aws:RequestTag" in str(statement.get("Condition")), action
            continue
        kinds = [re.sub(r"\$\{\w+\}", "x", arn).split(":", 5)[5].split("/")[0].split(":")[0] for arn in arns]
        assert arns, f"{action} takes no resource"
        fitting = [
            each
            for each in statement["Resource"]
            if each.split(":")[2] in ("s3",) or each.split(":", 5)[5].split("/")[0].split(":")[0] in kinds
        ]
        assert fitting, f"{action} on {statement['Resource']}, of {kinds}"


def test_the_page_has_every_grant_that_is_wider_than_the_environment_with_its_reason() -> None:
    page = (PROJECT / "docs" / "how-to" / "deploy-with-a-small-role.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line)]
    made = list(policy_statements(Environment.model_validate(FULL)))
    reasons = unscoped_grants(Environment.model_validate(FULL))
    written = [
        f"| `{each['Sid']}` | {', '.join(f'`{action}`' for action in each['Action'])} | {bound(each)} | "
        f"{reasons[each['Sid']]} |"
        for each in made
        if each["Sid"] in reasons
    ]
    assert rows == written, "\n".join(written)
    assert {each["Sid"] for each in made if "*" in each["Resource"]} <= reasons.keys()
    assert len(rows) > len(unscoped_grants(Environment.model_validate(SMALL))) > 0


def test_the_page_names_every_action_that_lets_others_in_or_runs_code() -> None:
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


def bound(statement: dict[str, Any]) -> str:
    """The condition keys of a statement, as the page writes them."""
    keys = dict.fromkeys(key.partition("/")[0] for of in statement.get("Condition", {}).values() for key in of)
    return ", ".join(f"`{key}`" for key in keys) or "nothing"


def test_the_command_says_what_is_wider_than_the_environment_and_why() -> None:
    file = PROJECT / "environments" / "prod.yaml"
    command = [Path(sys.executable).with_name("sandpiper"), "deployment-policy", "-e", file]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(ran.stdout) == policy_documents(load(file))
    reasons = unscoped_grants(load(file))
    assert "LogDeliveriesOfTheWholeAccount" in reasons
    for name, reason in reasons.items():
        assert f"{name} is not held to this environment's own resources: {reason}" in ran.stderr


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_nothing_is_run_and_nothing_has_a_wildcard_for_its_action(options: dict[str, Any]) -> None:
    actions = {action for action, _ in allowed(options)}
    assert not any("*" in action or "?" in action for action in actions)
    agentcore = {action.partition(":")[2] for action in actions if action.startswith("bedrock-agentcore:")}
    assert agentcore == {
        *("CreateCodeInterpreter", "GetCodeInterpreter", "DeleteCodeInterpreter"),
        *("ListTagsForResource", "TagResource", "UntagResource"),
    }
    assert not actions & {"sts:AssumeRole", "s3:PutObject", "states:StartExecution", "iam:AttachRolePolicy"}
    for action, statement in allowed(options):
        if action == "s3:GetObject":
            assert statement["Resource"] == ["arn:aws:s3:::cdk-hnb659fds-assets-111122223333-eu-west-1/*"]
        if action == "lambda:InvokeFunction":
            assert statement["Resource"][0].endswith("function:sandpiper-prod-*SessionStopper*")


def test_roles_are_handed_to_the_services_that_have_them_and_to_no_other() -> None:
    passed = {
        tuple(statement["Resource"]): statement["Condition"]["StringEquals"]["iam:PassedToService"]
        for action, statement in allowed(SMALL)
        if action == "iam:PassRole"
    }
    services = ["bedrock-agentcore.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"]
    assert passed == {("arn:aws:iam::111122223333:role/sandpiper-prod-*",): services}


TAG = "sandpiper:environment"
ASKED = {f"aws:RequestTag/{TAG}": "prod"}
MINE, ANOTHERS = ({f"aws:ResourceTag/{TAG}": name} for name in ("prod", "dev"))
IN_EC2 = "arn:aws:ec2:eu-west-1:111122223333:"
IN_RESOLVER = "arn:aws:route53resolver:eu-west-1:111122223333:"
MADE = {
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
"""What makes something, with its type and those of what it is made in."""
TAGGING = ("ec2:CreateTags", "route53resolver:TagResource", "kms:TagResource")
BY_TAG = ("ec2", "route53resolver", "kms")
"""Services whose resources have no name that a policy could go by."""


def may(action: str, resource: str, *keys: dict[str, str], options: dict[str, Any] = FULL) -> bool:
    """Whether all policies together allow something."""
    made = policy_documents(Environment.model_validate(options))
    who = Principal.of("arn:aws:iam::111122223333:role/cfn-exec-role")
    asked = Request(who, action, resource, "111122223333", {key: value for each in keys for key, value in each.items()})
    given = [policy(name, Kind.IDENTITY, document) for name, document in made.items()]
    return evaluate(asked, Policies(identity=given)).allowed


def on(action: str, kind: str) -> str:
    return f"{IN_EC2 if action.startswith('ec2:') else IN_RESOLVER}{kind}/x-0123456789abcdef0"


def changes() -> dict[str, set[str]]:
    """What changes or ends a thing that is there, with the patterns of what it is allowed on."""
    found: dict[str, set[str]] = {}
    for action, statement in allowed(FULL):
        service, _, name = action.partition(":")
        if service in BY_TAG and action not in (*MADE, *TAGGING, "kms:CreateKey"):
            if listed("actions", service)[name.lower()]["accessLevel"] in ("Read", "List"):
                continue
            # A rule is not made yet: its group is judged.
            on_what = {each for each in statement["Resource"] if not each.endswith(":security-group-rule/*")}
            found.setdefault(action, set()).update(on_what)
    return found


@pytest.mark.parametrize("action", sorted(changes()))
def test_nothing_is_changed_but_what_has_the_environment_s_tag(action: str) -> None:
    for pattern in changes()[action]:
        resource = pattern.replace("*", "x-0123456789abcdef0")
        assert may(action, resource, MINE)
        assert not may(action, resource, ANOTHERS)
        assert not may(action, resource)
        assert not may(action, resource, ASKED)


def test_there_are_changes_of_each_service_to_judge() -> None:
    assert changes().keys() > {
        *("ec2:AuthorizeSecurityGroupIngress", "ec2:ReplaceRouteTableAssociation", "ec2:ModifyVpcEndpoint"),
        *("route53resolver:UpdateFirewallDomains", "route53resolver:CreateFirewallRule", "kms:PutKeyPolicy"),
        *("route53resolver:AssociateResolverQueryLogConfig", "ec2:DeleteTags"),
    }


@pytest.mark.parametrize(("action", "kinds"), MADE.items())
def test_what_is_made_must_have_the_tag_and_so_must_what_it_is_made_in(action: str, kinds: tuple[str, ...]) -> None:
    made, *made_in = (on(action, kind) for kind in kinds)
    assert may(action, made, ASKED)
    assert not may(action, made)
    assert not may(action, made, {f"aws:RequestTag/{TAG}": "dev"})
    for parent in made_in:
        assert may(action, parent, MINE)
        assert may(action, parent, MINE, ASKED)
        assert not may(action, parent, ASKED)
        assert not may(action, parent, ANOTHERS, ASKED)


def test_a_thing_of_the_network_gets_the_tag_when_it_is_made_and_at_no_other_time() -> None:
    group = on("ec2:CreateTags", "security-group")
    assert may("ec2:CreateTags", group, ASKED, {"ec2:CreateAction": "CreateSecurityGroup"})
    assert not may("ec2:CreateTags", group, ASKED, {"ec2:CreateAction": "CreateManagedPrefixList"})
    assert not may("ec2:CreateTags", group, {"ec2:CreateAction": "CreateSecurityGroup"})
    assert not may("ec2:CreateTags", group, ASKED)
    assert not may("ec2:CreateTags", group, ASKED, ANOTHERS)
    assert may("ec2:CreateTags", group, MINE, {"aws:RequestTag/cost-center": "4711"})


@pytest.mark.parametrize("resource", [IN_RESOLVER + "firewall-rule-group/rslvr-frg-0", f"{IN_EC2}key/0"])
def test_what_is_another_environments_is_never_tagged_anew(resource: str) -> None:
    service = "route53resolver" if "resolver" in resource else "kms"
    resource = resource.replace(":ec2:", ":kms:")
    assert may(f"{service}:TagResource", resource, ASKED)
    assert may(f"{service}:TagResource", resource, MINE, {"aws:RequestTag/cost-center": "4711"})
    assert not may(f"{service}:TagResource", resource, ASKED, ANOTHERS)
    assert not may(f"{service}:TagResource", resource, ANOTHERS)
    assert not may(f"{service}:TagResource", resource)


def test_a_key_must_be_made_with_the_tag() -> None:
    assert may("kms:CreateKey", "*", ASKED)
    assert not may("kms:CreateKey", "*")


def test_with_a_boundary_only_roles_that_have_it_are_given_policies() -> None:
    role = "arn:aws:iam::111122223333:role/sandpiper-prod-main-Role-0123456789AB"
    assert may("iam:PutRolePolicy", role, {"iam:PermissionsBoundary": BOUNDARY})
    assert not may("iam:PutRolePolicy", role, {"iam:PermissionsBoundary": f"{BOUNDARY}-other"})
    assert not may("iam:PutRolePolicy", role)
    assert may("iam:PutRolePolicy", role, options=SMALL)
    assert may("iam:PutRolePolicy", CALLER), "a caller's role is the reader's own, and may have no boundary"


def test_a_boundary_must_be_on_every_role_and_cannot_be_taken_away() -> None:
    making = [statement for action, statement in allowed(FULL) if action == "iam:CreateRole"]
    assert [each["Condition"] for each in making] == [{"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}]
    assert "iam:DeleteRolePermissionsBoundary" not in dict(allowed(FULL))
    assert "iam:PutRolePermissionsBoundary" not in dict(allowed(SMALL))


def test_roles_that_the_file_names_are_in_it_by_name() -> None:
    by_name = {statement["Sid"]: statement for _, statement in allowed(FULL)}
    assert by_name["PoliciesOfCallers"]["Resource"] == [CALLER]
    assert by_name["HandOverGivenRoles"]["Resource"] == [GIVEN]


def test_secrets_are_read_that_hold_a_certificate_and_no_others() -> None:
    read = [statement["Resource"] for action, statement in allowed(FULL) if action == "secretsmanager:GetSecretValue"]
    assert read == [[CERTIFICATE]]
    assert "secretsmanager:GetSecretValue" not in dict(allowed(SMALL))


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_documents_fit_what_iam_takes_and_hold_every_statement(options: dict[str, Any]) -> None:
    environment = Environment.model_validate(options | {"name": "a" * 20})
    made = policy_documents(environment)
    assert len(made) <= MAX_POLICIES
    assert all(len(json.dumps(each, separators=(",", ":"))) <= MAX_POLICY_CHARACTERS for each in made.values())
    held = [statement["Sid"] for each in made.values() for statement in each["Statement"]]
    assert sorted(held) == sorted(statement["Sid"] for statement in policy_statements(environment))


@pytest.mark.parametrize("name", ["a", "a" * 13, "abcdefghijklmn", "abcdefghijklmno", "abcdefghijklmnopqrst"])
def test_names_that_cloudformation_cuts_are_still_matched(name: str) -> None:
    stack = f"sandpiper-{name}-analytics-of-everything"
    for left in range(24, len(stack) + 1):
        assert fnmatchcase(f"{stack[:left]}-SessionFunctionRole1234-0123456789AB", f"{generated_name_prefix(name)}*")
    assert not fnmatchcase("sandpiper-other-analytics-Role-0123456789AB", f"{generated_name_prefix(name)}*")
