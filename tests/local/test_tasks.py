"""Background commands: startCommandExecution, getTask and stopTask."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.emulator import Emulator
from local_agentcore.process import client, running_emulator
from local_agentcore.settings import Settings
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.agentcore_sessions import open_tools, tool_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.sandbox.host import TaskReport

    Invoke = Callable[..., dict[str, Any]]

TIMEOUT_SECONDS = 60.0


@pytest.fixture
def invoke(agentcore: Any) -> Generator[Invoke]:
    """Returns a function that calls a tool in a new session."""
    with open_tools(agentcore) as invoke:
        yield invoke


def start(invoke: Invoke, command: str) -> str:
    """Starts a task and returns its id."""
    identifier: str = invoke("startCommandExecution", command=command)["structuredContent"]["taskId"]
    return identifier


def wait_until_ended(invoke: Invoke, task: str) -> dict[str, Any]:
    """Waits until a task has ended and returns getTask's result."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        response = invoke("getTask", taskId=task)
        if response["structuredContent"]["taskStatus"] != "working":
            return response
        time.sleep(0.02)
    raise TimeoutError(task)


def test_a_task_runs_without_a_caller_and_its_id_is_a_uuid(invoke: Invoke) -> None:
    task = start(invoke, "until [ -e go ]; do sleep 0.01; done; echo finished")
    assert str(uuid.UUID(task)) == task
    assert invoke("getTask", taskId=task)["structuredContent"]["taskStatus"] == "working"
    invoke("executeCommand", command="touch go")
    response = wait_until_ended(invoke, task)
    assert response["structuredContent"].pop("executionTime") > 0
    assert response["structuredContent"] == {
        "taskStatus": "completed",
        "stdout": "finished\r\n",
        "stderr": "",
        "exitCode": 0,
    }
    assert response["isError"] is False


def test_a_task_that_fails_has_its_output_on_stderr(invoke: Invoke) -> None:
    response = wait_until_ended(invoke, start(invoke, "echo out; echo err >&2; exit 3"))
    content = response["structuredContent"]
    assert (content["taskStatus"], content["stdout"], content["stderr"]) == ("failed", "", "out\r\nerr\r\n")
    assert (content["exitCode"], response["isError"]) == (3, True)


def test_a_canceled_task_has_no_processes(invoke: Invoke) -> None:
    task = start(invoke, "trap '' TERM; touch begun; while true; do sleep 0.1; done")
    invoke("executeCommand", command="until [ -e begun ]; do sleep 0.01; done")
    count = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'touch [b]egun'"
    assert invoke("executeCommand", command=count)["structuredContent"]["stdout"] == "1\r\n"
    assert invoke("stopTask", taskId=task)["isError"] is False
    assert invoke("executeCommand", command=count)["structuredContent"]["stderr"] == "0\r\n"
    assert invoke("getTask", taskId=task)["structuredContent"] == {"taskStatus": "canceled"}
    assert "TaskStatus.CANCELED" in invoke("stopTask", taskId=task)["content"][0]["text"]


def test_an_unknown_task_id_is_a_tool_error(invoke: Invoke) -> None:
    for name in ("getTask", "stopTask"):
        response = invoke(name, taskId="570c94a7-db4a-4b6e-ad7d-45fc722a3aee")
        assert response["isError"]
        assert "570c94a7-db4a-4b6e-ad7d-45fc722a3aee" in response["content"][0]["text"]


def test_outputs_of_many_concurrent_tasks_do_not_mix(invoke: Invoke) -> None:
    tasks = [start(invoke, f"for i in $(seq 200); do echo {number}; done") for number in range(40)]
    for number, task in enumerate(tasks):
        assert wait_until_ended(invoke, task)["structuredContent"]["stdout"] == f"{number}\r\n" * 200


