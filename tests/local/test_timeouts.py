"""A timeout is a result: the program's output and files so far, for code and commands in all languages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from code_runner import program_timeout, started_commands
from code_runner.agentcore import boto_clients
from code_runner.agentcore.alarms import ALARMS, Alarm
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.programs import Code, Command
from code_runner.sandbox_scripts.runner import MAX_ARGUMENT_BYTES
from code_runner.session import CodeSession, open_session, start_session
from local_agentcore.faults import Rule
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.files import NO_OUTPUTS, Outputs
from tests.support.account import REGION
from tests.support.processes import wait_until
from tests.support.recording_clients import RecordingClients

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.admin_client import FaultInjector
    from sandpiper_contract.results import CommandState, RunResult

PATIENCE_SECONDS = 60
EVENT = "provide-client-params.bedrock-agentcore.InvokeCodeInterpreter"
TICK_IN_PYTHON = (
    "import time\nwhile True:\n    print('tick')\n    open('left.txt', 'a').write('x')\n    time.sleep(0.1)"
)
IGNORE_INTERRUPTS = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
PROGRAMS = {
    "python": Code(TICK_IN_PYTHON),
    "javascript in deno": Code(
        "setInterval(() => { console.log('tick'); Deno.writeTextFileSync('left.txt', 'x', {append: true}) }, 100)",
        "javascript",
        "deno",
    ),
    "javascript in node": Code(
        "setInterval(() => { console.log('tick'); require('fs').appendFileSync('left.txt', 'x') }, 100)",
        "javascript",
        "nodejs",
    ),
    "javascript with another title": Code(
        "process.title = 'x'\nconsole.log('tick')\nrequire('fs').writeFileSync('left.txt', 'x')\nwhile (true) {}",
        "javascript",
        "nodejs",
    ),
    "typescript in deno": Code(
        "const word: string = 'tick'\nconsole.log(word)\nDeno.writeTextFileSync('left.txt', 'x')\nwhile (true) {}",
        "typescript",
        "deno",
    ),
    "typescript in node": Code(
        "import * as fs from 'fs'\nconst word: string = 'tick'\nconsole.log(word)\nfs.writeFileSync('left.txt', 'x')\n"
        "while (true) {}",
        "typescript",
        "nodejs",
    ),
    "command": Command("""while true; do echo 'tick' "it's" ; echo x >> left.txt; sleep 0.1; done"""),
}


@pytest.fixture(scope="module")
def clients(agentcore_endpoint: str) -> Generator[AwsClients]:
    """Clients of the emulator."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": agentcore_endpoint,
            "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": agentcore_endpoint,  # the embedded AWS of other modules sets it
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            patch.setenv(name, value)
        clients = AwsClients()
        clients.warm_up()
        yield clients


@pytest.fixture(scope="module")
def session(clients: AwsClients) -> Generator[CodeSession]:
    """An open session that the tests share."""
    session = start_session(clients, MANAGED_INTERPRETER, timeout_seconds=600)
    yield session
    session.close_session()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a slow machine respond later than the service."""
    for name in ("RESPONSE_SECONDS", "INTERRUPT_CALL_SECONDS", "MAX_LATENCY_SECONDS"):
        monkeypatch.setattr(program_timeout, name, 2 * PATIENCE_SECONDS)


@pytest.fixture
def timeout_after_start(session: CodeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays the timeout of code until it has written `left.txt`, because a slow machine starts it late."""
    session.run(Command("rm -f left.txt"))

    def is_started() -> bool:
        return any(file.name == "left.txt" for file in session.client.list_files())

    class AlarmsAfterStart:
        def call_after(self, seconds: float, function: Callable[[], object]) -> Alarm:
            return ALARMS.call_after(seconds, lambda: (wait_until(is_started), function()))

    monkeypatch.setattr(program_timeout, "ALARMS", AlarmsAfterStart())


def output(result: RunResult | CommandState) -> str:
    return result.stdout + result.stderr


def paths(result: RunResult | CommandState) -> list[str]:
    return [file.path for file in result.files]


def until_ended(session: CodeSession, task_id: str) -> CommandState:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (state := session.poll_command(task_id)).ended:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return state


def processes(session: CodeSession, name: str) -> str:
    """Returns the command lines that contain a name. The pattern does not match its own shell."""
    pattern = f"[{name[0]}]{name[1:]}"
    return session.client.execute_command(Command(f"pgrep -af '{pattern}' || true")).stdout


@pytest.mark.usefixtures("timeout_after_start")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_that_times_out_has_output_and_files_so_far(session: CodeSession, program: Code | Command) -> None:
    session.mark_files_seen()
    result = session.run(program, timeout_seconds=2)
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert "tick" in output(result)
    assert paths(result) == ["left.txt"]
    assert result.execution_time_ms >= 2_000
    session.client.remove_files(["left.txt"])


