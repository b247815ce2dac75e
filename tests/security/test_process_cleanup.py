"""A session leaves no process, file or control group behind, however it ends."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_agentcore.process import client, running_emulator
from local_agentcore.sandbox.memory import descendants
from local_agentcore.sandbox.process_tree import ProcessTree
from tests.support.account import REGION
from tests.support.hostile_session import Attacker
from tests.support.languages import LANGUAGES, PYTHON
from tests.support.processes import processes_matching, wait_until
from tests.support.sandbox_host import LIMITS, USERS, each_user, running_host

if TYPE_CHECKING:
    from tests.support.sandbox_host import Host, User

PR_SET_CHILD_SUBREAPER = 36
SURVIVORS = """
import sys
stubborn = '''
import os, signal, sys, time
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, lambda *_: os.fork())
while True:
    time.sleep(1)
'''
for detach in (False, True):
    if not os.fork():
        os.setsid()
        if detach and os.fork():
            os._exit(0)
        os.closerange(0, 64)
        os.execv(sys.executable, ['python', '-I', '-S', '-c', stubborn, 'MARK'])"""
"""Starts processes in new sessions that fork on every signal. MARK is in their command lines."""


def start_survivors(attacker: Attacker) -> str:
    """Starts processes in a sandbox that try to outlive it. Returns a mark in their command lines."""
    mark = str(uuid.uuid4().int)[:12]
    content = PYTHON.run(attacker, SURVIVORS.replace("MARK", mark))
    assert content["exitCode"] == 0, content
    wait_until(lambda: len(processes_matching(mark)) >= 2)
    return mark


@each_user  # processes in the sandbox run as another user or as the emulator's user
def test_no_process_survives_a_stopped_session(attacker: Attacker) -> None:
    mark = start_survivors(attacker)
    attacker.stop()
    assert processes_matching(mark) == []


def test_no_process_survives_an_expired_session(host: Host) -> None:
    data_plane = client("bedrock-agentcore", host.emulator.address, REGION)
    attacker = Attacker(data_plane, sessionTimeoutSeconds=3)
    mark = start_survivors(attacker)
    wait_until(lambda: processes_matching(mark) == [])
    with pytest.raises(ClientError, match="is not active"):
        attacker.python("1")


@each_user
def test_no_process_survives_the_death_of_process_one(attacker: Attacker) -> None:
    mark = start_survivors(attacker)
    os.kill(process_one_of(processes_matching(mark)[0]), signal.SIGKILL)
    wait_until(lambda: processes_matching(mark) == [])
    with pytest.raises(ClientError):
        attacker.python("1")


def process_one_of(process: int) -> int:
    """Returns the id on the host of process 1 of the sandbox that contains a process."""
    status = Path(f"/proc/{process}/status").read_text()
    (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    while len(numbers) > 1 and numbers[-1] != "1":
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        status = Path(f"/proc/{parent}/status").read_text()
        (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    return int(numbers[0])


SIGNAL_IGNORING_PROGRAMS = {
    "python": """
print('started', flush=True)
while True:
    try:
        subprocess.run(['sleep', 'MARK'])
    except KeyboardInterrupt:
        pass""",
    "shell": "echo started; trap '' HUP INT TERM QUIT; while :; do sleep MARK; done",
    "deno": """
