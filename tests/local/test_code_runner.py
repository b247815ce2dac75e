"""`code_runner` as a library: the calls of a run, and its outcome when calls fail."""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.client import CodeInterpreterClient
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.programs import Code
from code_runner.agentcore.responses import Task
from code_runner.files.storage import MAX_CODE_BYTES
from code_runner.operations import Operations
from code_runner.session import CodeSession, open_session
from code_runner.tenant_config import TenantConfig
from local_agentcore.faults import Rule
from sandpiper_contract.errors import CodeFailed, NotStarted, RunError, SessionEnded, SessionLost
from sandpiper_contract.files import InputFile, Outputs
from sandpiper_contract.requests import (
    CloseSession,
    CollectFiles,
    OpenSession,
    PollCommand,
    RunCode,
    RunInSession,
    StartCommand,
    StopCommand,
)
from sandpiper_contract.results import RunResult
from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from tests.support.recording_clients import RecordingClients

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from local_agentcore.admin_client import FaultInjector
    from sandpiper_contract.records import Record
    from tests.support.product import Product

FAULTS = (
    "ThrottlingException",
    "ServiceQuotaExceededException",
    "ValidationException",
    "AccessDeniedException",
    "InternalServerException",
)
START, STOP = "StartCodeInterpreterSession", "StopCodeInterpreterSession"


@dataclass
class Runner:
    """Runs requests with the library and records the sent calls. Faults are injected into the emulator."""

    product: Product
    sent: list[str] = field(default_factory=list[str])
    not_stopped: list[str] = field(default_factory=list[str])
    file_counts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def run(self, request: RunCode, seconds: float = 900, run: Run | None = None) -> RunResult:
        self.sent.clear()
        return self.operations(seconds, run).run_code(request)

    def operations(self, seconds: float = 900, run: Run | None = None) -> Operations:
        """Returns the operations of one invocation, by default for a new run."""
        deployment = self.product.deployment
        return Operations(
            run=run or Run(str(uuid.uuid4())),
            tenant=TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix),
            clients=RecordingClients(AwsClients(), self.watch),
            deadline=Deadline.after(seconds),
            on_stop_failed=lambda session_id, _: self.not_stopped.append(session_id),
            on_result=self.count_files,
        )

    def count_files(self, result: Record) -> None:
        if isinstance(result, RunResult):
            self.file_counts.append((len(result.files), len(result.skipped)))

    def open(self, seconds: float, lifetime_seconds: int = 300) -> AbstractContextManager[CodeSession]:
        """Opens a session without an idempotency record and without a bucket."""
        self.sent.clear()
        return open_session(
            RecordingClients(AwsClients(), self.watch),
            next(iter(self.product.deployment.interpreters.values())),
            timeout_seconds=lifetime_seconds,
            deadline=Deadline.after(seconds),
            on_stop_failed=lambda session_id, _: self.not_stopped.append(session_id),
        )

    def stored(self, folder: str, data: bytes | None) -> S3Object:
        """Returns the address of an object below the tenant's prefix; creates the object unless `data` is None."""
        deployment = self.product.deployment
        source = S3Object(deployment.bucket, f"{deployment.prefix}/{folder}/{uuid.uuid4()}.py")
        if data is not None:
            self.product.session.client("s3").put_object(Bucket=source.bucket, Key=source.key, Body=data)
        return source

    def watch(self, client: Any) -> Any:
        def before_send(request: Any, **_: object) -> None:
            name = request.url.partition("?")[0].rpartition("/")[2]
            if name == "invoke":
                name = json.loads(request.body)["name"]
            self.sent.append(name)

        client.meta.events.register_first("before-send.bedrock-agentcore.*", before_send, unique_id="watch")
        return client


@pytest.fixture
def runner(product: Product, monkeypatch: pytest.MonkeyPatch) -> Generator[Runner]:
    """Returns a runner without retry delays. Asserts that all of its sessions are stopped after the test."""
    monkeypatch.setattr("code_runner.agentcore.tool_invoker.RETRY_DELAYS_SECONDS", (0.01, 0.01))
    runner = Runner(product)
    yield runner
    assert runner.not_stopped == []
    assert product.live_sessions() == []


