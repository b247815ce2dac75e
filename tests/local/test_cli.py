"""The commands as people type them, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_aws import record
from local_aws.settings import StateDirectory

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.local.conftest import Product

COMMAND = Path(sys.executable).parent / "sandpiper"
PROJECT = Path(__file__).resolve().parents[2]


def sandpiper(
    *arguments: str | Path, environment: dict[str, str] | None = None, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, "COLUMNS": "400", **(environment or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT,
    )


@pytest.fixture
def state(tmp_path: Path) -> Generator[Path]:
    yield tmp_path
    sandpiper("local", "stop", "--state", tmp_path)


def processes_below(pid: int) -> set[int]:
    below = set[int]()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            below |= {child} | processes_below(child)
    return below


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if record.process_start(pid) is not None}


def wait_until_gone(pids: set[int]) -> None:
    end = time.monotonic() + 20
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pids)


def test_start_env_status_and_stop(state: Path) -> None:
    started = sandpiper("local", "start", "--state", state)
    assert started.returncode == 0, started.stderr
    assert "ready after" in started.stderr
    running = record.find(StateDirectory(state))
    assert running is not None
    parts = processes_below(running.pid)

    again = sandpiper("local", "start", "--state", state)
    assert (again.returncode, again.stderr) == (0, f"it runs already: {running.url}, process {running.pid}\n")

    shell = f'eval "$({COMMAND} local env --state {state})" && {sys.executable} -c "{WHO_AM_I}"'
    who = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert who.stdout == "arn:aws:iam::123456789012:root\n"

    status = json.loads(sandpiper("local", "status", "--json", "--state", state).stdout)
    assert status["running"] is True
    assert status["agentcore"]["sandbox"]["available"] is True
    assert "not a microVM" in sandpiper("local", "status", "--state", state).stderr

    assert sandpiper("local", "logs", "agentcore", "--state", state).stdout.strip()
    stopped = sandpiper("local", "stop", "--state", state)
    assert (stopped.returncode, stopped.stderr) == (0, "stopped\n")
    assert sandpiper("local", "stop", "--state", state).stderr == "nothing ran\n"
    assert sandpiper("local", "status", "--state", state).returncode == 1
    wait_until_gone(parts | {running.pid})
    assert not StateDirectory(state).running.exists()


WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


def test_two_starts_at_once_start_one(state: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        starts = [threads.submit(sandpiper, "local", "start", "--state", state) for _ in range(2)]
        said = sorted("it runs already" in start.result().stderr for start in starts)
    assert said == [False, True]


def listening_addresses(pid: int) -> set[str]:
    """IPv4 addresses that a process listens on, `other` for IPv6 (proc(5), net/tcp: state 0A, little-endian hex)."""
    links: list[str] = []
    with suppress(PermissionError):  # a sandbox, which hides from its own user and has a network of its own
        links += [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    sockets = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
    found = set[str]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in sockets:
                address = local.partition(":")[0]
                found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if table == "tcp" else "other")
    return found


def test_every_port_is_on_loopback(state: Path) -> None:
    assert sandpiper("local", "start", "--state", state).returncode == 0
    running = record.find(StateDirectory(state))
    assert running is not None
    ours = {address for pid in {running.pid} | processes_below(running.pid) for address in listening_addresses(pid)}
    assert ours == {"127.0.0.1"}


def test_a_killed_service_takes_its_parts_along_and_its_leavings_are_cleaned_up(state: Path) -> None:
    assert sandpiper("local", "start", "--state", state).returncode == 0
    first = record.find(StateDirectory(state))
    assert first is not None
    parts = processes_below(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    wait_until_gone(parts)
    assert sandpiper("local", "status", "--state", state).returncode == 1
    assert sandpiper("local", "start", "--state", state).returncode == 0
    second = record.find(StateDirectory(state))
    assert second is not None
    assert second.pid != first.pid


@pytest.mark.parametrize("option", ["--port", "--agentcore-port"])
def test_a_port_in_use_is_named_with_what_to_do(state: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = sandpiper("local", "start", "--state", state, option, str(port))
    assert started.returncode == 2
    assert started.stderr == (
        f"error: port {port} on 127.0.0.1 cannot be used (Address already in use): stop what uses it, "
        "or leave the port out and a free one is taken\n"
    )
    assert record.find(StateDirectory(state)) is None


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=1m none {tmp_path} && exec {COMMAND} local start --state {tmp_path}"
    started = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, env={**os.environ, "COLUMNS": "400"}
    )
    assert started.returncode == 2
    assert started.stderr == (
        f"error: 1 MiB are free in {tmp_path}, at least 300 are needed: "
        "free some, or choose another folder with --state\n"
    )


def test_without_bubblewrap_it_starts_and_says_that_no_code_can_run(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = tmp_path_factory.mktemp("bin")
    for tool in ("sh", "env"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    started = sandpiper("local", "start", "--state", state, environment={"PATH": str(tools)})
    assert started.returncode == 0, started.stderr
    assert "no code can run" in started.stderr
    assert "apt-get install bubblewrap" in started.stderr


def test_run_prints_what_the_program_printed_and_saves_its_files(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path)
    assert (run.returncode, run.stdout) == (0, "Report created\n"), run.stderr
    assert "claims.csv" in run.stderr
    assert f"s3://{product.place.bucket}/" in run.stderr
    assert (tmp_path / "claims.csv").stat().st_size == 65


def test_run_reads_standard_input_and_takes_files_along(product: Product, tmp_path: Path) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.bin"
    small.write_text("7")
    large.write_bytes(bytes(200_000))
    code = "import os; print(int(open('small.txt').read()) * os.path.getsize('large.bin'))"
    run = sandpiper("run", "-", "--input", small, "--input", large, "--out", tmp_path, text=code)
    assert (run.returncode, run.stdout) == (0, "1400000\n"), run.stderr
    assert product.live_sessions() == []


def test_run_ends_with_the_programs_exit_code_and_prints_json_when_asked(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "-", "--json", "--out", tmp_path, text="print('x'); raise SystemExit(5)")
    assert run.returncode == 1
    result = json.loads(run.stdout)
    assert (result["stdout"], result["exitCode"]) == ("x", 1)
    assert product.live_sessions() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-file.py"], "error: no-such-file.py: No such file or directory\n"),
        (["-"], "error: InvalidRequest: code is ''; allowed: a string that is not empty\n"),
        (
            ["examples/claims_total.py", "--session-timeout", "59"],
            "error: InvalidRequest: sessionTimeoutSeconds is 59; allowed: "
            "a whole number of seconds from 60 to 28,800\n",
        ),
        (
            ["examples/claims_total.py", "--language", "perl"],
            "error: InvalidRequest: language is 'perl'; allowed: python | javascript | typescript\n",
        ),
        (
            ["examples/claims_total.py", "--tenant", "nobody"],
            "error: the stack sandpiper-local-nobody is not deployed here: "
            "run `cdk deploy --all -c environment=local`\n",
        ),
        (["examples/claims_total.py", "--input", "gone.csv"], "error: --input gone.csv: No such file or directory\n"),
    ],
)
def test_run_says_in_one_message_what_was_wrong(product: Product, arguments: list[str], message: str) -> None:
    before = product.executions()
    run = sandpiper("run", *arguments, text="")
    assert (run.returncode, run.stdout, run.stderr) == (2, "", message)
    assert product.executions() == before


@pytest.mark.parametrize("command", [[], ["run"], ["demo"], ["local"], ["local", "start"], ["local", "env"]])
def test_help_is_there(command: list[str]) -> None:
    shown = sandpiper(*command, "--help")
    assert shown.returncode == 0
    assert "Usage: sandpiper" in shown.stdout


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [COMMAND, "demo", "--out", tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
    )
    record_file = StateDirectory(tmp_path / ".sandpiper" / "demo")
    end = time.monotonic() + 60
    while (running := record.find(record_file)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(1)
    pids = {running.pid} | processes_below(running.pid) | processes_below(demo.pid)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, output
    wait_until_gone(pids)
    assert not record_file.running.exists()
