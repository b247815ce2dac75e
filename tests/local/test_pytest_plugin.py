"""The pytest plugin, in a project of its own that installs it and does nothing else."""

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
    answer = agentcore.invoke_code_interpreter(
        **session, name="executeCode", arguments={"language": "python", "code": "6 * 7"}
    )
    (event,) = answer["stream"]  # read to its end, or its connection stays open
    assert event["result"]["structuredContent"]["stdout"] == "42"
    agentcore.stop_code_interpreter_session(**session)

def test_a_fault_is_ordered(agentcore, agentcore_faults):
    agentcore_faults.inject(Rule("throttling"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        agentcore.list_code_interpreter_sessions(**MANAGED)

def test_and_gone_in_the_next(agentcore):
    assert agentcore.list_code_interpreter_sessions(**MANAGED)["items"] is not None

def test_time_passes(agentcore, agentcore_clock):
    session, before = start(agentcore), agentcore_clock.now()
    assert (agentcore_clock.advance(900) - before).total_seconds() >= 900
    assert agentcore.get_code_interpreter_session(**session)["status"] == "TERMINATED"

def test_many_calls_are_not_throttled(agentcore_control):
    for _ in range(100):
        agentcore_control.list_code_interpreters()
"""
LEFT = """
@pytest.fixture(scope="module")
def kept(agentcore):
    session = start(agentcore)
    yield session
    agentcore.stop_code_interpreter_session(**session)

@pytest.fixture
def tidy(agentcore):
    session = start(agentcore)
    yield session
    agentcore.stop_code_interpreter_session(**session)

def test_leaves_one(agentcore, kept, tidy):
    start(agentcore)

def test_what_is_live(agentcore, kept, record_property):
    items = agentcore.list_code_interpreter_sessions(**MANAGED, status="READY")["items"]
    print("live", len(items), kept["sessionId"] in {item["sessionId"] for item in items})
"""


@pytest.fixture
def project(pytester: pytest.Pytester, agentcore_runtime: Path) -> pytest.Pytester:
    """A folder with an ini file and one test file to come."""
    pytester.makeini(f"[pytest]\nagentcore_runtime = {agentcore_runtime}\n")
    return pytester


def test_its_fixtures_are_there_for_any_project(project: pytest.Pytester) -> None:
    project.makepyfile(HEAD + PROGRAM)
    project.runpytest_subprocess("-W", "error").assert_outcomes(passed=5)


def test_a_project_that_does_not_use_it_starts_nothing(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nagentcore_runtime = /nonexistent\n")
    project.makepyfile("def test_nothing(): pass")
    project.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("wanted", "outcomes", "live"),
    [
        ("stop", {"passed": 2, "warnings": 1}, "live 1 True"),
        ("fail", {"passed": 2, "errors": 1}, "live 1 True"),
        ("keep", {"passed": 2}, "live 2 True"),
    ],
)
def test_a_session_that_a_test_leaves_is_dealt_with(
    project: pytest.Pytester, wanted: str, outcomes: dict[str, int], live: str
) -> None:
    project.makepyfile(HEAD + LEFT)
    result = project.runpytest_subprocess("-s", "-o", f"agentcore_leftover_sessions={wanted}")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([f"*{live}*"])
    if wanted != "keep":
        result.stdout.fnmatch_lines(["*The test left sessions running: 0*"])


def test_options_of_the_emulator_are_passed_on(project: pytest.Pytester) -> None:
    project.makepyfile(
        HEAD
        + """
def test_throttled(agentcore_control):
    with pytest.raises(ClientError, match="ThrottlingException"):
        for _ in range(50):
            agentcore_control.list_code_interpreters()
"""
    )
    project.runpytest_subprocess("-o", "agentcore_options=--calls-per-second 3").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("agentcore_leftover_sessions=burn", "agentcore_leftover_sessions is 'burn'; allowed: stop | fail | keep"),
        ("agentcore_options=--pool many", "'many' is not an integer from 0 to 1000"),
        ("agentcore_runtime=/nonexistent", "/nonexistent"),
    ],
)
def test_a_wrong_setting_fails_and_says_so(project: pytest.Pytester, option: str, words: str) -> None:
    project.makepyfile("def test_it(agentcore_endpoint): pass")
    result = project.runpytest_subprocess("-o", option)
    assert result.ret != 0
    assert words in result.stdout.str() + result.stderr.str()
    assert "skipped" not in result.stdout.str()
