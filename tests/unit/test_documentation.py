"""Documentation pages match the code: options, fields, defaults, limits, examples and links."""

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


def all_subclasses(model: type[Options]) -> list[type[Options]]:
    return [each for subclass in model.__subclasses__() for each in (subclass, *all_subclasses(subclass))]


def test_environment_page_is_up_to_date(tmp_path: Path) -> None:
    generated = tmp_path / "environment.md"
    subprocess.run([sys.executable, str(PROJECT / "tools" / "environment_page.py"), str(generated)], check=True)
    page = (PROJECT / "docs" / "environment.md").read_text()
    assert generated.read_text() == page, "run: python tools/environment_page.py"


@pytest.mark.parametrize("name", ["alarms", "metrics"])
def test_page_of_a_table_is_up_to_date(tmp_path: Path, name: str) -> None:
    generated = tmp_path / f"{name}.md"
    subprocess.run([sys.executable, str(PROJECT / "tools" / f"{name}_page.py"), str(generated)], check=True)
    page = (PROJECT / "docs" / f"{name}.md").read_text()
    assert generated.read_text() == page, f"run: python tools/{name}_page.py"


@pytest.mark.parametrize("model", all_subclasses(Options))
def test_environment_page_describes_every_option(model: type[Options]) -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    assert len(all_subclasses(Options)) >= 17
    for name, option in model.model_fields.items():
        assert option.title, f"{name} has no title"
        assert option.description, f"{name} has no description"
        assert f"| `{name}` |" in page


def test_shortest_environment_file_on_the_page_is_valid(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "environment.md").read_text()
    shortest = page.split("```yaml\n")[1].split("```")[0]
    assert len(shortest.splitlines()) == 6
    file = tmp_path / "first.yaml"
    file.write_text(shortest)
    assert list(load(file).all_tenants) == ["main"]


def test_run_code_page_has_every_field_and_every_service_file() -> None:
    page = (PROJECT / "docs" / "run-code.md").read_text()
    rows = {line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")}
    fields = {field.name for field in fields_of(RunCode)} - {"outputs"}
    assert fields | {f"outputs.{field.name}" for field in fields_of(Outputs)} <= rows
    assert {field.name for field in fields_of(RunResult)} - {"session"} <= set(re.findall(r"`(\w+)`", page))
    assert all(f"`{name}`" in page for name in SERVICE_FILES)


def examples() -> dict[str, list[Any]]:
    """Returns the JSON examples of the page on operations by operation, in order."""
    page = (PROJECT / "docs" / "operations.md").read_text()
    sections = re.split(r"^## `(\w+)`$", page, flags=re.MULTILINE)[1:]
    blocks = {
        name: re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) for name, text in pairs(sections)
    }
    return {name: [json.loads(text) for text in texts] for name, texts in blocks.items()}


def pairs(sections: list[str]) -> list[tuple[str, str]]:
    """Returns pairs of a heading and its text."""
    return list(zip(sections[::2], sections[1::2], strict=True))


def test_examples_of_every_operation_match_its_schemas() -> None:
    assert list(examples()) == list(OPERATIONS)
    for name, (*events, result) in examples().items():
        for event in events:
            Draft202012Validator(schemas()["event"]).validate(event)
            assert event["operation"] == name
            Event.from_json(event, "event").typed_request()
        assert events
        Draft202012Validator(schemas()[f"{name}.result"]).validate(result)
        assert OPERATIONS[name].result.from_json(result, "result").to_json() == result


def test_connector_page_has_every_result_field_and_limit() -> None:
    page = (PROJECT / "docs" / "connector.md").read_text()
    assert all(f"`{field}`" in page for field in ("stdout", "stderr", "exitCode", "executionTimeMs", "skipped"))
    assert all(f"`files[].{field}`" in page for field in ("name", "contentType", "size", "s3Uri"))
    low, high = SESSION_TIMEOUT_SECONDS
    assert f"{low} to {high:,}, {DEFAULT_SESSION_TIMEOUT_SECONDS} |" in page
    assert f"at most {DEFAULT_MAX_FILES} files and {DEFAULT_MAX_BYTES // 2**20} MB" in page


def test_git_ignores_output_folders_of_documented_commands() -> None:
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "examples").rglob("*.md")]
    command = re.compile(r"\b(?:cdk|sandpiper) .*--out(?:put)? ([\w./-]+)")
    written = {f"{folder}/" for page in pages for folder in command.findall(page.read_text())}
    assert {"out/policies/", "cdk.out/"} <= written
    ignored = subprocess.run(
        ["git", "check-ignore", *written], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert set(ignored.stdout.split()) == written


def linked_in_table(page: Path) -> set[Path]:
    """Returns the pages that the rows of a page's table link to."""
    rows = re.findall(r"^\| (.+) \| (.+) \|$", page.read_text(), re.MULTILINE)[1:]
    return {(page.parent / link).resolve() for row in rows for link in re.findall(r"\]\(([^)]+)\)", " ".join(row))}


def test_documentation_index_links_every_page() -> None:
    docs = PROJECT / "docs"
    listed = linked_in_table(docs / "README.md")
    assert all(path.exists() for path in listed)
    listed |= linked_in_table(docs / "decisions" / "README.md") | linked_in_table(docs / "alarms.md")
    pages = [*docs.rglob("*.md"), *(PROJECT / "local").glob("agentcore/*.md"), *(PROJECT / "examples").rglob("*.md")]
    assert {path.resolve() for path in pages} - {docs / "README.md"} <= listed


def test_every_assumption_about_policies_has_its_probe() -> None:
    rows = (PROJECT / "docs" / "embedded-aws.md").read_text().partition("| Assumption | Source | Probe |")[2]
    documented = re.findall(r"`(test_\w+)`", rows.partition("\n\n")[0])
    module = (PROJECT / "tests" / "local" / "test_policy_assumptions.py").read_text()
    probes = re.findall(r"^ *def (test_\w+)", module, re.MULTILINE)
    assert sorted(documented) == sorted(probes)
