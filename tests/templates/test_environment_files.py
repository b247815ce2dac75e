"""Tests that templates match what the checks of an environment file assume about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandpiper.environment import Environment, load
from sandpiper.environment.limit_checks import lifecycle_rules
from tests.support.assemblies import Assembly, new_app, read_assembly
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

HEAD = {"name": "first", "account": "111122223333", "region": "eu-west-1", "owner": "platform team"}


def _assembly(environment: Environment, directory: Path) -> Assembly:
    from stacks.environment_stacks import add_stacks

    app = new_app(directory)
    add_stacks(app, environment)
    app.synth()
    return read_assembly(directory)


def test_shortest_file_on_the_page_is_synthesized(tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    file.write_text((PROJECT / "docs" / "environment.md").read_text().split("```yaml\n")[1].split("```")[0])
    assembly = _assembly(load(file), tmp_path / "out")
    interpreter = assembly["sandpiper-first-main"].only("AWS::BedrockAgentCore::CodeInterpreterCustom")
    assert interpreter["NetworkConfiguration"] == {"NetworkMode": "SANDBOX"}


@pytest.mark.parametrize("inputs", [None, 30])
def test_number_of_lifecycle_rules_is_as_calculated(tmp_path: Path, inputs: int | None) -> None:
    tenants = {name: {"interpreters": {"one": None, "two": None}} for name in ("a", "b", "c")}
    days = {"retention_days": {"inputs": inputs}}
    environment = Environment.model_validate({**HEAD, "tenants": tenants, "data_bucket": days})
    template = _assembly(environment, tmp_path)["sandpiper-first-storage"]
    rules = [
        len(bucket["LifecycleConfiguration"]["Rules"]) for bucket in template.resources("AWS::S3::Bucket").values()
    ]
    assert max(rules) == lifecycle_rules(environment)


def test_similar_tenants_and_keys_have_different_interpreter_names(tmp_path: Path) -> None:
    tenants = {"t-a": {"interpreters": {"b": None}}, "t": {"interpreters": {"a-b": None}}}
    assembly = _assembly(Environment.model_validate({**HEAD, "tenants": tenants}), tmp_path)
    names = {
        assembly[f"sandpiper-first-{tenant}"].only("AWS::BedrockAgentCore::CodeInterpreterCustom")["Name"]
        for tenant in tenants
    }
    assert len(names) == 2


def test_longest_names_are_truncated_to_service_limits(tmp_path: Path) -> None:
    tenant, keys = "t" * 24, ["k" * 23 + letter for letter in "ab"]
    head = HEAD | {"name": "e" * 20, "region": "ap-northeast-1"}
    tenants = {tenant: {"interpreters": dict.fromkeys(keys)}}
    assembly = _assembly(Environment.model_validate({**head, "tenants": tenants}), tmp_path)
    stack = assembly[f"sandpiper-{'e' * 20}-{tenant}"]
    names = {one["Name"] for one in stack.resources("AWS::BedrockAgentCore::CodeInterpreterCustom").values()}
    assert len(names) == 2
    assert all(len(name) <= 48 for name in names)
    machines = stack.resources("AWS::StepFunctions::StateMachine").values()
    assert all(len(machine["StateMachineName"]) <= 80 for machine in machines)


def test_unknown_region_is_a_warning_of_the_synthesis(tmp_path: Path) -> None:
    environment = Environment.model_validate({**HEAD, "region": "eu-central-2", "interpreters": {"sandbox": None}})
    _assembly(environment, tmp_path)
    warnings = (tmp_path / "sandpiper-first-fleet.metadata.json").read_text()
    assert "region: eu-central-2 was not known to offer code interpreters" in warnings
