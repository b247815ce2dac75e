"""The emulated AgentCore's quotas, its clock, its assumptions about the service and its command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
import tomllib
import urllib.error
import urllib.request
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from local_agentcore import assumptions
from local_agentcore.assumptions import Assumptions, AssumptionsError
from local_agentcore.clock import AdjustableClock
from local_agentcore.emulator import Emulator
from local_agentcore.errors import ServiceError, ServiceQuotaExceededError, ThrottlingError, ValidationError
from local_agentcore.options import arguments
from local_agentcore.process import client, running_emulator
from local_agentcore.settings import Quotas, Settings
from local_agentcore.throttle import Throttle
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.agentcore_sessions import MANAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SANDBOX: dict[str, Any] = {"networkMode": "SANDBOX"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENT = Path(assumptions.__file__).parents[1] / "assumptions.md"
TOKEN = "a-token-that-is-long-enough-for-the-model"  # noqa: S105  a client token


def error_of(call: Callable[[], object]) -> tuple[str, str]:
    """Returns code and message of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call()
    response: Any = raised.value.response
    return response["Error"]["Code"], response["Error"]["Message"]


def with_emulator(settings: Settings, work: Callable[[Emulator], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine with an emulator in this process, whose clock stands still unless it is advanced."""

    async def live() -> None:
        emulator = Emulator(settings, clock=lambda: NOW)
        await emulator.open()
        try:
            await work(emulator)
        finally:
            await emulator.close()

    asyncio.run(live())


# The rate of calls


def test_calls_over_the_rate_are_throttled_until_time_passes() -> None:
    clock = AdjustableClock(lambda: NOW)
    throttle = Throttle(30, clock, Assumptions())

    def admitted(calls: int, operation: str = "InvokeCodeInterpreter") -> int:
        count = 0
        for _ in range(calls):
            try:
                throttle.admit(operation)
            except ThrottlingError:
                continue
            count += 1
        return count

    assert admitted(100) == 30
    assert admitted(100, "StopCodeInterpreterSession") == 30  # each operation has a separate rate
    clock.advance(0.5)
    assert admitted(100) == 15
    clock.advance(3600)
    assert admitted(100) == 30


def test_the_emulator_throttles_at_the_configured_rate(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--calls-per-second", "2", "--pool", "0") as emulator:
        control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
        responses = [control.list_code_interpreters, control.list_code_interpreters]
        assert all(call()["codeInterpreterSummaries"] for call in responses)
        with pytest.raises(ClientError) as raised:
            for _ in range(50):
                control.list_code_interpreters()
        response: Any = raised.value.response
        assert response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded."}
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert control.get_code_interpreter(codeInterpreterId=MANAGED_INTERPRETER)["status"] == "READY"


def test_the_service_quotas_are_the_defaults() -> None:
    assert Quotas() == Quotas(30, 1000, 1000, 100_000_000, 24 << 20)
    limits = Settings(runtime=Path()).limits
    assert (limits.call_seconds, limits.task_seconds) == (15 * 60, 8 * 60 * 60)


# Quotas of resources and sizes


def test_the_managed_interpreter_does_not_count_against_the_quota(agentcore_runtime: Path, tmp_path: Path) -> None:
    settings = Settings(runtime=agentcore_runtime, state=tmp_path, pool=0, quotas=Quotas(interpreters=2))

    async def work(emulator: Emulator) -> None:
        created = [
            await emulator.call("CreateCodeInterpreter", {"name": name, "networkConfiguration": SANDBOX})
            for name in ("a", "b")
        ]
        third = {"name": "c", "networkConfiguration": SANDBOX}
        with pytest.raises(ServiceQuotaExceededError, match="limit of 2 code interpreters"):
            await emulator.call("CreateCodeInterpreter", third)
        await emulator.call("DeleteCodeInterpreter", {"codeInterpreterId": created[0]["codeInterpreterId"]})
        await emulator.call("CreateCodeInterpreter", third)

    with_emulator(settings, work)


def test_parallel_starts_respect_the_quota_and_block_deletion(agentcore_runtime: Path, tmp_path: Path) -> None:
    settings = Settings(runtime=agentcore_runtime, state=tmp_path, pool=0, quotas=Quotas(sessions=2))

    async def work(emulator: Emulator) -> None:
        created = await emulator.call("CreateCodeInterpreter", {"name": "a", "networkConfiguration": SANDBOX})
        identifier = created["codeInterpreterId"]
        start = {"codeInterpreterIdentifier": identifier}
        starting = [asyncio.ensure_future(emulator.call("StartCodeInterpreterSession", start)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as raised:  # none of them has a session yet
            await emulator.call("DeleteCodeInterpreter", {"codeInterpreterId": identifier})
        assert raised.value.code == "ConflictException"
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, ServiceQuotaExceededError)]
        assert (len(refused), len(emulator.sessions.live())) == (3, 2)

    with_emulator(settings, work)


def test_a_request_over_the_size_limit_is_rejected(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--request-mb", "3", "--pool", "0") as emulator:
        data = client("bedrock-agentcore", emulator.address, "us-east-1")
        session = data.start_code_interpreter_session(**MANAGED)["sessionId"]

        def write(size: int) -> Any:
            content = [{"path": "x", "blob": bytes(size)}]
            return data.invoke_code_interpreter(
                **MANAGED, sessionId=session, name="writeFiles", arguments={"content": content}
            )

        assert [event["result"]["isError"] for event in write(3_000_000)["stream"]] == [False]
        code, message = error_of(lambda: write(9_000_000))
        assert (code, message) == ("ValidationException", "The request is larger than the 3 MB that are allowed")


def test_an_event_over_the_limit_can_be_a_stream_error(agentcore_runtime: Path, tmp_path: Path) -> None:
    file = tmp_path / "assumptions.toml"
    file.write_text('event_over_limit = "refused"\n')
    options = ("--event-mib", "0.1", "--guesses", str(file), "--pool", "0")
    with running_emulator(agentcore_runtime, tmp_path, *options) as emulator:
        data = client("bedrock-agentcore", emulator.address, "us-east-1")
        session = data.start_code_interpreter_session(**MANAGED)["sessionId"]

        def printed(characters: int) -> list[Any]:
            code = {"language": "python", "code": f"print('a' * {characters})"}
            return list(
                data.invoke_code_interpreter(**MANAGED, sessionId=session, name="executeCode", arguments=code)["stream"]
            )

        assert len(printed(10_000)) == 1
        with pytest.raises(EventStreamError, match=r"validationException.*larger than the 0.1 MiB"):
            printed(100_000)


# The clock


def advance(endpoint: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Advances the clock over HTTP. Returns status and response."""
    request = urllib.request.Request(f"{endpoint}/_local/clock", body, method="POST")  # noqa: S310  loopback
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310  loopback
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_advancing_the_clock_expires_sessions_and_client_tokens(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path) as emulator:
        data = client("bedrock-agentcore", emulator.address, "us-east-1")
        first = data.start_code_interpreter_session(**MANAGED, clientToken=TOKEN)
        session = {**MANAGED, "sessionId": first["sessionId"]}
        outcome: list[str] = []
        code = {"language": "python", "code": "open('begun', 'w')\nwhile True: pass"}
        endless = threading.Thread(
            target=lambda: outcome.append(
                error_of(lambda: data.invoke_code_interpreter(**session, name="executeCode", arguments=code))[1]
            )
        )
        endless.start()
        while "begun" not in str(list(data.invoke_code_interpreter(**session, name="listFiles")["stream"])):
            advance(emulator.address, b'{"advance_seconds": 0.1}')  # the throttle uses the clock, too
        status, response = advance(emulator.address, b'{"advance_seconds": 900}')
        endless.join()
        assert status == 200
        assert datetime.fromisoformat(response["now"]) > datetime.now(UTC) + timedelta(seconds=890)
        assert outcome == [f"Code interpreter session {first['sessionId']} is not active"]
        assert data.get_code_interpreter_session(**session)["status"] == "TERMINATED"
        assert data.start_code_interpreter_session(**MANAGED, clientToken=TOKEN)["sessionId"] == first["sessionId"]
        advance(emulator.address, b'{"advance_seconds": 86400}')
        restarted = data.start_code_interpreter_session(**MANAGED, clientToken=TOKEN)  # the token has expired
        assert restarted["createdAt"] - first["createdAt"] > timedelta(days=1)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"advance_seconds": "1"}', b'{"advance_seconds": true}', b'{"advance": 1}']
)
def test_an_invalid_advance_is_rejected(agentcore_endpoint: str, body: bytes) -> None:
    assert advance(agentcore_endpoint, body) == (
        400,
        {"message": 'The body is not of the form {"advance_seconds": N}; N is a number'},
    )