@pytest.fixture
def short_run_seconds(monkeypatch: pytest.MonkeyPatch) -> int:
    """Returns a time in seconds that is enough for a run to start. Without this fixture it would need 40 s."""
    for name in (
        "operations.MIN_REMAINING_SECONDS",
        "operations.MIN_EXECUTION_SECONDS",
        "run_sessions.MIN_REMAINING_SECONDS",
    ):
        monkeypatch.setattr(f"code_runner.{name}", 1)
    return 35


WRITES_A_FILE = RunCode(
    code="open('out.txt', 'w').write('1'); print('ran')", inputs=(InputFile.from_bytes("in.txt", b"1"),)
)
WRITES_A_LONGER_FILE = RunCode(code="open('out.txt', 'w').write('1' * 5_000_000); print('ran')")
"""The file is too long for the response to the listing."""
ALL_CALLS = ["start", "writeFiles", "executeCode", "executeCommand", "stop"]


def test_run_sends_only_the_required_calls(runner: Runner) -> None:
    assert runner.run(RunCode(code="print(1)")).files == ()
    assert runner.sent == ["start", "executeCode", "executeCommand", "stop"]
    assert len(runner.run(RunCode(code="for n in range(10): open(f'{n}', 'w').write('x')")).files) == 10
    assert runner.sent == ["start", "executeCode", "executeCommand", "stop"]
    assert [file.path for file in runner.run(WRITES_A_LONGER_FILE).files] == ["out.txt"]
    assert runner.sent == ["start", "executeCode", "executeCommand", "readFiles", "stop"]
    assert [file.path for file in runner.run(WRITES_A_FILE).files] == ["out.txt"]
    assert runner.sent == ALL_CALLS


def test_figures_are_collected_in_addition_to_the_requested_files(runner: Runner) -> None:
    code = "import matplotlib.pyplot as plt; plt.plot([1, 2]); open('other.txt', 'w').write('1')"
    result = runner.run(RunCode(code=code, outputs=Outputs(paths=(), figures=True)))
    assert [file.path for file in result.files] == ["figure-1.png"]
    assert [file.path for file in result.skipped] == ["other.txt"]


def test_stopped_command_returns_its_files_and_its_session_ends(runner: Runner) -> None:
    task = runner.operations().start_command(StartCommand(command="echo out; echo 1 > a.txt; sleep 600")).task
    until = time.monotonic() + 60
    while not (files := runner.operations().collect_files(CollectFiles(session=task.session)).files):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert [file.path for file in files] == ["a.txt"]
    running = runner.operations().poll_command(PollCommand(task=task))
    assert (running.ended, running.stdout, running.exit_code) == (False, "out\n", None)

    run = Run(str(uuid.uuid4()))
    stopped = runner.operations(run=run).stop_command(StopCommand(task=task))
    assert (stopped.status, stopped.ended, stopped.stdout) == ("canceled", True, "out\n")
    assert [(file.path, file.sha256) for file in stopped.files] == [("a.txt", files[0].sha256)]
    assert runner.product.live_sessions() == []
    assert runner.operations(run=run).stop_command(StopCommand(task=task)) == stopped
    with pytest.raises(SessionLost):
        runner.operations().poll_command(PollCommand(task=task))
    assert not runner.operations().close_session(CloseSession(session=task.session)).closed


