"""The nine tools as typed methods, in both modes: the managed interpreter and a custom one.

The requests and results of the methods are compared with published requests and responses of the service.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.client import CodeInterpreterClient
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.limits import MAX_REQUEST_BYTES
from code_runner.agentcore.programs import Code, Command
from code_runner.agentcore.responses import ListedFile
from code_runner.session import CodeSession, open_session
from local_agentcore.faults import Rule
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import (
    AccessDenied,
    DeadlineExceeded,
    InterpreterNotFound,
    InvalidRequest,
    PayloadTooLarge,
    QuotaExceeded,
    RunError,
    SessionLost,
    Throttled,
)
from sandpiper_contract.files import SERVICE_FILES, InputFile
from tests.support.account import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient

    from code_runner.agentcore.responses import Task
    from local_agentcore.admin_client import FaultInjector

WIRE = Path(__file__).resolve().parents[1] / "wire"
ROLE = "arn:aws:iam::123456789012:role/execution"
PATIENCE_SECONDS = 30
MEBIBYTE = 1024 * 1024


class RecordingClients(AwsClients):
    """Real clients that record the called tools and their arguments."""

    def __init__(self) -> None:
        super().__init__(boto3.Session(region_name=REGION))
        self.calls: list[tuple[str, Any]] = []

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        client: Any = super().invoke(timeout_seconds)
        event = "provide-client-params.bedrock-agentcore.InvokeCodeInterpreter"
        client.meta.events.register_first(event, self._record, unique_id="recording")
        return client

    def _record(self, params: Any, **_: object) -> None:
        self.calls.append((params["name"], params["arguments"]))


@dataclass
class Tools:
    """A session and the requests that were sent to it."""

    session: CodeSession
    clients: RecordingClients

    @property
    def sent(self) -> tuple[str, Any]:
        """The tool and the arguments of the last call."""
        return self.clients.calls[-1]

    def until_ended(self, task_id: str) -> Task:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (task := self.session.client.get_task(task_id)).running:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return task


@pytest.fixture(scope="module")
def custom(agentcore_control: Any) -> Generator[str]:
    """A custom interpreter."""
    response = agentcore_control.create_code_interpreter(
        name=f"nine_{uuid.uuid4().hex[:12]}", executionRoleArn=ROLE, networkConfiguration={"networkMode": "SANDBOX"}
    )
    yield response["codeInterpreterId"]
    agentcore_control.delete_code_interpreter(codeInterpreterId=response["codeInterpreterId"])


@pytest.fixture(params=["managed", "custom"])
def interpreter(request: pytest.FixtureRequest, custom: str) -> str:
    """The interpreter of each mode: managed and custom."""
    return {"managed": MANAGED_INTERPRETER, "custom": custom}[request.param]


@pytest.fixture
def shell(agentcore_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a shell without any other configuration of the AWS libraries."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(agentcore_endpoint).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def clients(shell: pytest.MonkeyPatch) -> RecordingClients:
    """Clients that find the emulator through environment variables."""
    assert shell
    return RecordingClients()


@pytest.fixture
def tools(clients: RecordingClients, interpreter: str) -> Generator[Tools]:
    """A new session of the interpreter."""
    with open_session(clients, interpreter) as session:
        yield Tools(session, clients)


@pytest.fixture(scope="module")
def shared_sessions(agentcore: Any, custom: str) -> Generator[dict[str, str]]:
    """A session of each interpreter, for tests that need no new one."""
    sessions = {
        interpreter: agentcore.start_code_interpreter_session(codeInterpreterIdentifier=interpreter)["sessionId"]
        for interpreter in (MANAGED_INTERPRETER, custom)
    }
    yield sessions
    for interpreter, session in sessions.items():
        agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter, sessionId=session)


@pytest.fixture
def shared_tools(clients: RecordingClients, interpreter: str, shared_sessions: dict[str, str]) -> Tools:
    """The shared session of the interpreter."""
    deadline = Deadline.after(2 * PATIENCE_SECONDS)
    client = CodeInterpreterClient(clients, interpreter, shared_sessions[interpreter], deadline)
    return Tools(CodeSession(client), clients)


def environment(endpoint: str) -> dict[str, str]:
    """Environment variables that point boto3 and the official SDK to an endpoint."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "BEDROCK_AGENTCORE_DP_ENDPOINT": endpoint,
        "BEDROCK_AGENTCORE_CP_ENDPOINT": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }


def published(name: str) -> tuple[tuple[str, Any], dict[str, Any]]:
    """Returns a published request to the service and its result."""
    case = json.loads((WIRE / f"{name}.json").read_text())
    return (case["request"]["name"], case["request"]["arguments"]), case["events"][0]["result"]


@dataclass
class Run:
    """A published example, with the call of the method for it."""

    name: str
    call: Callable[[CodeInterpreterClient, Any], Any]
    before: dict[str, bytes] = field(default_factory=dict[str, bytes])


def code(tools: CodeInterpreterClient, arguments: Any) -> Any:
    return tools.execute_code(Code(arguments["code"], arguments["language"]))


def command(tools: CodeInterpreterClient, arguments: Any) -> Any:
    return tools.execute_command(Command(arguments["command"]))


@pytest.mark.parametrize(
    "run",
    [
        Run("execute_code_python_ok", code),
        Run("execute_code_reads_written_file", code, {"data.txt": b"pikachu"}),
        Run("execute_command_ok", command),
        Run("execute_command_nonzero_output_in_stderr", command),
        Run("execute_command_not_found", command),
    ],
    ids=lambda run: run.name,
)
def test_execute_code_and_execute_command_match_the_published_examples(shared_tools: Tools, run: Run) -> None:
    if run.before:
        shared_tools.session.client.write_files(run.before)
    sent, result = published(run.name)
    outcome = run.call(shared_tools.session.client, sent[1])
    assert shared_tools.sent == sent
    structured = result["structuredContent"]
    assert (outcome.stdout, outcome.stderr, outcome.exit_code) == (
        structured["stdout"],
        structured["stderr"],
        structured["exitCode"],
    )
    assert outcome.content == tuple(result["content"])
    assert 0 < outcome.seconds < PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("language", "runtime", "program"),
    [
        ("python", None, "print(6 * 7)"),
        ("python", "python", "print(6 * 7)"),
        ("javascript", None, "console.log(6 * 7)"),
        ("javascript", "nodejs", "console.log(6 * 7)"),
        ("typescript", "deno", "const n: number = 6 * 7; console.log(n)"),
    ],
)
def test_execute_code_accepts_the_services_languages_and_runtimes(
    shared_tools: Tools, language: Any, runtime: Any, program: str
) -> None:
    outcome = shared_tools.session.client.execute_code(Code(program, language, runtime=runtime))
    assert (outcome.stdout.strip(), outcome.stderr, outcome.exit_code) == ("42", "", 0)
    options = {} if runtime is None else {"runtime": runtime}
    assert shared_tools.sent == ("executeCode", {"code": program, "language": language, **options})


def test_execute_code_keeps_variables_until_the_context_is_cleared(shared_tools: Tools) -> None:
    shared_tools.session.client.execute_code(Code("x = 41"))
    assert shared_tools.session.client.execute_code(Code("print(x + 1)")).stdout == "42"
    assert (
        shared_tools.session.client.execute_code(Code("print('x' in globals())", clear_context=True)).stdout == "False"
    )
    assert (
        shared_tools.sent[1]["clearContext"] is published("execute_code_clear_context_describe")[0][1]["clearContext"]
    )


def test_a_failing_program_returns_an_outcome(shared_tools: Tools) -> None:
    outcome = shared_tools.session.client.execute_code(Code("print('before'); 1/0"))
    assert (outcome.stdout, outcome.exit_code) == ("before", 1)
    assert "ZeroDivisionError: division by zero" in outcome.stderr


def test_start_command_execution_get_task_and_stop_task_match_the_published_examples(shared_tools: Tools) -> None:
    sent, result = published("start_command_execution_ok")
    started = shared_tools.session.client.start_command_execution(Command(sent[1]["command"]))
    assert shared_tools.sent == sent
    structured = result["structuredContent"]
    assert replace(started, task_id="") == replace(started, task_id="", status=structured["taskStatus"], stdout="")
    assert len(started.task_id) == len(structured["taskId"])

    working = shared_tools.session.client.get_task(started.task_id)
    assert shared_tools.sent == ("getTask", {"taskId": started.task_id})
    assert (working.status, working.stdout, working.exit_code) == ("working", "", None)
    assert working.status == published("get_task_working")[1]["structuredContent"]["taskStatus"]

    shared_tools.session.client.stop_task(started.task_id)
    assert shared_tools.sent == ("stopTask", {"taskId": started.task_id})
    assert shared_tools.session.client.get_task(started.task_id).status == "canceled"