@pytest.mark.parametrize("seconds", [b"-1", b"1e300", b"NaN"])
def test_the_clock_rejects_negative_and_too_large_advances(agentcore_endpoint: str, seconds: bytes) -> None:
    status, response = advance(agentcore_endpoint, b'{"advance_seconds": %s}' % seconds)
    assert status == 400
    assert "allowed: 0 or more, ten years in total" in response["message"]


# Assumptions


def test_the_assumptions_page_matches_the_table() -> None:
    """REWRITE_GOLDEN=1 rewrites it."""
    head, _, rest = DOCUMENT.read_text().partition("```toml\n")
    explanation = rest.partition("```")[2].partition("\n- ")[0]
    items = [textwrap.fill(text, 98, initial_indent="- ", subsequent_indent="  ") for text in assumptions.FIXED]
    fixed = "".join(f"{item}\n" for item in items)
    expected = f"{head}```toml\n{assumptions.as_toml()}```{explanation}\n{fixed}"
    if os.environ.get("REWRITE_GOLDEN"):
        DOCUMENT.write_text(expected)
    assert DOCUMENT.read_text() == expected


def test_the_printed_assumptions_load_as_the_defaults(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "local_agentcore", "guesses"], capture_output=True, text=True, check=True
    ).stdout
    file = tmp_path / "assumptions.toml"
    file.write_text(printed)
    assert assumptions.load(file) == Assumptions()
    assert tomllib.loads(printed) == asdict(Assumptions())
    as_json = tmp_path / "assumptions.json"
    as_json.write_text(json.dumps({"throttled": "Slow down", "client_token_seconds": 60}))
    assert assumptions.load(as_json) == Assumptions(throttled="Slow down", client_token_seconds=60)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"throtled": "x"}, "The assumption 'throtled' is unknown; allowed: throttled, "),
        ({"throttled": 5}, "allowed: a string without braces"),
        ({"throttled": ""}, "allowed: a string without braces"),
        ({"throttled": "{x}"}, "allowed: a string without braces"),
        ({"name_taken": "{name.__class__}"}, "allowed: a string with the placeholders name in braces"),
        ({"name_taken": "{name!r}"}, "allowed: a string with the placeholders name in braces"),
        ({"name_taken": "{name"}, "allowed: a string with the placeholders name in braces"),
        ({"create_status": "DELETED"}, "allowed: READY | CREATING"),
        ({"create_status": []}, "allowed: READY | CREATING"),
        ({"empty_output_has_block": 1}, "allowed: true | false"),
        ({"default_page_size": 0}, "allowed: an integer greater than 0"),
        ({"default_page_size": True}, "allowed: an integer greater than 0"),
        ({"client_token_seconds": "1"}, "allowed: a number greater than 0"),
    ],
)
def test_an_invalid_assumption_is_rejected_with_the_allowed_values(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(AssumptionsError) as raised:
        assumptions.with_overrides(values)
    assert expected in str(raised.value)


def test_every_assumption_is_used() -> None:
    source = "".join(
        file.read_text() for file in Path(assumptions.__file__).parent.rglob("*.py") if file.name != "assumptions.py"
    )
    assert [field.name for field in fields(Assumptions) if f"assumptions.{field.name}" not in source] == []


def test_overridden_assumptions_take_effect(agentcore_runtime: Path, tmp_path: Path) -> None:
    other = Assumptions(path_traversal_as="exception", empty_output_has_block=False, create_status="CREATING")
    settings = Settings(runtime=agentcore_runtime, state=tmp_path, pool=0, assumptions=other)

    async def work(emulator: Emulator) -> None:
        created = await emulator.call("CreateCodeInterpreter", {"name": "a", "networkConfiguration": SANDBOX})
        assert created["status"] == "CREATING"
        started = await emulator.call("StartCodeInterpreterSession", MANAGED)
        call = {**MANAGED, "sessionId": started["sessionId"]}
        quiet = await emulator.call(
            "InvokeCodeInterpreter", {**call, "name": "executeCommand", "arguments": {"command": "true"}}
        )
        assert quiet["stream"][0]["result"]["content"] == []
        with pytest.raises(ValidationError, match="path traversal"):
            await emulator.call("InvokeCodeInterpreter", {**call, "name": "readFiles", "arguments": {"paths": ["/x"]}})

    with_emulator(settings, work)


# The command line


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--port", "70000", "'70000' is not an integer from 0 to 65535"),
        ("--pool", "-1", "'-1' is not an integer from 0 to 1000"),
        ("--max-sessions", "many", "'many' is not an integer from 1 to 1e+06"),
        ("--call-seconds", "nan", "'nan' is not a number from 0.001 to 1e+07"),
        ("--memory-mib", "127", "'127' is not an integer from 128 to 1e+06"),
        ("--account", "12", "'12' is not 12 digits"),
        ("--region", "Frankfurt", "'Frankfurt' is not a region such as us-east-1"),
        ("--state", "/etc/passwd", "The folder /etc/passwd of --state cannot be created: File exists."),
        ("--state", "/proc/x", "The folder /proc/x of --state cannot be created: No such file or directory."),
        (
            "--guesses",
            "/nonexistent/assumptions.toml",
            "The assumptions in /nonexistent/assumptions.toml cannot be read",
        ),
    ],
)
def test_an_invalid_option_is_reported_in_one_line(tmp_path: Path, option: str, value: str, expected: str) -> None:
    command = [sys.executable, "-m", "local_agentcore", "serve", "--port", "0", "--runtime", str(tmp_path)]
    ended = subprocess.run([*command, option, value], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert expected in line
    assert line.startswith(("local-agentcore serve: error: argument --", "The "))


@pytest.mark.parametrize("when", ["at its start", "once it runs"])
def test_an_unwritable_state_folder_is_reported_when_a_session_starts(
    agentcore_runtime: Path, tmp_path: Path, when: str
) -> None:
    state = Path("/proc") if when == "at its start" else tmp_path
    with running_emulator(agentcore_runtime, tmp_path, "--state", str(state)) as emulator:
        assert emulator.runs_code is (when == "once it runs")
        # Created at the start. The folder of another mode is created with its first session.
        for folder in tmp_path.glob("*/SANDBOX"):
            folder.rename(tmp_path / "moved")
            folder.parent.rename(tmp_path / "moved-too")
            folder.parent.touch()
        control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
        vpc = {"subnets": ["subnet-12345678"], "securityGroups": ["sg-12345678"]}
        created = control.create_code_interpreter(
            name="late", networkConfiguration={"networkMode": "VPC", "vpcConfig": vpc}
        )
        with pytest.raises(ClientError) as refused:
            client("bedrock-agentcore", emulator.address, "us-east-1").start_code_interpreter_session(
                codeInterpreterIdentifier=created["codeInterpreterId"]
            )
    message = refused.value.response.get("Error", {}).get("Message", "")
    assert message.startswith(f"No session can be started: The state folder {state}")
    assert "hoose another folder with --state" in message


def test_the_runtime_option_overrides_the_runtime_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_AGENTCORE_RUNTIME", "/an/environment")
    assert arguments(["serve"]).port == 5200
    assert arguments(["serve"]).runtime == Path("/an/environment")
    assert arguments(["serve", "--runtime", "/another"]).runtime == Path("/another")