@pytest.mark.usefixtures("timeout_after_start")
def test_variables_remain_after_a_timeout_and_the_next_program_is_not_interrupted(
    session: CodeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_timeout, "GRACE_SECONDS", PATIENCE_SECONDS)
    code = "kept = 41\nprint('before')\nopen('left.txt', 'w').close()\nwhile True: pass"
    result = session.run(Code(code), timeout_seconds=1)
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 124, "before")
    assert "KeyboardInterrupt" in result.stderr
    later = session.run(Code("import time\ntime.sleep(0.5)\nprint(kept + 1)"), timeout_seconds=30)
    assert (later.timed_out, later.exit_code, later.stdout) == (False, 0, "42")


def test_a_program_that_ends_in_time_needs_no_other_call(clients: AwsClients) -> None:
    tools: list[str] = []

    def watch(client: Any) -> Any:
        client.meta.events.register_first(EVENT, record, unique_id="watch")
        return client

    def record(params: Any, **_: object) -> None:
        tools.append(params["name"])

    with open_session(RecordingClients(clients, watch), timeout_seconds=60) as session:
        for program in (Code("print(1)"), Command("echo 1")):
            assert session.run(program, outputs=NO_OUTPUTS, timeout_seconds=30).stdout.strip() == "1"
    assert tools == ["executeCode", "executeCommand"]


@pytest.mark.usefixtures("timeout_after_start")
@pytest.mark.parametrize(
    "code",
    [
        IGNORE_INTERRUPTS + "print('tick', flush=True)\nopen('left.txt', 'w').write('x')\nwhile True: pass",
        "import time\nprint('tick', flush=True)\nopen('left.txt', 'w').write('x')\nwhile True:\n    try:\n"
        "        time.sleep(0.1)\n    except KeyboardInterrupt:\n        pass",
    ],
    ids=["ignored", "caught"],
)
def test_a_program_that_cannot_be_interrupted_is_ended_and_returns_its_files(session: CodeSession, code: str) -> None:
    session.mark_files_seen()
    result = session.run(Code(code), timeout_seconds=1)
    assert (result.timed_out, result.exit_code, paths(result)) == (True, 124, ["left.txt"])
    assert "tick" in result.stdout
    assert session.run(Code("print(6 * 7)")).stdout == "42"


def test_a_command_that_ignores_signals_is_ended_with_its_processes(session: CodeSession) -> None:
    command = "trap '' TERM INT; echo tick; sleep 601 & (trap '' TERM; sleep 602) & wait; sleep 603"
    result = session.run(Command(command), timeout_seconds=1)
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert "tick" in output(result)
    assert processes(session, "sleep 60") == ""


@pytest.mark.usefixtures("timeout_after_start")
def test_children_of_code_end_with_it_and_keep_no_call_waiting(session: CodeSession) -> None:
    code = (
        "import os, subprocess\nprint('tick')\nsubprocess.Popen(['sleep', '611'])\n"
        "os.system('touch left.txt; sleep 612')\nprint('no')"
    )
    result = session.run(Code(code), timeout_seconds=1)
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert "tick" in result.stdout
    assert processes(session, "sleep 61") == ""


def test_a_command_keeps_its_own_exit_code_text_and_background_children(session: CodeSession) -> None:
    for code in (0, 3, 124, 137):
        result = session.run(Command(f"exit {code}"), timeout_seconds=30)
        assert (result.exit_code, result.timed_out) == (code, False)
    text = (
        """printf '%s|' "$0" 'it'"'"'s' "a  b" $((6 * 7)) "${x:-\\$y}" `echo z`; [[ x == x ]] && cat <<'E'\n'"$0"\nE"""
    )
    assert session.run(Command(text), timeout_seconds=30).stdout == "/bin/sh|it's|a  b|42|$y|z|'\"$0\"\r\n"
    started = time.monotonic()
    result = session.run(Command("sleep 621 & echo started"), timeout_seconds=30)
    assert (result.stdout, result.timed_out) == ("started\r\n", False)
    assert time.monotonic() - started < 30
    assert "sleep 621" in processes(session, "sleep 621")
    session.run(Command("pkill -f '[s]leep 621'"))


def test_a_command_of_the_maximum_size_runs_with_a_timeout(session: CodeSession) -> None:
    text = "echo " + "'" * 2 + "x" * (MAX_ARGUMENT_BYTES - 7)
    assert len(session.run(Command(text), timeout_seconds=30).stdout) == len(text) - 7 + 2


def test_a_program_may_run_until_its_session_has_only_the_time_for_its_files(clients: AwsClients) -> None:
    for program in (PROGRAMS["python"], PROGRAMS["command"]):
        with open_session(clients, timeout_seconds=12) as session:
            result = session.run(program)
        assert (result.timed_out, result.exit_code, paths(result)) == (True, 124, ["left.txt"])
        assert 5_000 < result.execution_time_ms < 12_000
        assert "tick" in output(result)