def test_an_ended_task_has_its_status_and_cannot_be_stopped(shared_tools: Tools) -> None:
    started = shared_tools.session.client.start_command_execution(Command("echo out; exit 3"))
    ended = shared_tools.until_ended(started.task_id)
    assert (ended.stdout + ended.stderr, ended.exit_code) == ("out\r\n", 3)
    assert ended.seconds is not None
    task = shared_tools.session.client.start_command_execution(Command("echo done"))
    assert shared_tools.until_ended(task.task_id).status == "completed"
    refusal = published("stop_task_completed_error")[1]["content"][0]["text"]
    with pytest.raises(InvalidRequest) as raised:
        shared_tools.session.client.stop_task(task.task_id)
    assert str(raised.value).endswith(refusal)


def test_write_files_and_read_files_preserve_binary_content(shared_tools: Tools) -> None:
    files = {
        "data.txt": b"pikachu",
        "deep/er/all.bin": bytes(range(256)),
        "empty": b"",
        "gr\u00fc\u00dfe 1.txt": b"\xff\r\n",
    }
    shared_tools.session.client.write_files(files)
    name, arguments = shared_tools.sent
    assert (name, [set(entry) for entry in arguments["content"]]) == ("writeFiles", [{"path", "blob"}] * len(files))
    assert shared_tools.session.client.read_files(list(files)) == files
    assert shared_tools.session.client.read_files(["data.txt"]) == {"data.txt": b"pikachu"}
    assert shared_tools.sent == published("read_files_text_ok")[0]
    assert shared_tools.session.client.read_files(["none.txt"]) is None


def test_list_files_returns_the_entries_of_a_folder(tools: Tools) -> None:
    fresh = json.loads((WIRE / "list_files_fresh_2026.json").read_text())["names"]
    kinds = {"Directory": "folder", "File": "file"}
    expected = {ListedFile(name, kinds[kind]) for kind, names in fresh.items() for name in names}  # type: ignore[arg-type]
    assert set(tools.session.client.list_files()) == expected
    assert {file.name for file in expected} == set(SERVICE_FILES)
    tools.session.client.write_files({"deep/a.txt": b"1"})
    assert tools.session.client.list_files("deep") == [ListedFile("a.txt", "file")]
    assert tools.sent == ("listFiles", {"directoryPath": "deep"})


def test_remove_files_removes_files(tools: Tools) -> None:
    tools.session.client.write_files({"code.py": b"1", "data.txt": b"2"})
    sent, _ = published("remove_files_two_ok")
    tools.session.client.remove_files(sent[1]["paths"])
    assert tools.sent == sent
    assert {file.name for file in tools.session.client.list_files()} == set(SERVICE_FILES)


def test_region_and_credentials_can_be_passed_as_arguments(shell: pytest.MonkeyPatch, interpreter: str) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        shell.delenv(name)
    given = boto3.Session("test", "test", region_name=REGION)
    with open_session(AwsClients(given), interpreter) as session:
        assert session.run(Code("print(6 * 7)")).stdout == "42"


REFUSED: list[Callable[[CodeInterpreterClient], object]] = [
    lambda tools: tools.write_files({"/etc/x": b""}),
    lambda tools: tools.write_files({"../x": b""}),
    lambda tools: tools.list_files("../.."),
    lambda tools: tools.remove_files(["none.txt"]),
    lambda tools: tools.get_task("none"),
    lambda tools: tools.stop_task("none"),
]


@pytest.mark.parametrize("call", REFUSED)
def test_a_rejection_by_a_tool_is_an_invalid_request_with_the_tools_name(
    shared_tools: Tools, call: Callable[[CodeInterpreterClient], object]
) -> None:
    with pytest.raises(InvalidRequest, match=f" in session {shared_tools.session.session_id}: "):
        call(shared_tools.session.client)


# The service's quotas, as far as the client can detect them.


