"""The pages that state what the code knows: every option, default and limit in them is the code's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from sandpiper.environment.model import (
    AlarmThresholds,
    Environment,
    PublicInterpreter,
    SandboxInterpreter,
    SessionFunctionOptions,
    Tenant,
)
from sandpiper_contract.events import Event
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, SERVICE_OWN, Outputs
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import fields_of
from sandpiper_contract.requests import DEFAULT_SESSION_TIMEOUT_SECONDS, SESSION_TIMEOUT_SECONDS, RunCode
from sandpiper_contract.results import RunResult
from sandpiper_contract.schemas import schemas

PROJECT = Path(__file__).resolve().parents[2]
OPTIONS = (Environment, Tenant, SandboxInterpreter, PublicInterpreter, SessionFunctionOptions, AlarmThresholds)


def default_of(model: type[BaseModel], name: str) -> str:
    option = model.model_fields[name]
    if option.is_required():
        return "required"
    words = {None: "unset", True: "true", False: "false"}
    default = option.default
    if default is None or isinstance(default, bool):
        return words[default]
    return "all of its defaults" if isinstance(default, BaseModel) else str(default)


@pytest.mark.parametrize("model", OPTIONS)
def test_the_page_on_the_environment_file_has_every_option(model: type[BaseModel]) -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    for name, option in model.model_fields.items():
        allowed = (option.description or "").replace("|", r"\|")
        assert f"| `{name}` | {default_of(model, name)} | {allowed} |" in page


def test_the_page_on_the_environment_file_shows_a_real_one() -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    assert (PROJECT / "environments" / "dev.yaml").read_text().rstrip() in page


def test_the_page_on_run_code_has_every_field_and_the_folders_of_the_service() -> None:
    page = (PROJECT / "docs" / "run-code.md").read_text()
    rows = {line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")}
    fields = {field.name for field in fields_of(RunCode)} - {"outputs"}
    assert fields | {f"outputs.{field.name}" for field in fields_of(Outputs)} <= rows
    assert {field.name for field in fields_of(RunResult)} - {"session"} <= set(re.findall(r"`(\w+)`", page))
    assert all(f"`{name}`" in page for name in SERVICE_OWN)


def examples() -> dict[str, list[Any]]:
    """The examples of the page on the operations, in their order, by the operation's name."""
    page = (PROJECT / "docs" / "operations.md").read_text()
    sections = re.split(r"^## `(\w+)`$", page, flags=re.MULTILINE)[1:]
    blocks = {
        name: re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for name, text in pairs(sections)
    }
    return {name: [json.loads(block) for block in found] for name, found in blocks.items()}


def pairs(sections: list[str]) -> list[tuple[str, str]]:
    return list(zip(sections[::2], sections[1::2], strict=True))


def test_every_operation_is_shown_with_an_event_and_its_result_that_its_schemas_take() -> None:
    assert list(examples()) == list(OPERATIONS)
    for name, (*events, result) in examples().items():
        for event in events:
            Draft202012Validator(schemas()["event"]).validate(event)
            assert event["operation"] == name
            Event.from_json(event, "event").typed_request()
        assert events
        Draft202012Validator(schemas()[f"{name}.result"]).validate(result)
        assert OPERATIONS[name].result.from_json(result, "result").to_json() == result


def test_the_page_on_the_connector_has_all_that_its_results_have_and_its_limits() -> None:
    page = (PROJECT / "docs" / "connector.md").read_text()
    assert all(f"`{field}`" in page for field in ("stdout", "stderr", "exitCode", "executionTimeMs", "skipped"))
    assert all(f"`files[].{field}`" in page for field in ("name", "contentType", "size", "s3Uri"))
    low, high = SESSION_TIMEOUT_SECONDS
    assert f"{low} to {high:,}, {DEFAULT_SESSION_TIMEOUT_SECONDS} |" in page
    assert f"at most {DEFAULT_MAX_FILES} files and {DEFAULT_MAX_BYTES // 2**20} MB" in page


def test_one_list_has_every_page_and_what_it_is_for() -> None:
    docs = PROJECT / "docs"
    rows = re.findall(r"^\| (.+) \| (.+) \|$", (docs / "README.md").read_text(), re.MULTILINE)[1:]
    listed = {(docs / link).resolve() for row in rows for link in re.findall(r"\]\(([^)]+)\)", " ".join(row))}
    assert all(path.exists() for path in listed)
    pages = [*docs.rglob("*.md"), *(PROJECT / "local").glob("agentcore/*.md"), *(PROJECT / "examples").rglob("*.md")]
    assert {path.resolve() for path in pages} - {docs / "README.md"} <= listed
