"""The pages that state what the code knows: every option, default and limit in them is the code's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from sandpiper.environment.model import (
    AlarmThresholds,
    Environment,
    PublicInterpreter,
    SandboxInterpreter,
    SessionFunctionOptions,
    Tenant,
)
from sandpiper_contract.errors import ERRORS, RETRYABLE
from sandpiper_contract.files import SERVICE_OWN
from sandpiper_contract.records import fields_of
from sandpiper_contract.requests import RunCode

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


def test_the_page_on_run_code_has_every_field_and_error() -> None:
    page = (PROJECT / "docs" / "run-code.md").read_text()
    rows = {line.split("|")[1].strip(" `").partition(".")[0] for line in page.splitlines() if line.startswith("| `")}
    assert {field.name for field in fields_of(RunCode)} <= rows
    assert ERRORS.keys() <= rows
    for name in RETRYABLE:
        assert any(line.startswith(f"| `{name}` ") and "| yes; " in line for line in page.splitlines())
    assert all(f"`{name}`" in page for name in SERVICE_OWN)