@pytest.fixture(scope="module")
def limited_client(agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    """Starts an emulator with low output limits and returns its client."""
    options = ("--output-mib", "1", "--task-output-mib", "2", "--task-seconds", "2", "--calls-per-second", "0")
    with running_emulator(agentcore_runtime, tmp_path_factory.mktemp("limited"), *options) as emulator:
        yield client("bedrock-agentcore", emulator.address, "us-east-1")


@pytest.fixture
def limited_session(limited_client: Any) -> Generator[Invoke]:
    """Returns a function that calls a tool in a new session of that emulator."""
    with open_tools(limited_client) as invoke:
        yield invoke


def test_output_is_limited_per_task_and_per_session(limited_session: Invoke) -> None:
    flood = "head -c 3M /dev/zero | tr '\\0' x"
    lengths: list[int] = []
    for _ in range(3):
        content = wait_until_ended(limited_session, start(limited_session, flood))["structuredContent"]
        lengths.append(len(content["stdout"]))
        assert "output limit" in content["stderr"]
    assert lengths == [1 << 20, 1 << 20, 0]


def test_a_task_ends_at_its_time_limit(limited_session: Invoke) -> None:
    content = wait_until_ended(limited_session, start(limited_session, "echo begun; sleep 600"))["structuredContent"]
    assert content["taskStatus"] == "failed"
    assert content["stderr"].splitlines() == ["begun", "The time limit of 2 s was reached and the code was stopped."]


def test_tasks_end_with_their_session(agentcore: Any) -> None:
    session = agentcore.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER)["sessionId"]
    mark = f"6{uuid.uuid4().int % 10**8}"
    start(tool_caller(agentcore, session), f"sleep {mark}")
    started_at = time.monotonic()
    while not sleeping(mark):  # the response comes before the process exists
        assert time.monotonic() - started_at < 60
        time.sleep(0.02)
    agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
    assert not sleeping(mark)


