"""The pytest plugin in a separate project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import pytest
from botocore.exceptions import ClientError
from local_agentcore.faults import Rule

MANAGED = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}

def start(agentcore):
    return {**MANAGED, "sessionId": agentcore.start_code_interpreter_session(**MANAGED)["sessionId"]}
"""
PROGRAM = """
def test_code_runs(agentcore, agentcore_control, agentcore_endpoint):
    assert agentcore.meta.endpoint_url == agentcore_endpoint
    assert agentcore_control.list_code_interpreters()["codeInterpreterSummaries"]
    session = start(agentcore)
    response = agentcore.invoke_code_interpreter(
        **session, name="executeCode", arguments={"language": "python", "code": "6 * 7"}
    )
    (event,) = response["stream"]  # read to the end, or the connection stays open
    assert event["result"]["structuredContent"]["stdout"] == "42"
    agentcore.stop_code_interpreter_session(**session)

def test_a_fault_is_injected(agentcore, agentcore_faults):
    agentcore_faults.inject(Rule("throttling"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        agentcore.list_code_interpreter_sessions(**MANAGED)

def test_the_next_test_has_no_fault(agentcore):
    assert agentcore.list_code_interpreter_sessions(**MANAGED)["items"] is not None

def test_the_clock_advances(agentcore, agentcore_clock):
    session, before = start(agentcore), agentcore_clock.now()
    assert (agentcore_clock.advance(900) - before).total_seconds() >= 900
    assert agentcore.get_code_interpreter_session(**session)["status"] == "TERMINATED"

def test_many_calls_are_not_throttled(agentcore_control):
    for _ in range(100):
        agentcore_control.list_code_interpreters()
"""
LEFTOVERS = """
@pytest.fixture(scope="module")
def module_session(agentcore):
    session = start(agentcore)
    yield session
    agentcore.stop_code_interpreter_session(**session)

@pytest.fixture
def tidy(agentcore):
    session = start(agentcore)
    yield session
    agentcore.stop_code_interpreter_session(**session)

def test_leaves_a_session_running(agentcore, module_session, tidy):
    start(agentcore)

def test_lists_live_sessions(agentcore, module_session, record_property):
    items = agentcore.list_code_interpreter_sessions(**MANAGED, status="READY")["items"]
    print("live", len(items), module_session["sessionId"] in {item["sessionId"] for item in items})
"""


@pytest.fixture
def project(pytester: pytest.Pytester, agentcore_runtime: Path) -> pytest.Pytester:
    """Returns a project with an ini file and no tests."""
    pytester.makeini(f"[pytest]\nagentcore_runtime = {agentcore_runtime}\n")
    return pytester


def test_the_fixtures_work_in_any_project(project: pytest.Pytester) -> None:
    project.makepyfile(HEAD + PROGRAM)
    project.runpytest_subprocess("-W", "error").assert_outcomes(passed=5)


def test_a_project_without_the_fixtures_starts_no_emulator(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nagentcore_runtime = /nonexistent\n")
    project.makepyfile("def test_nothing(): pass")
    project.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("action", "outcomes", "live"),
    [
        ("stop", {"passed": 2, "warnings": 1}, "live 1 True"),
        ("fail", {"passed": 2, "errors": 1}, "live 1 True"),
        ("keep", {"passed": 2}, "live 2 True"),
    ],
)
def test_leftover_sessions_are_handled_as_configured(
    project: pytest.Pytester, action: str, outcomes: dict[str, int], live: str
) -> None:
    project.makepyfile(HEAD + LEFTOVERS)
    result = project.runpytest_subprocess("-s", "-o", f"agentcore_leftover_sessions={action}")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([f"*{live}*"])
    if action != "keep":
        result.stdout.fnmatch_lines(["*The test left sessions running: 0*"])


def test_emulator_options_are_forwarded(project: pytest.Pytester) -> None:
    project.makepyfile(
        HEAD
        + """
def test_calls_are_throttled(agentcore_control):
    with pytest.raises(ClientError, match="ThrottlingException"):
        for _ in range(50):
            agentcore_control.list_code_interpreters()
"""
    )
    project.runpytest_subprocess("-o", "agentcore_options=--calls-per-second 3").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("agentcore_leftover_sessions=burn", "agentcore_leftover_sessions is 'burn'; allowed: stop | fail | keep"),
        ("agentcore_options=--pool many", "'many' is not an integer from 0 to 1000"),
        ("agentcore_runtime=/nonexistent", "/nonexistent"),
    ],
)
def test_an_invalid_setting_fails_with_a_message(project: pytest.Pytester, option: str, expected: str) -> None:
    project.makepyfile("def test_it(agentcore_endpoint): pass")
    result = project.runpytest_subprocess("-o", option)
    assert result.ret != 0
    assert expected in result.stdout.str() + result.stderr.str()
    assert "skipped" not in result.stdout.str()
