"""What is left of a session once it is over, however it ends: nothing that runs, no file, no control group."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.process import client, running_emulator
from tests.security.conftest import LIMITS, Attacker, hosting, one_user, processes_with, wait_until
from tests.security.speakers import SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.security.conftest import Host, User
    from tests.security.speakers import Speaker

SURVIVORS = {
    "python": """
import sys
stubborn = '''
import os, signal, sys, time
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, lambda *_: os.fork())  # each signal is answered by another process
while True:
    time.sleep(1)
'''
for detach in (False, True):
    if not os.fork():
        os.setsid()
        if detach and os.fork():
            os._exit(0)
        os.closerange(0, 64)
        os.execv(sys.executable, ['python', '-I', '-S', '-c', stubborn, 'MARK'])""",
    "shell": """
(setsid nohup sleep MARK >/dev/null 2>&1 &)
trap '' HUP INT TERM QUIT USR1 USR2 PIPE
setsid sh -c 'trap "sh -c \\"sleep MARK\\" &" TERM; while :; do sleep 1; done; : MARK' >/dev/null 2>&1 &""",
    "deno": """
const silent = { stdin: "null", stdout: "null", stderr: "null" };
new Deno.Command("setsid", { args: ["nohup", "sleep", "MARK"], ...silent }).spawn().unref();
const stubborn = "for (const one of ['SIGTERM', 'SIGINT', 'SIGHUP']) Deno.addSignalListener(one, () => {});" +
  "setInterval(() => {}, 1000);";
Deno.writeTextFileSync("/tmp/stubborn.js", stubborn);
new Deno.Command("deno", { args: ["run", "-A", "/tmp/stubborn.js", "MARK"], ...silent }).spawn().unref();
Deno.exit(0);""",
}


def start_survivors(attacker: Attacker, speaker: Speaker) -> str:
    """Leaves processes in a sandbox that try to outlive it. Returns a mark in their command lines."""
    mark = str(uuid.uuid4().int)[:12]
    said = speaker.said(attacker, SURVIVORS[speaker.name].replace("MARK", mark))
    assert said["exitCode"] == 0, said
    wait_until(lambda: len(processes_with(mark)) >= 2)
    return mark


def test_nothing_survives_a_stop(attackers: Callable[[], Attacker], speaker: Speaker) -> None:
    attacker = attackers()
    mark = start_survivors(attacker, speaker)
    attacker.stop()
    assert processes_with(mark) == []


def test_nothing_survives_the_end_of_a_sessions_time(host: Host, speaker: Speaker) -> None:
    data_plane = client("bedrock-agentcore", host.emulator.address, "us-east-1")
    attacker = Attacker(data_plane, sessionTimeoutSeconds=3)
    mark = start_survivors(attacker, speaker)
    wait_until(lambda: processes_with(mark) == [])
    with pytest.raises(ClientError, match="is not active"):
        attacker.python("1")


def test_nothing_survives_the_death_of_process_one(attackers: Callable[[], Attacker], speaker: Speaker) -> None:
    attacker = attackers()
    mark = start_survivors(attacker, speaker)
    os.kill(process_one_of(processes_with(mark)[0]), signal.SIGKILL)
    wait_until(lambda: processes_with(mark) == [])
    with pytest.raises(ClientError):
        attacker.python("1")


def process_one_of(process: int) -> int:
    """Returns the host's id of process 1 of the sandbox that a process is in."""
    status = Path(f"/proc/{process}/status").read_text()
    (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    while len(numbers) > 1 and numbers[-1] != "1":
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        status = Path(f"/proc/{parent}/status").read_text()
        (numbers,) = [line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")]
    return int(numbers[0])


STUBBORN_PROGRAMS = {
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


def test_nothing_of_a_call_survives_its_time_limit(user: User, agentcore_runtime: Path) -> None:
    mark = str(uuid.uuid4().int)[:12]
    with hosting(user, agentcore_runtime, "--call-seconds", "2", "--pool", "3") as host:
        attackers = {name: host.attacker() for name in STUBBORN_PROGRAMS}

        def run(name: str) -> dict[str, Any]:
            return SPEAKERS[name].said(attackers[name], STUBBORN_PROGRAMS[name].replace("MARK", mark))

        with ThreadPoolExecutor() as threads:
            for said in threads.map(run, attackers):
                assert "time limit of 2 s" in said["stderr"]
                assert "started" in said["stdout"] + said["stderr"]
        assert processes_with(mark) == []
        for attacker in attackers.values():
            assert attacker.shell("echo alive")["stdout"] == "alive\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_survives_the_emulator(user: User, agentcore_runtime: Path, number: signal.Signals) -> None:
    with hosting(user, agentcore_runtime, *LIMITS, "--pool", "3") as host:
        marks = [start_survivors(host.attacker(), speaker) for speaker in SPEAKERS.values()]
        process, state = host.process, host.state
        host.emulator.process.send_signal(number)
        host.emulator.process.wait()
        for mark in marks:
            wait_until(lambda mark=mark: processes_with(mark) == [])
        # A group goes only when the last of its processes has gone.
        wait_until(lambda: not any(file.read_text() for group in _groups_of(process) for file in group.glob("*.procs")))
        with hosting(user, agentcore_runtime, "--pool", "0", state=state):  # which sweeps what the first has left
            assert [path.name for path in state.glob(f"local-agentcore-{process}-*")] == []
            assert list(state.glob("local-agentcore-*"))  # its own
    assert _groups_of(process) == []


def _groups_of(emulator: int) -> list[Path]:
    return list(Path("/sys/fs/cgroup").rglob(f"local-agentcore-{emulator}-*"))


@one_user
def test_the_sweep_leaves_live_emulators_alone(host: Host, user: User, agentcore_runtime: Path) -> None:
    attacker = host.attacker()
    attacker.python("x = 1")
    with hosting(user, agentcore_runtime, "--pool", "0", state=host.state):
        pass
    assert attacker.python("print(x)")["stdout"] == "1"
    attacker.stop()
    again = host.attacker()
    assert again.lives()
    again.stop()


def test_many_sessions_at_once_leave_nothing(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--pool", "2") as emulator:
        failures: list[BaseException] = []

        def live() -> None:
            try:
                attacker = Attacker(client("bedrock-agentcore", emulator.address, "us-east-1"))
                assert attacker.python("print('alive')")["stdout"] == "alive"
                attacker.stop()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=live) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        names = [path.name for path in tmp_path.iterdir()]
        assert all(name == "log" or name.startswith("local-agentcore-") for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@one_user
def test_starting_and_stopping_leaves_nothing_in_the_emulator(user: User, agentcore_runtime: Path) -> None:
    with hosting(user, agentcore_runtime, *LIMITS, "--pool", "0") as host:
        data_plane = client("bedrock-agentcore", host.emulator.address, "us-east-1")
        descriptors, children = Path(f"/proc/{host.process}/fd"), f"/proc/{host.process}/task/{host.process}/children"

        def live() -> None:
            attacker = Attacker(data_plane)
            attacker.python("import subprocess; subprocess.Popen(['sleep', '1000'])")
            attacker.stop()

        live()
        before = len(list(descriptors.iterdir()))
        for _ in range(8):
            live()
        assert Path(children).read_text() == ""
        assert len(list(descriptors.iterdir())) <= before