def sleeping(mark: str) -> bool:
    """Returns whether a process on this machine runs `sleep` with this argument."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"sleep\0{mark}\0".encode() == line.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_concurrent_calls_of_all_tools_complete_without_mixing(invoke: Invoke) -> None:
    problems: list[str] = []

    def expect(actual: object, expected: object) -> None:
        if actual != expected:
            problems.append(f"{actual!r} is not {expected!r}")

    def code(number: int, language: str, text: str) -> None:
        for turn in range(4):
            response = invoke("executeCode", language=language, code=text.replace("WORD", f"{number}-{turn}"))
            expect(response["structuredContent"]["stdout"], "\n".join([f"{number}-{turn}"] * 100))

    def command(number: int) -> None:
        for turn in range(8):
            response = invoke("executeCommand", command=f"for i in $(seq 100); do echo {number}-{turn}; done")
            expect(response["structuredContent"]["stdout"], f"{number}-{turn}\r\n" * 100)

    def task(number: int) -> None:
        for turn in range(4):
            response = wait_until_ended(invoke, start(invoke, f"for i in $(seq 100); do echo {number}-{turn}; done"))
            expect(response["structuredContent"]["stdout"], f"{number}-{turn}\r\n" * 100)

    def files(number: int) -> None:
        for turn in range(8):
            path = f"file-{number}"
            invoke("writeFiles", content=[{"path": path, "text": f"{number}-{turn}" * 10_000}])
            response = invoke("readFiles", paths=[path])
            expect(response["content"][0]["resource"]["text"], f"{number}-{turn}" * 10_000)

    python, javascript = "for _ in range(100): print('WORD')", "for (let i = 0; i < 100; i++) console.log('WORD')"
    jobs: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
    for number in range(2):
        jobs += [(code, (number, "python", python)), (code, (number, "javascript", javascript))]
        jobs += [(command, (number,)), (task, (number,)), (files, (number,))]
    threads = [threading.Thread(target=job, args=arguments, daemon=True) for job, arguments in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS * 2)
    assert not any(thread.is_alive() for thread in threads)
    assert problems == []


def test_tasks_and_files_survive_a_kernel_crash(invoke: Invoke) -> None:
    task = start(invoke, "until [ -e go ]; do sleep 0.01; done; echo finished")
    died = invoke("executeCode", language="python", code="open('go-on', 'w').close()\nimport os\nos._exit(7)")
    assert "its variables are lost, the files are kept" in died["structuredContent"]["stderr"]
    assert "exit code 7" in died["structuredContent"]["stderr"]
    for runtime, code in (
        ("deno", "Deno.kill(Deno.pid, 'SIGKILL')"),
        ("nodejs", "process.kill(process.pid, 'SIGKILL')"),
    ):
        killed = invoke("executeCode", language="javascript", runtime=runtime, code=code)
        assert (killed["structuredContent"]["exitCode"], killed["isError"]) == (137, True)
    assert invoke("getTask", taskId=task)["structuredContent"]["taskStatus"] == "working"
    invoke("executeCommand", command="mv go-on go")
    assert wait_until_ended(invoke, task)["structuredContent"]["stdout"] == "finished\r\n"


def test_a_session_at_its_process_limit_reports_errors_and_continues(invoke: Invoke) -> None:
    response: dict[str, Any] = {"isError": False}
    for _ in range(400):
        if response["isError"]:
            break
        response = invoke("startCommandExecution", command="exec sleep 600")
    assert "cannot be started: Resource temporarily unavailable" in response["content"][0]["text"]
    for name, arguments in (
        ("executeCommand", {"command": "echo 1"}),
        ("executeCode", {"language": "javascript", "code": "1"}),
        ("executeCode", {"language": "python", "code": "1", "clearContext": True}),
    ):
        rejected = invoke(name, **arguments)
        assert "cannot be started: Resource temporarily unavailable" in rejected["structuredContent"]["stderr"], (
            rejected
        )
        assert rejected["isError"]
    assert invoke("executeCode", language="python", code="print(2)")["structuredContent"]["stdout"] == "2"


IGNORES_SIGNALS = (
    "(trap '' INT TERM; while true; do echo >> alive; sleep 0.01; done) & until [ -e alive ]; do :; done; "
)


def still_writes(invoke: Invoke) -> bool:
    """Returns whether the process that ignores signals still writes."""
    command = "before=$(wc -l < alive); sleep 0.5; [ $(wc -l < alive) -gt $before ]"
    result: dict[str, Any] = invoke("executeCommand", command=command)
    return not result["isError"]


def test_canceling_a_task_ends_all_processes_of_its_shell(invoke: Invoke) -> None:
    task = start(invoke, f"{IGNORES_SIGNALS} wait")
    invoke("executeCommand", command="until [ -e alive ]; do sleep 0.01; done")
    assert still_writes(invoke)
    assert invoke("stopTask", taskId=task)["isError"] is False
    assert not still_writes(invoke)


def test_a_timed_out_command_leaves_no_process_but_a_finished_one_may(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--call-seconds", "2", "--pool", "0") as emulator:
        data: Any = client("bedrock-agentcore", emulator.address, "us-east-1")
        session = data.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER)["sessionId"]
        invoke = tool_caller(data, session)
        assert (
            "time limit" in invoke("executeCommand", command=f"{IGNORES_SIGNALS} wait")["structuredContent"]["stderr"]
        )
        assert not still_writes(invoke)
        assert invoke("executeCommand", command=f"rm alive; {IGNORES_SIGNALS}")["isError"] is False
        assert still_writes(invoke)


def test_output_of_canceled_tasks_does_not_count_against_the_limit(limited_session: Invoke) -> None:
    for number in range(3):
        task = start(limited_session, f"head -c 1M /dev/zero | tr '\\0' x; touch {number}; sleep 600")
        limited_session("executeCommand", command=f"until [ -e {number} ]; do sleep 0.01; done")
        assert limited_session("stopTask", taskId=task)["isError"] is False
    assert (
        wait_until_ended(limited_session, start(limited_session, "echo room"))["structuredContent"]["stdout"]
        == "room\r\n"
    )


def test_a_task_that_ends_just_before_its_stop_is_not_canceled(agentcore_runtime: Path, tmp_path: Path) -> None:
    async def live() -> None:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0))
        await emulator.open()
        try:
            started = await emulator.call(
                "StartCodeInterpreterSession", {"codeInterpreterIdentifier": MANAGED_INTERPRETER}
            )

            async def invoke(name: str, **arguments: Any) -> dict[str, Any]:
                call = {"codeInterpreterIdentifier": MANAGED_INTERPRETER, "sessionId": started["sessionId"]}
                response = await emulator.call("InvokeCodeInterpreter", {**call, "name": name, "arguments": arguments})
                result: dict[str, Any] = response["stream"][0]["result"]
                return result

            wait_for_file = "until [ -e go ]; do sleep 0.01; done; echo finished"
            task = (await invoke("startCommandExecution", command=wait_for_file))["structuredContent"]["taskId"]
            (session,) = emulator.sessions.live()
            query = session.sandbox.task

            async def query_and_let_it_end(identifier: str) -> TaskReport:
                session.sandbox.task = query
                report = await query(identifier)
                await invoke("executeCommand", command="touch go")
                while (await query(identifier)).state == "working":
                    await asyncio.sleep(0.01)
                return report

            session.sandbox.task = query_and_let_it_end
            rejected = await invoke("stopTask", taskId=task)
            assert rejected["content"][0]["text"].endswith("(current status: TaskStatus.COMPLETED)")
            assert (await invoke("getTask", taskId=task))["structuredContent"]["stdout"] == "finished\r\n"
        finally:
            await emulator.close()

    asyncio.run(live())
