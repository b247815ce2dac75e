"""The model of a review: resolved values, lines, identities, the graph, and the keys of statements."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.review.building.build import build_model
from sandpiper.review.reading.document import parse_document
from sandpiper.review.reading.source import TemplateSource
from sandpiper.review.review import Target, load_model
from sandpiper_policy.evaluate import Request, evaluate
from sandpiper_policy.model.graph import EdgeKind
from tests.support.review_templates import (
    RUNS_CODE,
    allow,
    document,
    findings_of,
    model_of,
    role,
    secure,
    source_of,
    trust,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.review_templates import Template

ROLE = "arn:aws:iam::000000000000:role/own"


def resolved(value: Any, **sections: Any) -> Any:
    """Returns the value of an SSM parameter after intrinsic functions are resolved."""
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/p", "Value": value}}
    named = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "own", "Path": "/a/"}}
    return model_of({**sections, "Resources": {"P": parameter, "Own": named}}).by_address["app/P"].get("Value")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "Own"}, "own"),
        ({"Fn::GetAtt": "Own.Arn"}, "arn:aws:iam::000000000000:role/a/own"),
        ({"Fn::Sub": "${Own}-${AWS::Partition}-${!literal}"}, "own-aws-${literal}"),
        ({"Fn::Sub": ["${x}/${Own.Arn}", {"x": {"Ref": "Own"}}]}, "own/arn:aws:iam::000000000000:role/a/own"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Own"}]]}, "a/own"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "k"]}, "mapped"),
        ({"Ref": "Text"}, "default"),
        ({"Ref": "List"}, ["a", "b"]),
        ({"Ref": "Unknown"}, "⟨app/Unknown⟩"),
        ({"Ref": "FromSsm"}, "⟨ssm/elsewhere⟩"),
        ("a-{{resolve:ssm:/elsewhere:3}}", "a-⟨ssm/elsewhere⟩"),
        ({"Fn::ImportValue": "elsewhere"}, "⟨import/elsewhere⟩"),
        ({"Fn::GetAtt": ["Own", "RoleId"]}, "⟨app/Own.RoleId⟩"),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::ToJsonString": {"a": [{"Ref": "Own"}]}}, '{"a":["own"]}'),
        ({"Fn::If": ["IsHere", "yes", "no"]}, "yes"),
        ("⟨ssm/elsewhere⟩", "_ssm/elsewhere_"),
    ],
)
def test_intrinsic_functions_are_resolved(value: Any, expected: Any) -> None:
    found = resolved(
        value,
        Mappings={"M": {"us-east-1": {"k": "mapped"}}},
        Parameters={
            "Text": {"Type": "String", "Default": "default"},
            "List": {"Type": "CommaDelimitedList", "Default": "a, b"},
            "FromSsm": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/elsewhere"},
        },
        Conditions={"IsHere": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}},
    )
    assert found == expected


def test_values_of_other_stacks_are_followed() -> None:
    exporting: Template = {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "shared"}},
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/role", "Value": {"Fn::GetAtt": ["Role", "Arn"]}},
            },
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}, "Export": {"Name": "role-arn"}}},
    }
    importing: Template = {
        "Parameters": {"Role": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/role"}},
        "Resources": {
            "P": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Name": "/all",
                    "Value": [{"Fn::ImportValue": "role-arn"}, {"Ref": "Role"}, "{{resolve:ssm:/role}}"],
                },
            }
        },
    }
    value = model_of(exporting, importing).by_address["app2/P"].get("Value")
    assert value == ["arn:aws:iam::000000000000:role/shared"] * 3


def test_nested_stacks_receive_parameters_and_return_outputs() -> None:
    parent = source_of(
        {
            "Resources": {
                "Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"Parameters": {"Name": "given"}}},
                "P": {
                    "Type": "AWS::SSM::Parameter",
                    "Properties": {"Name": "/p", "Value": {"Fn::GetAtt": ["Child", "Outputs.Arn"]}},
                },
            }
        }
    )
    child = {
        "Parameters": {"Name": {"Type": "String"}},
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Ref": "Name"}}}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    }
    nested = TemplateSource("app.Child", parse_document(json.dumps(child).encode(), "c"), parent="app/Child")
    model = build_model("test", [parent, nested])
    assert model.by_address["app/P"].get("Value") == "arn:aws:iam::000000000000:role/given"


YAML_TEMPLATE = """\
Parameters:
  Folder: {Type: String, Default: data}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: worker
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: {Service: lambda.amazonaws.com}
            Action: sts:AssumeRole
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: 2012-10-17
            Statement:
              - Effect: Allow
                Action: [s3:GetObject]
                Resource: !Sub arn:${AWS::Partition}:s3:::bucket/${Folder}/*
                Condition:
                  StringEquals: {aws:ResourceAccount: 012345678901}
"""


def test_yaml_is_read_like_json_with_lines() -> None:
    source = TemplateSource("app", parse_document(YAML_TEMPLATE.encode(), "app.yaml"))
    model = build_model("test", [source])
    (policy,) = model.policies.identities["app/Role"].policies
    (statement,) = policy.statements
    assert policy.problems == ()
    assert statement.syntax.resource.values == ("arn:aws:s3:::bucket/data/*",)
    assert statement.syntax.conditions[0].values == ("012345678901",)
    assert (statement.location.file, statement.location.line) == ("app.yaml", 19)


def test_lines_of_json_are_those_of_the_statement() -> None:
    text = json.dumps(secure(), indent=1)
    model = model_of(secure())
    statement = model.policies.identities["app/ExecutionRole"].policies[0].statements[1]
    assert statement.location.line is not None
    assert '"Effect"' in text.splitlines()[statement.location.line]


def test_both_branches_of_a_condition_count() -> None:
    template = secure()
    template["Parameters"] = {"Wide": {"Type": "String", "Default": "no"}}
    template["Conditions"] = {"IsWide": {"Fn::Equals": [{"Ref": "Wide"}, "yes"]}}
    template["Resources"]["Interpreter"]["Properties"]["NetworkConfiguration"] = {
        "NetworkMode": {"Fn::If": ["IsWide", "PUBLIC", "SANDBOX"]}
    }
    assert findings_of(template, "network-public")
    assert findings_of(template, "network-sandbox")


def test_a_deny_under_a_condition_does_not_count() -> None:
    deny = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    for statement, expected in ((deny, 0), ({"Fn::If": ["C", deny, {"Ref": "AWS::NoValue"}]}, 1)):
        template = secure()
        template["Conditions"] = {"C": {"Fn::Equals": [{"Ref": "P"}, "x"]}}
        template["Parameters"] = {"P": {"Type": "String"}}
        policy = template["Resources"]["WorkflowRole"]["Properties"]["Policies"][0]["PolicyDocument"]
        policy["Statement"] += [allow("iam:PutRolePolicy", "*"), statement]
        assert len(findings_of(template, "escalation-policies")) == expected


def test_the_graph_forwards_requests_from_a_caller_to_the_data() -> None:
    template = secure()
    template["Resources"]["Caller"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "caller",
            "Roles": ["agent"],
            "PolicyDocument": document(allow("states:StartExecution", {"Ref": "Workflow"})),
        },
    }
    paths = model_of(template).policies.graph.shortest_paths(
        "arn:aws:iam::000000000000:role/agent",
        frozenset({EdgeKind.INVOKES, EdgeKind.RUNS_AS, EdgeKind.READS}),
    )
    assert [edge.target for edge in paths["app/ExecutionRole"]] == [
        *("app/Workflow", "app/WorkflowRole", "app/Function", "app/FunctionRole", "app/Interpreter"),
        "app/ExecutionRole",
    ]
    assert "app/Bucket" in paths


def test_a_boundary_of_the_templates_limits_the_graph() -> None:
    template = secure()
    resources = template["Resources"]
    resources["Boundary"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": document(allow("s3:*", "*"))},
    }
    resources["FunctionRole"]["Properties"]["PermissionsBoundary"] = {"Ref": "Boundary"}
    edges = model_of(template).policies.graph.outgoing["app/FunctionRole"]
    assert {edge.kind for edge in edges} == {EdgeKind.READS, EdgeKind.WRITES}
    assert {edge.target for edge in edges} == {"app/Bucket"}


def test_managed_policies_groups_and_separate_policies_are_attached() -> None:
    statement = document(allow("s3:GetObject", "arn:aws:s3:::data/a/*"))
    model = model_of(
        {
            "Resources": {
                "Managed": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": statement}},
                "Group": {
                    "Type": "AWS::IAM::Group",
                    "Properties": {"GroupName": "team", "ManagedPolicyArns": [{"Ref": "Managed"}]},
                },
                "User": {"Type": "AWS::IAM::User", "Properties": {"Groups": ["team"]}},
                "Role": role("lambda", allow("s3:PutObject", "arn:aws:s3:::data/a/*")),
                "Policy": {
                    "Type": "AWS::IAM::Policy",
                    "Properties": {"PolicyName": "p", "Roles": [{"Ref": "Role"}], "PolicyDocument": statement},
                },
            }
        }
    )
    assert [len(model.policies.identities[f"app/{name}"].policies) for name in ("Group", "User", "Role")] == [1, 1, 2]


def test_permissions_of_functions_are_statements_of_their_policy() -> None:
    model = model_of(secure())
    (policy,) = model.policies.resource_policies["app/Function"]
    assert policy.statements[0].describe(model.readable) == (
        "Allow; Principal events.amazonaws.com; Action lambda:InvokeFunction; "
        "Resource arn:aws:lambda:us-east-1:000000000000:function:⟨app/Function⟩; "
        "ArnLike aws:SourceArn arn:aws:events:us-east-1:000000000000:rule/hourly"
    )


def test_the_evaluator_decides_requests_of_the_model_and_names_the_statement() -> None:
    model = model_of(secure())
    identity = model.policies.identities["app/FunctionRole"]
    interpreter = model.by_address["app/Interpreter"].arn
    decision = evaluate(
        Request(identity.principal, RUNS_CODE[0], interpreter, identity.account), model.policies.policies_for(identity)
    )
    assert decision.allowed
    assert model.policies.origin(decision.statements[0]).location.address == "app/FunctionRole"


def test_the_key_of_a_statement_depends_on_its_meaning_only() -> None:
    def keys(interpreter: str, *statements: dict[str, Any]) -> list[str]:
        template = secure()
        template["Resources"]["Interpreter"]["Properties"]["Name"] = interpreter
        template["Resources"]["Role"] = role("lambda", *statements)
        return [one.key for one in model_of(template).policies.identities["app/Role"].policies[0].statements]

    arn = "arn:aws:bedrock-agentcore:us-east-1:111122223333:code-interpreter-custom/"
    one = allow(["s3:GetObject", "s3:putObject"], ["arn:aws:s3:::a/1/*", f"{arn}claims_0123abcd-*"], Sid="A")
    same = allow(["S3:PutObject", "s3:GetObject"], [f"{arn}claims_ffff0000-*", "arn:aws:s3:::a/1/*"])
    other = allow(["s3:GetObject"], ["arn:aws:s3:::a/1/*"])
    assert keys("claims_0123abcd", one) == keys("claims_ffff0000", same)
    assert keys("claims_0123abcd", one) != keys("claims_0123abcd", other)


def test_unresolved_values_have_their_location_and_reason() -> None:
    template = secure()
    template["Resources"]["FunctionRole"]["Properties"]["AssumeRolePolicyDocument"] = trust({"AWS": {"Ref": "Caller"}})
    (found,) = model_of(template).policies.unresolved
    assert (found.location.address, found.expression) == ("app/FunctionRole", "⟨app/Caller⟩")
    assert found.reason == "the template has neither a parameter nor a resource 'Caller'"


def test_an_assembly_of_another_app_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.template.json").write_text(json.dumps(secure()))
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/unknown-region",
        "properties": {"templateFile": "app.template.json", "stackName": "named"},
        "metadata": {"/App/Code/Resource": [{"type": "aws:cdk:logicalId", "data": "Interpreter"}]},
    }
    folder = tmp_path / "assembly-stage"
    folder.mkdir()
    (folder / "app.template.json").write_text(json.dumps(secure()))
    staged = {**stack, "properties": {"templateFile": "app.template.json"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"staged": staged}}))
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": folder.name}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"app": stack, "stage": stage}}))
    model = load_model([Target(tmp_path, "cdk.out")])
    assert [one.name for one in model.templates] == ["named", "staged"]
    assert model.by_address["named/Interpreter"].location.construct == "App/Code/Resource"
    assert model.by_address["named/Interpreter"].location.file == "cdk.out/app.template.json"