def test_a_request_above_the_size_limit_is_rejected_before_it_is_sent(shared_tools: Tools) -> None:
    too_much = b"x" * (MAX_REQUEST_BYTES // 2)
    with pytest.raises(PayloadTooLarge, match=r"writeFiles .* allowed: 100,000,000 in one call; .* S3"):
        shared_tools.session.client.write_files({"a": too_much, "b": too_much, "c": b""})
    refusals: list[None] = []
    client, text = shared_tools.session.client, "#" * (MAX_REQUEST_BYTES + 1)
    calls: tuple[Callable[..., object], ...] = (
        partial(client.execute_code, Code(text)),
        partial(client.execute_command, Command(text)),
        partial(client.start_command_execution, Command(text)),
    )
    for call in calls:
        with pytest.raises(PayloadTooLarge, match="in one call"):
            call(on_rejected=lambda: refusals.append(None))
    assert len(refusals) == 3
    assert shared_tools.clients.calls == []


def test_a_response_above_the_size_limit_is_an_error_and_a_smaller_one_is_returned(tools: Tools) -> None:
    tools.session.client.execute_code(Code("for n in 'ab': open(n, 'wb').write(n.encode() * (12 << 20))"))
    with pytest.raises(PayloadTooLarge):
        tools.session.client.read_files(["a", "b"])
    assert tools.session.client.read_files(["a"]) == {"a": b"a" * (12 * MEBIBYTE)}


def test_a_timeout_error_states_the_remedy(tools: Tools) -> None:
    with pytest.raises(DeadlineExceeded, match="no response within the available time") as raised:
        tools.session.client.execute_command(Command("sleep 60"), seconds=3)
    assert "start_command" in raised.value.remedy


@pytest.mark.parametrize(
    ("fault", "operation", "error"),
    [
        (Rule("throttling", "StartCodeInterpreterSession"), "start", Throttled),
        (Rule("throttling", "listFiles"), "tool", Throttled),
        (Rule("error", "StartCodeInterpreterSession", code="ServiceQuotaExceededException"), "start", QuotaExceeded),
    ],
)
def test_throttling_and_exceeded_quotas_are_retryable_errors(
    clients: RecordingClients,
    interpreter: str,
    agentcore_faults: FaultInjector,
    monkeypatch: pytest.MonkeyPatch,
    fault: Rule,
    operation: str,
    error: type[RunError],
) -> None:
    monkeypatch.setattr("code_runner.agentcore.tool_invoker.RETRY_DELAYS_SECONDS", (0.01, 0.01))
    agentcore_faults.inject(fault)
    with pytest.raises(error) as raised, open_session(clients, interpreter) as session:
        assert operation == "tool"
        session.client.list_files()
    assert raised.value.retryable
    assert operation == "start" or len(clients.calls) == 3


def test_a_call_after_the_end_of_the_session_raises_session_lost(clients: RecordingClients, interpreter: str) -> None:
    with open_session(clients, interpreter, deadline=Deadline.after(60)) as session:
        session.close_session()
        with pytest.raises(SessionLost, match=r"is not active"):
            session.client.list_files()
        for call, program in ((session.run, Code("1")), (session.run, Command("1")), (session.start, Command("1"))):
            with pytest.raises(SessionLost, match=r"is not active; it has not run$"):
                call(program)
        with pytest.raises(SessionLost, match=r"is not active; it has not run$"):
            session.run(Code("1"), inputs=[InputFile.from_bytes("a", b"")])


def test_an_unknown_session_is_lost_and_no_code_ran(clients: RecordingClients, interpreter: str) -> None:
    session = CodeSession(CodeInterpreterClient(clients, interpreter, "01K0Z3M5W7Q9S2T4V6X8Y0A1B3", Deadline.after(60)))
    with pytest.raises(SessionLost, match=r"not found; it has not run$"):
        session.run(Code("1"))
    for call in (session.client.list_files, session.close_session, lambda: session.poll_command("none")):
        with pytest.raises(SessionLost, match=r"not found$"):
            call()
    with pytest.raises(InterpreterNotFound), open_session(clients, f"{interpreter}-none"):
        pytest.fail("the session started")


def test_a_call_after_the_deadline_is_not_sent(clients: RecordingClients, interpreter: str) -> None:
    with open_session(clients, interpreter, timeout_seconds=2) as session:
        with pytest.raises(DeadlineExceeded, match="at least 3 s are needed"):
            session.client.list_files()
        assert clients.calls == []


@pytest.mark.parametrize(
    ("missing", "error", "variable"),
    [
        (("AWS_DEFAULT_REGION",), InvalidRequest, "DEFAULT_REGION"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), AccessDenied, "PROFILE"),
    ],
)
def test_missing_aws_settings_are_named_in_the_error(
    shell: pytest.MonkeyPatch,
    missing: tuple[str, ...],
    error: type[RunError],
    variable: str,
) -> None:
    for name in missing:
        shell.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        shell.setenv(name, os.devnull)
    shell.setenv("AWS_EC2_METADATA_DISABLED", "true")
    not_stopped: list[str] = []
    with (
        pytest.raises(error, match=rf"; set AWS_{variable} or pass a boto3\.Session"),
        open_session(on_stop_failed=lambda session, _: not_stopped.append(session)),
    ):
        pytest.fail("the session started")
    assert not_stopped == []


