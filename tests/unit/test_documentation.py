"""The pages that state what the code knows: every option, default and limit in them is the code's own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from sandpiper.environment import load
from sandpiper.environment.options import Options
from sandpiper_contract.events import Event
from sandpiper_contract.files import DEFAULT_MAX_BYTES, DEFAULT_MAX_FILES, SERVICE_FILES, Outputs
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import fields_of
from sandpiper_contract.requests import DEFAULT_SESSION_TIMEOUT_SECONDS, SESSION_TIMEOUT_SECONDS, RunCode
from sandpiper_contract.results import RunResult
from sandpiper_contract.schemas import schemas
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


def kinds_of(model: type[Options]) -> list[type[Options]]:
    return [each for kind in model.__subclasses__() for each in (kind, *kinds_of(kind))]


def test_the_page_on_the_environment_file_is_what_the_types_say(tmp_path: Path) -> None:
    made = tmp_path / "environment.md"
    subprocess.run([sys.executable, str(PROJECT / "tools" / "environment_page.py"), str(made)], check=True)
    page = (PROJECT / "docs" / "environment.md").read_text()
    assert made.read_text() == page, "if this is meant: python tools/environment_page.py"


@pytest.mark.parametrize("model", kinds_of(Options))
def test_the_page_on_the_environment_file_has_every_option(model: type[Options]) -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    assert len(kinds_of(Options)) >= 17
    for name, option in model.model_fields.items():
        assert option.title, f"{name} says what it is for"
        assert option.description, f"{name} says what is allowed"
        assert f"| `{name}` |" in page


def test_the_shortest_environment_file_has_six_lines_and_can_be_read(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    shortest = page.split("```yaml\n")[1].split("```")[0]
    assert len(shortest.splitlines()) == 6
    file = tmp_path / "first.yaml"
    file.write_text(shortest)
    assert list(load(file).all_tenants) == ["main"]


def test_the_page_on_run_code_has_every_field_and_the_folders_of_the_service() -> None:
    page = (PROJECT / "docs" / "run-code.md").read_text()
    rows = {line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")}
    fields = {field.name for field in fields_of(RunCode)} - {"outputs"}
    assert fields | {f"outputs.{field.name}" for field in fields_of(Outputs)} <= rows
    assert {field.name for field in fields_of(RunResult)} - {"session"} <= set(re.findall(r"`(\w+)`", page))
    assert all(f"`{name}`" in page for name in SERVICE_FILES)


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


def test_what_the_pages_have_written_into_the_checkout_is_ignored_by_git() -> None:
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "examples").rglob("*.md")]
    command = re.compile(r"\b(?:cdk|sandpiper) .*--out(?:put)? ([\w./-]+)")
    written = {f"{found}/" for page in pages for found in command.findall(page.read_text())}
    assert {"out/policies/", "cdk.out/"} <= written
    ignored = subprocess.run(
        ["git", "check-ignore", *written], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert set(ignored.stdout.split()) == written


def linked_in_table(page: Path) -> set[Path]:
    """Returns the pages that the rows of a page's table link to."""
    rows = re.findall(r"^\| (.+) \| (.+) \|$", page.read_text(), re.MULTILINE)[1:]
    return {(page.parent / link).resolve() for row in rows for link in re.findall(r"\]\(([^)]+)\)", " ".join(row))}


def test_one_list_has_every_page_and_what_it_is_for() -> None:
    docs = PROJECT / "docs"
    listed = linked_in_table(docs / "README.md")
    assert all(path.exists() for path in listed)
    listed |= linked_in_table(docs / "decisions" / "README.md")
    pages = [*docs.rglob("*.md"), *(PROJECT / "local").glob("agentcore/*.md"), *(PROJECT / "examples").rglob("*.md")]
    assert {path.resolve() for path in pages} - {docs / "README.md"} <= listed