@pytest.mark.usefixtures("timeout_after_start")
def test_output_that_exceeds_a_response_does_not_prevent_the_result(session: CodeSession) -> None:
    session.mark_files_seen()
    code = "open('left.txt', 'w').write('x')\nwhile True: print('x' * 1_000_000)"
    result = session.run(Code(code), timeout_seconds=2)
    assert (result.timed_out, result.exit_code, paths(result)) == (True, 124, ["left.txt"])
    assert "bytes omitted" in result.stdout


def test_a_call_that_is_not_answered_is_abandoned(
    clients: AwsClients, agentcore_faults: FaultInjector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt fails, so the program continues."""
    monkeypatch.setattr(program_timeout, "RESPONSE_SECONDS", 2)
    monkeypatch.setattr(program_timeout, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(boto_clients, "READ_TIMEOUT_STEP_SECONDS", 2)
    with open_session(clients, timeout_seconds=60) as session:
        session.run(Code("import matplotlib.pyplot as plt\nplt.plot([1])"), outputs=NO_OUTPUTS)
        agentcore_faults.inject(Rule("error", "executeCommand", code="AccessDeniedException", times=2))
        code = "open('left.txt', 'w').write('x')\nwhile True: pass"
        result = session.run(Code(code), timeout_seconds=1, outputs=Outputs(figures=True))
    assert (result.timed_out, result.exit_code, paths(result)) == (True, 124, ["left.txt"])
    assert "no response" in result.stderr


@pytest.mark.parametrize("seconds", [0, 841, 1.5, "5", True], ids=str)
def test_an_invalid_timeout_is_rejected_before_the_program_is_sent(session: CodeSession, seconds: Any) -> None:
    message = "allowed: a whole number of seconds from 1 to 840"
    with pytest.raises(InvalidRequest, match=message):
        session.run(Code("open('sent.txt', 'w')"), timeout_seconds=seconds)
    assert [file for file in session.client.list_files() if file.name == "sent.txt"] == []


def test_a_running_command_has_its_last_lines_and_a_stopped_one_its_output(session: CodeSession) -> None:
    session.mark_files_seen()
    task = session.start(Command("echo first; seq -f 'line %.0f ü' 20000; touch left.txt; echo last; exec sleep 600"))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (state := session.poll_command(task.task_id)).stdout.endswith("last\n"):
        assert time.monotonic() < deadline
        assert not state.ended
        time.sleep(0.1)
    first, *_, last = state.stdout.splitlines()
    assert (first[:5], first[-1], last) == ("line ", "ü", "last")
    assert 32_000 < len(state.stdout.encode()) <= started_commands.RUNNING_OUTPUT_BYTES
    assert state.exit_code is None
    everything = session.client.execute_command(Command(f"cat {state.stdout_path}")).stdout
    assert everything.startswith("first\r\nline 1 ü\r\n")

    stopped = session.stop_command(task.task_id)
    assert (stopped.status, stopped.ended, stopped.timed_out, paths(stopped)) == ("canceled", True, False, ["left.txt"])
    assert stopped.stdout == everything.replace("\r\n", "\n")


def test_a_started_command_that_times_out_is_ended_with_its_processes(session: CodeSession) -> None:
    session.mark_files_seen()
    command = "trap '' TERM; sleep 631 & echo tick; echo x > left.txt; sleep 632; sleep 633"
    task = session.start(Command(command), timeout_seconds=1)
    state = until_ended(session, task.task_id)
    assert (state.status, state.timed_out, state.exit_code, paths(state)) == ("failed", True, 124, ["left.txt"])
    assert "tick" in output(state)
    assert processes(session, "sleep 63") == ""


def test_a_started_program_that_times_out_returns_its_output(session: CodeSession) -> None:
    task = session.start(
        Code("import time\nfor n in range(600):\n    print(n)\n    time.sleep(0.1)"), timeout_seconds=1
    )
    state = until_ended(session, task.task_id)
    assert (state.timed_out, state.exit_code) == (True, 124)
    assert output(state).startswith("0\r\n1\r\n")


def test_a_started_command_is_the_same_with_its_output_kept(session: CodeSession) -> None:
    program = "env | sort; ulimit -a; umask; pwd; test -t 1 && stty size < /dev/stdout; echo $0; echo err >&2; exit 124"
    state = until_ended(session, session.start(Command(program)).task_id)
    plain = session.client.start_command_execution(Command(program))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (expected := session.client.get_task(plain.task_id)).running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (state.stdout, state.stderr) == (expected.stdout, expected.stderr)
    assert (state.exit_code, state.timed_out, state.status) == (124, False, "failed")


def test_kept_output_is_bounded(session: CodeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(started_commands, "LOG_BYTES", 500_000)
    task = session.start(Command("yes 0123456789 | head -c 2000000; echo last; sleep 600"))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (state := session.poll_command(task.task_id)).stdout.endswith("last\n"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    folder = str(state.stdout_path).rpartition("/")[0]
    kept = session.client.execute_command(Command(f"cat {folder}/* | wc -c")).stdout
    assert started_commands.LOG_BYTES <= int(kept) <= 2 * started_commands.LOG_BYTES
    session.stop_command(task.task_id)