def test_a_stopped_command_is_polled_until_it_has_ended(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may report a stopped command as running; the emulator ends it immediately."""
    task = runner.operations().start_command(StartCommand(command="sleep 600")).task
    pending = iter([Task(task.task_id, "working")] * 3)
    get_task = CodeInterpreterClient.get_task

    def delayed_get_task(client: CodeInterpreterClient, task_id: str) -> Task:
        return next(pending, None) or get_task(client, task_id)

    monkeypatch.setattr(CodeInterpreterClient, "get_task", delayed_get_task)
    stopped = runner.operations().stop_command(StopCommand(task=task))
    assert (stopped.status, stopped.ended) == ("canceled", True)
    assert next(pending, None) is None


def test_command_that_does_not_end_in_time_is_running_and_can_be_stopped_again(
    runner: Runner, short_run_seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, task = Run(str(uuid.uuid4())), runner.operations().start_command(StartCommand(command="sleep 600")).task

    def working(_: CodeInterpreterClient, task_id: str) -> Task:
        return Task(task_id, "working")

    with monkeypatch.context() as patch:
        patch.setattr(CodeInterpreterClient, "get_task", working)
        stopped = runner.operations(short_run_seconds, run).stop_command(StopCommand(task=task))
    assert (stopped.status, stopped.ended) == ("working", False)
    assert runner.operations(run=run).stop_command(StopCommand(task=task)).ended


def test_stopping_sessions_of_earlier_attempts_leaves_time_for_the_run(product: Product, faults: FaultInjector) -> None:
    runner, run = Runner(product), Run(str(uuid.uuid4()))
    request = RunCode(code="print('ran')")
    for _ in range(3):  # none can be stopped, so that the next attempt finds them all
        faults.inject(Rule("error", STOP), Rule("error", "executeCode", code="AccessDeniedException"))
        with pytest.raises(RunError):
            runner.run(request, run=run)
    sessions = product.live_sessions()
    assert len(sessions) == 3
    runner.not_stopped.clear()
    faults.inject(Rule("latency", START, seconds=5, times=1))
    assert runner.run(request, seconds=44, run=run).stdout == "ran"
    assert runner.sent == ["start", "stop", "start", "executeCode", "executeCommand", "stop"]
    assert runner.not_stopped == ["unknown", "unknown"]
    faults.clear()
    (interpreter, *_) = product.deployment.interpreters.values()
    for session_id in product.live_sessions():
        product.session.client("bedrock-agentcore").stop_code_interpreter_session(
            codeInterpreterIdentifier=interpreter, sessionId=session_id
        )


def test_code_for_an_ended_session_is_reported_as_not_run(runner: Runner) -> None:
    session = runner.operations().open_session(OpenSession()).session
    task = runner.operations().start_command(StartCommand(command="sleep 600")).task
    for handle in (session, task.session):
        assert runner.operations().close_session(CloseSession(session=handle)).closed
    run = Run(str(uuid.uuid4()))
    for inputs in ((), (InputFile.from_bytes("a", b""),)):
        for handle in (session, replace(session, ends=int(time.time()) - 5)):
            with pytest.raises(SessionEnded, match=r"is not active; the code has not run$") as ended:
                runner.operations(run=run).run_in_session(RunInSession(session=handle, code="1", inputs=inputs))
            assert "Retryable: yes, in another session" in str(ended.value.with_remedy())
            run = Run(str(uuid.uuid4()))
    for attempt in (
        lambda: runner.operations().poll_command(PollCommand(task=task)),
        lambda: runner.operations().collect_files(CollectFiles(session=session)),
    ):
        with pytest.raises(SessionLost, match=r"is not active$"):
            attempt()


def test_code_for_an_old_handle_of_an_ended_session_may_have_run(runner: Runner) -> None:
    session = runner.operations().open_session(OpenSession()).session
    assert runner.operations().close_session(CloseSession(session=session)).closed
    with pytest.raises(SessionLost, match=r"is not active; it may have run$"):
        runner.operations().run_in_session(RunInSession(session=replace(session, ends=None), code="1"))


def test_a_link_needs_no_credentials_and_is_renewed_for_a_stored_result(runner: Runner) -> None:
    request = RunCode(code="open('a.txt', 'w').write('a')", outputs=Outputs(link_seconds=60))
    run, deployment = Run(str(uuid.uuid4())), runner.product.deployment
    s3: Any = AwsClients().s3
    (file,) = runner.run(request, run=run).files
    assert download(file.link) == b"a"
    with pytest.raises(HTTPError, match="403"):
        download(str(file.link).partition("?")[0])

    location = {"Bucket": deployment.bucket, "Key": f"{deployment.prefix}/runs/{run.key}/claim.json"}
    record = json.loads(s3.get_object(**location)["Body"].read())
    record["result"]["files"][0]["link"] = "https://example.org/ended"
    s3.put_object(**location, Body=json.dumps(record))
    (renewed,) = runner.run(request, run=run).files
    assert runner.sent == []
    assert replace(renewed, link=file.link) == file
    assert download(renewed.link) == b"a"


def download(link: str | None) -> bytes:
    with urlopen(str(link)) as response:  # noqa: S310 - a URL of the embedded AWS
        return response.read()


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("call", ["executeCommand", "readFiles"])
def test_a_failure_after_the_code_ran_skips_files_and_keeps_the_result(
    runner: Runner, faults: FaultInjector, call: str, code: str
) -> None:
    faults.inject(Rule("error", call, code=code))
    result = runner.run(WRITES_A_LONGER_FILE)
    assert (result.stdout, result.exit_code, result.files) == ("ran", 0, ())
    assert [file.path for file in result.skipped] == [{"executeCommand": ".", "readFiles": "out.txt"}[call]]
    assert runner.sent.count("executeCode") == 1
    assert runner.sent[-1] == "stop"


@pytest.mark.parametrize(
    ("code", "error", "times"),
    [
        ("ThrottlingException", "Throttled", 3),
        ("ServiceQuotaExceededException", "QuotaExceeded", 1),
        ("ValidationException", "InvalidRequest", 1),
        ("AccessDeniedException", "AccessDenied", 1),
        ("InternalServerException", "SessionLost", 1),
    ],
)
def test_code_is_sent_again_only_after_a_throttle(
    runner: Runner, faults: FaultInjector, code: str, error: str, times: int
) -> None:
    faults.inject(Rule("error", "executeCode", code=code))
    with pytest.raises(RunError) as raised:
        runner.run(WRITES_A_FILE)
    assert type(raised.value).__name__ == error
    assert runner.sent == ["start", "writeFiles", *["executeCode"] * times, "stop"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", "Throttled"),
        ("AccessDeniedException", "AccessDenied"),
        ("InternalServerException", "NotStarted"),
    ],
)
def test_a_failure_before_the_code_is_reported_and_nothing_ran(
    runner: Runner, faults: FaultInjector, code: str, error: str
) -> None:
    faults.inject(Rule("error", "writeFiles", code=code))
    with pytest.raises(RunError) as raised:
        runner.run(WRITES_A_FILE)
    assert type(raised.value).__name__ == error
    assert "executeCode" not in runner.sent
    assert runner.sent[-1] == "stop"


def test_throttled_code_is_retried(runner: Runner, faults: FaultInjector) -> None:
    faults.inject(Rule("throttling", "executeCode", times=1))
    assert runner.run(WRITES_A_FILE).stdout == "ran"
    assert runner.sent.count("executeCode") == 2


@pytest.mark.parametrize("at", ["unanswered", "during", "after"])
def test_code_whose_response_is_lost_may_have_run_and_is_not_sent_again(
    runner: Runner, faults: FaultInjector, at: Any
) -> None:
    faults.inject(Rule("disconnect", "executeCode", at=at))
    with pytest.raises(SessionLost, match="may have run"):
        runner.run(WRITES_A_FILE)
    assert runner.sent == ["start", "writeFiles", "executeCode", "stop"]


def test_code_whose_session_dies_is_lost_and_was_sent_once(runner: Runner, faults: FaultInjector) -> None:
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2))
    with pytest.raises(SessionLost, match="may have run"):
        runner.run(RunCode(code="while True: pass"))
    assert runner.sent.count("executeCode") == 1


def test_a_session_that_cannot_be_stopped_is_reported_and_does_not_affect_the_result(
    product: Product, faults: FaultInjector
) -> None:
    runner = Runner(product)
    faults.inject(Rule("error", STOP, code="AccessDeniedException"))
    assert runner.run(RunCode(code="print(1)", session_timeout_seconds=60)).stdout == "1"
    (session_id,) = runner.not_stopped
    assert product.live_sessions() == [session_id]
    faults.clear()
    product.session.client("bedrock-agentcore").stop_code_interpreter_session(
        codeInterpreterIdentifier=next(iter(product.deployment.interpreters.values())), sessionId=session_id
    )


def test_code_that_outlasts_its_session_is_sent_once_and_interrupted_before(runner: Runner) -> None:
    with runner.open(300, lifetime_seconds=12) as session:
        result = session.run(Code("import time; print(1, flush=True); time.sleep(60)"))
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 124, "1")
    assert runner.sent == ["start", "executeCode", "executeCommand", "executeCommand", "stop"]


def test_code_that_outlasts_the_deadline_is_sent_once_and_interrupted_before(
    runner: Runner, short_run_seconds: int
) -> None:
    run, request = Run(str(uuid.uuid4())), RunCode(code="import time; print(1, flush=True); time.sleep(60)")
    result = runner.run(request, short_run_seconds, run)
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 124, "1")
    assert runner.sent == ["start", "executeCode", "executeCommand", "executeCommand", "stop"]
    assert runner.run(request, short_run_seconds, run) == result
    assert runner.sent == []


def test_a_program_that_times_out_fails_the_state_only_on_request(runner: Runner) -> None:
    run, code = Run(str(uuid.uuid4())), "print(1, flush=True)\nwhile True: pass"
    with pytest.raises(CodeFailed, match="the program timed out and was ended"):
        runner.run(RunCode(code=code, timeout_seconds=1, fail_on_error=True), run=run)
    task = runner.operations().start_command(StartCommand(code=code, timeout_seconds=1)).task
    until = time.monotonic() + 60
    while not (state := runner.operations().poll_command(PollCommand(task=task))).ended:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert (state.timed_out, state.exit_code) == (True, 124)
    assert (state.stdout + state.stderr).startswith("1")


def test_run_does_not_start_with_too_little_time_left(runner: Runner) -> None:
    with pytest.raises(NotStarted, match="at least 10 s are needed; this attempt sent no code"):
        runner.run(RunCode(code="1"), seconds=35)
    assert runner.sent == []


def test_code_is_not_sent_when_its_inputs_have_used_up_the_time(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("code_runner.operations.MIN_EXECUTION_SECONDS", 900)
    with pytest.raises(NotStarted, match="sending the code"):
        runner.run(WRITES_A_FILE)
    assert runner.sent == ["start", "writeFiles", "stop"]


def test_session_is_stopped_in_time_while_another_call_is_waiting(
    runner: Runner, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to S3 do not end at the deadline."""
    monkeypatch.setattr("code_runner.agentcore.live_sessions.STOP_GRACE_SECONDS", 0.5)
    with runner.open(0.5):
        until = time.monotonic() + 60
        while product.live_sessions() and time.monotonic() < until:
            time.sleep(0.1)
        assert runner.sent == ["start", "stop"]
        assert product.live_sessions() == []
    assert runner.sent == ["start", "stop", "stop"]


def test_an_interrupted_caller_leaves_no_session(runner: Runner) -> None:
    with pytest.raises(KeyboardInterrupt), runner.open(300) as session:
        assert runner.product.live_sessions() == [session.session_id]
        raise KeyboardInterrupt
    assert runner.sent == ["start", "stop"]


def test_files_beyond_the_limits_are_listed_but_not_read(runner: Runner) -> None:
    code = "import os\nfor n in range(12_000):\n    with open(f'{n:05}', 'wb') as f: f.truncate(100_000)\nprint('ran')"
    result = runner.run(RunCode(code=code), seconds=90)
    assert result.stdout == "ran"
    assert [file.path for file in result.files] == [f"{n:05}" for n in range(10)]
    assert result.manifest_uri is not None
    assert len(result.skipped) < 9_991
    assert runner.file_counts == [(10, 9_991)]  # the last row counts the files for which the result has no space


PROGRAMS: list[tuple[str, bytes | None, str]] = [
    ("inputs", None, "StorageError"),
    ("inputs", b"print('\xff')", "InvalidRequest"),
    ("runs", b"print(1)", "InvalidRequest"),
    ("inputs", b"#" * (MAX_CODE_BYTES + 1), "PayloadTooLarge"),
]


@pytest.mark.parametrize(
    ("folder", "data", "error"), PROGRAMS, ids=["missing", "not UTF-8", "outside inputs", "too large"]
)
def test_an_invalid_program_in_s3_is_rejected_and_starts_no_session(
    runner: Runner, folder: str, data: bytes | None, error: str
) -> None:
    source = runner.stored(folder, data)
    with pytest.raises(RunError, match=re.escape(source.uri)) as raised:
        runner.run(RunCode(code_s3_uri=source))
    assert type(raised.value).__name__ == error
    assert runner.sent == []


def test_a_program_can_be_read_from_s3(runner: Runner) -> None:
    source = runner.stored("inputs", "print('aus S3: ü')".encode())
    assert runner.run(RunCode(code_s3_uri=source)).stdout == "aus S3: ü"
