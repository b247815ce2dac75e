"""100 tenants with 5 interpreters each, and one tenant with the maximum number of interpreters, fit AWS's quotas.

Sizes are those that AWS receives: references are as long as their longest possible values.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandpiper.environment import Environment
from sandpiper_constructs.dashboard_body import require_within_limits
from stacks.fleet import FleetStack
from stacks.storage import StorageStack
from stacks.tenant import TenantStack
from tests.support.assemblies import new_app, read_assembly

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly, Template

RESOURCES, OUTPUTS, TEMPLATE_BYTES = 500, 200, 1_000_000
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""
MANAGED_POLICIES, INLINE_CHARACTERS, TRUST_CHARACTERS = 10, 10_240, 2_048
"""Quotas of a role, without white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
VARIABLES_BYTES = 4_096
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
LIFECYCLE_RULES = 1_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html"""
KEY_CHARACTERS = NAME_CHARACTERS = 24
INTERPRETER_ID_CHARACTERS = 48 + 1 + 10
ENVIRONMENT = {
    "name": "e" * 20,
    "account": "111122223333",
    "region": "ap-southeast-1",
    "owner": "o" * 200,
    "permissions_boundary": "arn:aws:iam::111122223333:policy/" + "b" * 100,
    "data_bucket": {"key": "own", "retention_days": {"inputs": 30, "sandbox": 30}},
}


def _name(kind: str, number: int) -> str:
    """Returns a name of the maximum length."""
    return f"{kind}{number:03}".ljust(KEY_CHARACTERS, "x")


def _tenant(interpreters: int) -> dict[str, Any]:
    return {"interpreters": {_name("key", number): {} for number in range(interpreters)}}


def _environment(tenants: int, interpreters: int) -> Environment:
    named = {_name("tenant", number): _tenant(interpreters) for number in range(tenants)}
    return Environment.model_validate({**ENVIRONMENT, "tenants": named})


@pytest.fixture(scope="module")
def largest(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The stacks that grow with the number of tenants, in an environment of 100 tenants, and two stacks of tenants.

    The stacks of tenants are alike.
    """
    directory = tmp_path_factory.mktemp("largest")
    app = new_app(directory)
    environment = _environment(100, 5)
    StorageStack(app, environment=environment)
    FleetStack(app, environment=environment)
    TenantStack(app, environment=environment, name=_name("tenant", 99))
    widest = _environment(1, 20).model_copy(update={"name": "w" * 20})
    TenantStack(app, environment=widest, name=_name("tenant", 0))
    app.synth()
    return read_assembly(directory)


def _resolved(template: Template, value: object) -> str:
    """Returns a string as AWS receives it, with references as long as their values."""
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = cast("dict[str, Any]", value).items()
    if function == "Fn::Join":
        return argument[0].join(_resolved(template, part) for part in argument[1])
    name, attribute = (argument, "") if function == "Ref" else argument
    resource = template.content["Resources"].get(name)
    if resource is None:
        return "arn:aws:kms:ap-southeast-1:111122223333:key/" + "k" * 36
    if resource["Type"] == "AWS::BedrockAgentCore::CodeInterpreterCustom":
        arn = "arn:aws:bedrock-agentcore:ap-southeast-1:111122223333:code-interpreter-custom/"
        return ("" if attribute.endswith("Id") else arn) + "i" * INTERPRETER_ID_CHARACTERS
    return "arn:aws:service:ap-southeast-1:111122223333:kind/" + "n" * 64


def _document(template: Template, value: Any) -> Any:
    """Returns a policy document with every string as AWS receives it."""
    if isinstance(value, list):
        return [_document(template, each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if set(members) & {"Ref", "Fn::GetAtt", "Fn::Join"}:
            return _resolved(template, members)
        return {name: _document(template, each) for name, each in members.items()}
    return value


def _characters(template: Template, document: Any) -> int:
    return len(json.dumps(_document(template, document), separators=(",", ":")))


def test_names_have_the_maximum_length() -> None:
    with pytest.raises(ValueError, match=_name("tenant", 0)):
        Environment.model_validate({**ENVIRONMENT, "tenants": {_name("tenant", 0) + "x": _tenant(1)}})
    with pytest.raises(ValueError, match="interpreters"):
        _environment(1, 21)


def test_every_stack_fits_the_quotas_of_cloudformation(largest: Assembly) -> None:
    sizes = {
        name: (len(template.content["Resources"]), len(template.content.get("Outputs", {})), template.size)
        for name, template in largest.templates.items()
    }
    assert len(sizes) == 4
    for name, (resources, outputs, size) in sizes.items():
        assert resources <= RESOURCES, name
        assert outputs <= OUTPUTS, name
        assert size <= TEMPLATE_BYTES, name


def test_every_role_fits_the_quotas_of_iam(largest: Assembly) -> None:
    roles = 0
    for template in largest.templates.values():
        inline = Counter[str]()
        for policy in template.resources("AWS::IAM::Policy").values():
            for role in policy["Roles"]:
                inline[role["Ref"]] += _characters(template, policy["PolicyDocument"])
        for name, role in template.resources("AWS::IAM::Role").items():
            roles += 1
            inline[name] += sum(_characters(template, each["PolicyDocument"]) for each in role.get("Policies", []))
            assert len(role.get("ManagedPolicyArns", [])) <= MANAGED_POLICIES, name
            assert _characters(template, role["AssumeRolePolicyDocument"]) <= TRUST_CHARACTERS, name
        assert [each for each in inline.items() if each[1] > INLINE_CHARACTERS] == []
    assert roles >= 2 * (1 + 1) + 5 + 20, "every role is checked"


def test_the_variables_of_every_function_fit_lambdas_quota(largest: Assembly) -> None:
    functions = [
        (template, function)
        for template in largest.templates.values()
        for function in template.resources("AWS::Lambda::Function").values()
    ]
    sizes = [
        sum(len(name) + len(_resolved(template, value)) for name, value in function["Environment"]["Variables"].items())
        for template, function in functions
        if "Environment" in function
    ]
    assert max(sizes) > 20 * (KEY_CHARACTERS + INTERPRETER_ID_CHARACTERS)
    assert max(sizes) <= VARIABLES_BYTES


def test_the_bucket_has_a_lifecycle_rule_for_every_folder_within_the_quota(largest: Assembly) -> None:
    buckets = largest["sandpiper-" + "e" * 20 + "-storage"].resources("AWS::S3::Bucket").values()
    rules = [rule for bucket in buckets for rule in bucket["LifecycleConfiguration"]["Rules"]]
    assert len({rule.get("Prefix") for rule in rules} - {None}) == 100 * 3
    assert max(len(bucket["LifecycleConfiguration"]["Rules"]) for bucket in buckets) <= LIFECYCLE_RULES


def test_dashboards_fit_the_quotas_of_cloudwatch(largest: Assembly) -> None:
    for template in largest.templates.values():
        for dashboard in template.resources("AWS::CloudWatch::Dashboard").values():
            body = _resolved(template, dashboard["DashboardBody"])
            require_within_limits(template.name, json.loads(body)["widgets"], body)