# The operations of the contract as methods, without a bucket.


def test_programs_and_commands_share_the_files_of_a_session(tools: Tools) -> None:
    session = tools.session
    first = session.run(
        Code("open('a.bin', 'wb').write(bytes(range(256)))"), inputs=[InputFile.from_bytes("in.txt", b"1")]
    )
    assert [(file.path, file.data, file.s3_uri) for file in first.files] == [("a.bin", bytes(range(256)), None)]
    second = session.run(Command("cat in.txt; cp a.bin b.bin"))
    assert (second.stdout, second.exit_code, [file.path for file in second.files]) == ("1", 0, ["b.bin"])
    session.client.write_files({"c.txt": b"2"})
    assert [(file.path, file.data) for file in session.collect_files().files] == [("c.txt", b"2")]
    assert session.collect_files().files == []


def test_a_started_command_is_polled_and_stopped_and_returns_its_files(tools: Tools) -> None:
    task = tools.session.start(
        Command("echo begun > left.txt; sleep 600"), inputs=[InputFile.from_bytes("in.txt", b"1")]
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while tools.session.client.read_files(["left.txt"]) is None:
        assert time.monotonic() < deadline
    polled = tools.session.poll_command(task.task_id)
    assert (polled.ended, polled.files) == (False, ())
    stopped = tools.session.stop_command(task.task_id)
    assert (stopped.status, stopped.ended) == ("canceled", True)
    assert [(file.path, file.data) for file in stopped.files] == [("left.txt", b"begun\n")]
    assert tools.session.stop_command(task.task_id).status == "canceled"


def test_a_session_is_closed_once(tools: Tools) -> None:
    assert (tools.session.close_session(), tools.session.close_session()) == (True, False)


# The service's five-minute trial: start, invoke, stop.

TRIAL = """
from bedrock_agentcore.tools.code_interpreter_client import CodeInterpreter
import json

code_client = CodeInterpreter("us-east-1")
code_client.start()
try:
    resp = code_client.invoke("executeCode", {
        "language": "python",
        "code": (
            "import pandas as pd\\n"
            "df = pd.DataFrame({'x': range(10)})\\n"
            "df['y'] = df['x'] ** 2\\n"
            "print(df.tail())\\n"
        ),
    })
    for event in resp["stream"]:
        print(json.dumps(event["result"], indent=2))
finally:
    code_client.stop()
"""
TAIL = ["x   y", "5  5  25", "6  6  36", "7  7  49", "8  8  64", "9  9  81"]


def run_script(script: str, variables: dict[str, str]) -> str:
    """Runs a script in a new process and returns its output."""
    process = subprocess.run([sys.executable, "-"], input=script, env=variables, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_five_minute_trial_runs_with_the_official_sdk(agentcore_endpoint: str) -> None:
    result = json.loads(run_script(TRIAL, environment(agentcore_endpoint)))
    assert (result["isError"], result["structuredContent"]["exitCode"]) == (False, 0)
    assert [line.strip() for line in result["structuredContent"]["stdout"].splitlines()] == TAIL


def test_the_published_five_minute_trial_fails_with_its_doubled_backslashes(agentcore_endpoint: str) -> None:
    """The published script has doubled backslashes. The service returns the resulting error."""
    result = json.loads(run_script(TRIAL.replace("\\n", "\\\\n"), environment(agentcore_endpoint)))
    assert (result["isError"], result["structuredContent"]["exitCode"]) == (True, 1)
    assert "SyntaxError: unexpected character after line continuation character" in json.dumps(result)