for (const one of ["SIGTERM", "SIGINT", "SIGHUP"]) Deno.addSignalListener(one, () => {});
console.log("started");
for (;;) await new Deno.Command("sleep", { args: ["MARK"] }).output();""",
}


def test_no_process_of_a_call_survives_its_time_limit(user: User, agentcore_runtime: Path) -> None:
    mark = str(uuid.uuid4().int)[:12]
    with running_host(user, agentcore_runtime, "--call-seconds", "2", "--pool", "3") as host:
        attackers = {name: host.new_attacker() for name in SIGNAL_IGNORING_PROGRAMS}

        def run(name: str) -> dict[str, Any]:
            return LANGUAGES[name].run(attackers[name], SIGNAL_IGNORING_PROGRAMS[name].replace("MARK", mark))

        with ThreadPoolExecutor() as threads:
            for content in threads.map(run, attackers):
                assert "time limit of 2 s" in content["stderr"]
                assert "started" in content["stdout"] + content["stderr"]
        assert processes_matching(mark) == []
        for attacker in attackers.values():
            assert attacker.shell("echo alive")["stdout"] == "alive\r\n"


END_SIGNALS = [
    *((USERS[0], signal.SIGTERM), (USERS[0], signal.SIGINT)),
    *((user, signal.SIGKILL) for user in USERS),  # no clean-up: an ordinary user has no control groups to sweep
]


@pytest.mark.parametrize(("user", "number"), END_SIGNALS, ids=lambda value: value.name)
def test_no_process_survives_the_emulator(user: User, agentcore_runtime: Path, number: signal.Signals) -> None:
    with running_host(user, agentcore_runtime, *LIMITS, "--pool", "1") as host:
        mark = start_survivors(host.new_attacker())
        process, state = host.process, host.state
        host.emulator.process.send_signal(number)
        host.emulator.process.wait()
        wait_until(lambda: processes_matching(mark) == [])
        # A control group can be removed only after its last process has ended.
        wait_until(lambda: not any(file.read_text() for group in _groups_of(process) for file in group.glob("*.procs")))
        with running_host(user, agentcore_runtime, "--pool", "0", state=state):  # sweeps what the first emulator left
            assert [path.name for path in state.glob(f"local-agentcore-{process}-*")] == []
            assert list(state.glob("local-agentcore-*"))  # of the second emulator
    assert _groups_of(process) == []


def _groups_of(emulator: int) -> list[Path]:
    return list(Path("/sys/fs/cgroup").rglob(f"local-agentcore-{emulator}-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create a PID namespace")
def test_sweep_keeps_files_and_groups_of_emulators_in_other_pid_namespaces(host: Host, agentcore_runtime: Path) -> None:
    attacker = host.new_attacker()
    attacker.python("x = 1")
    command = [
        *("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "local_agentcore", "serve"),
        *("--port", "0", "--pool", "0", "--until-end-of-input"),
        *("--runtime", str(agentcore_runtime), "--state", str(host.state)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        ready = next(line for line in other.stdout if line.startswith("Ready"))
        assert "in sandboxes" in ready  # it has removed what killed emulators left
        other.stdin.close()
    assert attacker.python("print(x)")["stdout"] == "1"
    attacker.stop()
    assert host.new_attacker().is_responsive()


def test_stop_while_sessions_start_leaves_no_process(agentcore_runtime: Path, tmp_path: Path) -> None:
    """Orphans become children of this process, which can therefore see them."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        with running_emulator(agentcore_runtime, tmp_path, "--pool", "3", "--calls-per-second", "0") as emulator:
            before = set(descendants(os.getpid())) - set(descendants(emulator.process.pid))
            data_plane = client("bedrock-agentcore", emulator.address, REGION)

            def start(_: int) -> None:
                with suppress(BotoCoreError, ClientError):
                    Attacker(data_plane)

            with ThreadPoolExecutor(6) as threads:
                for number in range(6):
                    threads.submit(start, number)
                wait_until(lambda: len(set(descendants(emulator.process.pid))) > 4)
                emulator.process.terminate()
                emulator.process.wait()
                assert {pid for pid in set(descendants(os.getpid())) - before if is_running(pid)} == set()
        assert list(tmp_path.glob("local-agentcore-*")) == []
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_kill_of_a_starting_sandbox_leaves_no_child_of_bubblewrap() -> None:
    """Kills bubblewrap at different times of its start. Its child must not wait for it forever."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    options = "--unshare-user --unshare-pid --as-pid-1 --new-session --ro-bind / / --proc /proc sleep 60"
    before = set(descendants(os.getpid()))

    async def kill_after(seconds: float) -> None:
        process = subprocess.Popen(["bwrap", *options.split()], start_new_session=True, stderr=subprocess.DEVNULL)
        tree = ProcessTree(process)
        await asyncio.sleep(seconds)
        await tree.end()

    async def kill_all() -> None:
        for number in range(40):
            await kill_after(number * 0.0001)

    try:
        asyncio.run(kill_all())
        assert {pid for pid in set(descendants(os.getpid())) - before if is_running(pid)} == set()
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def is_running(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_sweep_keeps_files_and_groups_of_live_emulators(host: Host, user: User, agentcore_runtime: Path) -> None:
    attacker = host.new_attacker()
    attacker.python("x = 1")
    with running_host(user, agentcore_runtime, "--pool", "0", state=host.state):
        pass
    assert attacker.python("print(x)")["stdout"] == "1"
    attacker.stop()
    other = host.new_attacker()
    assert other.is_responsive()
    other.stop()


def test_parallel_sessions_leave_no_files(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--pool", "2") as emulator:
        failures: list[BaseException] = []

        def run_session() -> None:
            try:
                attacker = Attacker(client("bedrock-agentcore", emulator.address, REGION))
                assert attacker.python("print('alive')")["stdout"] == "alive"
                attacker.stop()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run_session) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        names = [path.name for path in tmp_path.iterdir()]
        assert all(name == "log" or name.startswith("local-agentcore-") for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_sessions_leave_no_descriptors_or_children_in_the_emulator(user: User, agentcore_runtime: Path) -> None:
    with running_host(user, agentcore_runtime, *LIMITS, "--pool", "0") as host:
        data_plane = client("bedrock-agentcore", host.emulator.address, REGION)
        descriptors, children = Path(f"/proc/{host.process}/fd"), f"/proc/{host.process}/task/{host.process}/children"

        def run_session() -> None:
            attacker = Attacker(data_plane)
            attacker.python("import subprocess; subprocess.Popen(['sleep', '1000'])")
            attacker.stop()

        run_session()
        before = len(list(descriptors.iterdir()))
        for _ in range(8):
            run_session()
        assert Path(children).read_text() == ""
        assert len(list(descriptors.iterdir())) <= before
