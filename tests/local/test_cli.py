"""The commands, each run in a separate process."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import environment, loopback, process_tree, running_instance
from local_aws.settings import ACCOUNT, StateDirectory
from sandpiper_contract.results import RunResult
from tests.support.cli import COMMAND, sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.product import Product


@pytest.fixture
def state(tmp_path: Path) -> Generator[Path]:
    yield tmp_path
    sandpiper("local", "stop", "--state", tmp_path)


@pytest.fixture(scope="module")
def running_state(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """The state folder of a running embedded AWS, for tests that only read it."""
    state = tmp_path_factory.mktemp("running")
    assert sandpiper("local", "start", "--state", state, variables=FOREIGN).returncode == 0
    yield state
    sandpiper("local", "stop", "--state", state)


def processes_below(pid: int) -> set[int]:
    below = set[int]()
    with suppress(FileNotFoundError, ProcessLookupError):  # the process or one of its threads ends
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, task.read_text().split()):
                below |= {child} | processes_below(child)
    return below


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if process_tree.start_time(pid) is not None}


def wait_until_gone(pids: set[int]) -> None:
    end = time.monotonic() + 20
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(pids)


def test_start_env_status_and_stop(state: Path) -> None:
    started = sandpiper("local", "start", "--state", state)
    assert started.returncode == 0, started.stderr
    assert "ready after" in started.stderr
    running = running_instance.find(StateDirectory(state))
    assert running is not None
    components = processes_below(running.pid)

    again = sandpiper("local", "start", "--state", state)
    assert (again.returncode, again.stderr) == (0, f"already running: {running.url}, process {running.pid}\n")

    shell = f'eval "$({COMMAND} local env --state {state})" && {sys.executable} -c "{WHO_AM_I}"'
    identity = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert identity.stdout == "arn:aws:iam::123456789012:root\n"

    unset = subprocess.run(
        ["sh", "-c", f'eval "$({COMMAND} local env --state {state})"; eval "$({COMMAND} local env --unset)"; env'],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    assert "AWS_" not in unset.stdout

    status = json.loads(sandpiper("local", "status", "--json", "--state", state).stdout)
    assert status["running"] is True
    assert status["agentcore"]["sandbox"]["available"] is True
    assert "deployed resources and data are lost when it stops" in status["differs"]
    (models,) = (sentence for sentence in status["differs"] if "Bedrock" in sentence)
    assert answer_of_a_model(running).startswith(models.split("`")[1].partition(" …")[0])
    text = sandpiper("local", "status", "--state", state).stdout
    assert "not a microVM" in text
    assert [difference for difference in status["differs"] if difference not in text] == []

    assert sandpiper("local", "logs", "agentcore", "--state", state).stdout.strip()
    stopped = sandpiper("local", "stop", "--state", state)
    assert (stopped.returncode, stopped.stderr) == (0, stop_message(state))
    assert sandpiper("local", "status", "--state", state).returncode == 1
    wait_until_gone(components | {running.pid})
    assert not StateDirectory(state).running.exists()


def answer_of_a_model(running: running_instance.RunningInstance) -> str:
    """Returns the answer of the embedded AWS to a call of a Bedrock model."""
    session: Any = boto3.Session(running.access_key_id, running.secret_access_key, None, running.region)
    models = session.client("bedrock-runtime", endpoint_url=running.url)
    question = [{"role": "user", "content": [{"text": "Draw a chart."}]}]
    response = models.converse(modelId="anthropic.claude-sonnet-4-5-20250929-v1:0", messages=question)
    return response["output"]["message"]["content"][0]["text"]


WHO_AM_I = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


def test_the_version_is_printed() -> None:
    assert sandpiper("--version").stdout == f"{version('sandpiper')}\n"


CONNECT_TO_HOST = """
import socket, sys
try:
    print(socket.create_connection(("HOST", 5432), 5).recv(9))
except OSError:
    print("refused")
"""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[running_instance.RunningInstance, str]]:
    """Starts an embedded AWS with a host in VPCs and another one in the internet. Yields it and its second start."""
    state = tmp_path_factory.mktemp("hosts")
    with served(b"vpc") as vpc, served(b"public") as public:
        options = ("--vpc-host", f"db.vpc:5432=127.0.0.1:{vpc}", "--public-host", f"db.public:5432=127.0.0.1:{public}")
        started = sandpiper("local", "start", "--state", state, *options, "--public-hosts-only")
        assert started.returncode == 0, started.stderr
        again = sandpiper("local", "start", "--state", state, *options).stderr
        yield wait_for_record(StateDirectory(state)), again
        sandpiper("local", "stop", "--state", state)


@contextmanager
def served(text: bytes) -> Generator[int]:
    """Yields the port of a server that sends a text to each client."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(text)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("mode", ["VPC", "PUBLIC"])
def test_code_reaches_the_hosts_of_the_start_options(
    hosts: tuple[running_instance.RunningInstance, str], mode: str
) -> None:
    running, again = hosts
    assert "it runs with other options" in again
    own, other = ("vpc", "public") if mode == "VPC" else ("public", "vpc")
    with running_code(running, mode) as run:
        assert run(CONNECT_TO_HOST.replace("HOST", f"db.{own}")) == str(own.encode())
        assert run(CONNECT_TO_HOST.replace("HOST", f"db.{other}")) == "refused"


@contextmanager
def running_code(running: running_instance.RunningInstance, mode: str) -> Generator[Callable[[str], str]]:
    """Starts a session of an interpreter with a network mode. Yields a function that runs code and returns stdout."""
    session = boto3.Session(running.access_key_id, running.secret_access_key, None, running.region)
    control: Any = session.client("bedrock-agentcore-control", endpoint_url=running.agentcore_url)
    data: Any = session.client("bedrock-agentcore", endpoint_url=running.agentcore_url)
    vpc = {"vpcConfig": {"subnets": ["subnet-12345678"], "securityGroups": ["sg-12345678"]}} if mode == "VPC" else {}
    created = control.create_code_interpreter(name=f"of_{mode}", networkConfiguration={"networkMode": mode, **vpc})
    identifiers = {"codeInterpreterIdentifier": created["codeInterpreterId"]}
    identifiers["sessionId"] = data.start_code_interpreter_session(**identifiers)["sessionId"]

    def run(code: str) -> str:
        arguments = {"language": "python", "code": code}
        (event,) = data.invoke_code_interpreter(**identifiers, name="executeCode", arguments=arguments)["stream"]
        return event["result"]["structuredContent"]["stdout"]

    yield run
    data.stop_code_interpreter_session(**identifiers)


@pytest.mark.parametrize("option", ["--vpc-host", "--public-host"])
def test_invalid_host_option_is_rejected_with_the_expected_form(state: Path, option: str) -> None:
    result = sandpiper("local", "start", "--state", state, option, "db.internal")
    form = "NAME:PORT=HOST:PORT, for example db.internal:5432=127.0.0.1:5432"
    assert (result.returncode, result.stderr) == (2, f"error: {option}: db.internal is not of the form {form}\n")


def test_two_concurrent_starts_start_one_instance(state: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        starts = [threads.submit(sandpiper, "local", "start", "--state", state) for _ in range(2)]
        already_running = sorted("already running" in start.result().stderr for start in starts)
    assert already_running == [False, True]


def wait_for_record(directory: StateDirectory) -> running_instance.RunningInstance:
    end = time.monotonic() + 60
    while (running := running_instance.find(directory)) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return running


def services(state: Path) -> set[int]:
    """Returns the processes of services with this state directory, ready or not."""
    processes = set[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if b"local_aws.service" in arguments and str(state).encode() in arguments:
                processes.add(int(folder.name))
    return processes


def stop_message(state: Path) -> str:
    return f"stopped the embedded AWS in {state}/.sandpiper/local\n"


def test_stop_in_another_folder_stops_nothing_and_reports_the_folder(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "[red]elsewhere"
    other.mkdir()
    assert sandpiper("local", "start", cwd=state).returncode == 0
    result = sandpiper("local", "stop", cwd=other)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith(f"no embedded AWS runs in {other}/.sandpiper/local: nothing was stopped.")
    assert running_instance.find(StateDirectory(state)) is not None
    assert sandpiper("local", "stop", cwd=state).stderr == stop_message(state)
    other.rmdir()


def test_stop_leaves_the_state_folder_unchanged(state: Path) -> None:
    (state / "work").mkdir()
    (state / "work" / "thesis.txt").write_text("original")
    (state / "running.json").write_text("original too")
    state.chmod(0o755)
    assert sandpiper("local", "start", "--state", state).returncode == 0
    assert sandpiper("local", "stop", "--state", state).stderr == stop_message(state)
    assert (state / "work" / "thesis.txt").read_text() == "original"
    assert (state / "running.json").read_text() == "original too"
    assert state.stat().st_mode & 0o777 == 0o755
    assert {path.name for path in state.iterdir()} == {"work", "running.json", ".sandpiper"}
    assert StateDirectory(state).path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("command", ["start", "status", "stop", "env"])
def test_file_instead_of_the_state_folder_is_reported_with_the_remedy(tmp_path: Path, command: str) -> None:
    file = tmp_path / "file"
    file.touch()
    result = sandpiper("local", command, "--state", file)
    assert result.returncode == 2
    assert result.stderr == (f"error: {file} cannot be used: Not a directory; choose another folder with --state\n")


def test_status_reports_that_agentcore_does_not_respond(state: Path) -> None:
    pid = os.getpid()
    directory = StateDirectory(state)
    directory.path.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    started = process_tree.start_time(pid) or 0
    record = running_instance.RunningInstance(pid, started, url, url, "1", "us-east-1", "key", "secret", "token")
    with record.save(directory):
        result = sandpiper("local", "status", "--state", state)
    assert sandpiper("local", "status", "--state", state).returncode == 1  # the process that wrote it has ended
    directory.running.unlink()
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: AgentCore does not respond at {url} (")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_interrupted_start_leaves_no_process(state: Path, number: signal.Signals) -> None:
    starter = subprocess.Popen([COMMAND, "local", "start", "--state", state], stderr=subprocess.PIPE)
    end = time.monotonic() + 30
    while not (services_started := services(state)):
        assert time.monotonic() < end
        time.sleep(0.01)
    starter.send_signal(number)
    starter.communicate(timeout=60)
    assert starter.returncode == 128 + number
    wait_until_gone(services_started)
    assert not services(state)


@pytest.mark.parametrize("command", ["start", "stop"])
def test_service_of_a_killed_start_is_found_by_other_commands(state: Path, command: str) -> None:
    starter = subprocess.Popen([COMMAND, "local", "start", "--state", state], stderr=subprocess.PIPE)
    end = time.monotonic() + 30
    while not (services_started := services(state)):
        assert time.monotonic() < end
        time.sleep(0.01)
    starter.kill()
    starter.communicate(timeout=60)
    result = sandpiper("local", command, "--state", state)
    assert result.returncode == 0, result.stderr
    if command == "start":
        assert "already running" in result.stderr
        assert services(state) == services_started
    else:
        assert result.stderr == stop_message(state)
        assert not services(state)


BUSY = "import subprocess, time\ndef handler(event, context):\n    subprocess.Popen(['sleep', '600']); time.sleep(600)"


DETACHED = """
import subprocess, time
def handler(event, context):
    subprocess.Popen(['sh', '-c', 'setsid sleep 600 & exit'])
    time.sleep(600)
"""
"""A function whose process leaves the session and the process group of its worker."""


def start_with_a_busy_worker(state: Path, handler: str = BUSY) -> tuple[running_instance.RunningInstance, set[int]]:
    """Returns a running embedded AWS and all its processes, including a function that runs its handler."""
    assert sandpiper("local", "start", "--state", state).returncode == 0
    running = wait_for_record(StateDirectory(state))
    session = boto3.Session(running.access_key_id, running.secret_access_key, None, running.region)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", handler)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = session.client("iam", endpoint_url=running.url)
    role = iam.create_role(RoleName="busy", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    functions = session.client("lambda", endpoint_url=running.url)
    functions.create_function(
        FunctionName="busy",
        Runtime="python3.11",
        Handler="index.handler",
        Role=role,
        Timeout=900,
        Code={"ZipFile": archive.getvalue()},
    )
    functions.invoke(FunctionName="busy", InvocationType="Event")
    end = time.monotonic() + 30
    while not any(b"sleep\0" in command_of(pid) for pid in processes_below(running.pid)):
        assert time.monotonic() < end
        time.sleep(0.05)
    return running, {running.pid} | processes_below(running.pid)


def command_of(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_stop_while_sessions_start_leaves_no_process(state: Path) -> None:
    running, seen = start_with_a_busy_worker(state, DETACHED)
    session = boto3.Session(running.access_key_id, running.secret_access_key, None, running.region)
    data: Any = session.client(
        "bedrock-agentcore", endpoint_url=running.agentcore_url, config=Config(retries={"total_max_attempts": 1})
    )

    def start_session(_: int) -> str:
        try:
            return data.start_code_interpreter_session(codeInterpreterIdentifier="aws.codeinterpreter.v1")["sessionId"]
        except (BotoCoreError, ClientError) as error:
            return str(error)

    with ThreadPoolExecutor(8) as threads:
        starts = [threads.submit(start_session, number) for number in range(8)]
        end = time.monotonic() + 60
        while sum(b"launcher.py" in command_of(pid) or b"bwrap" in command_of(pid) for pid in seen) < 4:
            assert time.monotonic() < end
            seen |= processes_below(running.pid)
        stopping = threads.submit(sandpiper, "local", "stop", "--state", state)
        while not stopping.done():
            seen |= processes_below(running.pid)
        assert not alive(seen)
    assert stopping.result().stderr == stop_message(state)
    assert [start for start in starts if start.exception()] == []


IN_ANOTHER_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
"""Starts a command in a new PID namespace. Only root can do this without a user namespace."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create a PID namespace")
def test_commands_in_another_pid_namespace_find_the_running_instance(running_state: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [*IN_ANOTHER_NAMESPACE, COMMAND, "local", *map(str, arguments), "--state", str(running_state)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    running = running_instance.find(StateDirectory(running_state))
    assert running is not None
    assert run("start").stderr == f"already running: {running.url}, process {running.pid}\n"
    assert json.loads(run("status", "--json").stdout)["url"] == running.url
    stopped = run("stop")
    assert stopped.returncode == 2
    assert "runs in another PID namespace, such as that of a container, as process" in stopped.stderr
    assert running.is_alive()
    assert running_instance.find(StateDirectory(running_state)) == running


TEMPORARY = """
import sys, time
from pathlib import Path
from local_agentcore.process import running_emulator
from local_aws import control
from local_aws.settings import Runtimes, StateDirectory
with {} as running:
    print({}, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(
    ("context", "pid"),
    [
        ("control.temporary(StateDirectory(Path(sys.argv[1])))", "running.pid"),
        ("running_emulator(Runtimes.from_checkout().sandbox, Path(sys.argv[1]))", "running.process.pid"),
    ],
    ids=["embedded AWS", "emulator"],
)
def test_the_embedded_aws_of_tests_ends_when_the_test_run_is_killed(
    state: Path, context: str, pid: str, number: signal.Signals
) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", TEMPORARY.format(context, pid), state], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    service = int(starter.stdout.readline())
    services_started = {service} | processes_below(service)
    starter.send_signal(number)
    starter.communicate(timeout=60)
    assert starter.returncode == -number
    wait_until_gone(services_started)
    assert {path.name for path in state.iterdir()} <= {".sandpiper", "log"}


@pytest.mark.parametrize("ending", ["stop", "kill service", "kill MiniStack"])
def test_no_process_survives_the_end_of_the_embedded_aws(state: Path, ending: str) -> None:
    running, pids = start_with_a_busy_worker(state)
    if ending == "stop":
        assert sandpiper("local", "stop", "--state", state).stderr == stop_message(state)
        assert not StateDirectory(state).work.exists()
    elif ending == "kill service":
        os.kill(running.pid, signal.SIGKILL)
    else:
        (ministack,) = (pid for pid in pids if b"ministack/start.py" in command_of(pid))
        os.kill(ministack, signal.SIGKILL)
    wait_until_gone(pids)


FOREIGN = {
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_STS": "http://192.0.2.1",
    "AWS_PROFILE": "customer",
    "AWS_SESSION_TOKEN": "other",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "http_proxy": "http://192.0.2.1:3128",
    "HTTPS_PROXY": "http://192.0.2.1:3128",
}


def test_env_overrides_the_account_and_proxy_of_the_shell(running_state: Path) -> None:
    assert sandpiper("local", "status", "--state", running_state, variables=FOREIGN).returncode == 0
    shell = f'eval "$({COMMAND} local env --state {running_state})" && {sys.executable} -c "{WHO_AM_I}"'
    identity = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, env={**os.environ, **FOREIGN})
    assert identity.stdout == "arn:aws:iam::123456789012:root\n", identity.stderr


def test_env_keeps_other_variables() -> None:
    running = running_instance.RunningInstance(
        1, 1, "http://127.0.0.1:1", "http://127.0.0.1:2", "1", "us-east-1", "key", "secret", "token"
    )
    variables = {**FOREIGN, "HOME": "/home/me", "NO_PROXY": "intranet,localhost"}
    environment.apply(running, variables)
    assert variables["HOME"] == "/home/me"
    assert variables["NO_PROXY"] == variables["no_proxy"] == "intranet,localhost,127.0.0.1"
    assert not {"AWS_ENDPOINT_URL_STS", "AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(variables)
    assert variables["CDK_DISABLE_CLI_TELEMETRY"] == "true"
    again = dict(variables)
    environment.apply(running, again)
    assert again == variables


def listening_addresses(pid: int) -> set[str]:
    """Returns the IPv4 addresses that a process listens on, `other` for IPv6 (net/tcp of proc(5): state 0A)."""
    links: list[str] = []
    with suppress(PermissionError):  # a sandbox, which is hidden and has a separate network
        links += [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    sockets = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
    addresses = set[str]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and inode in sockets:
                address = local.partition(":")[0]
                addresses.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if table == "tcp" else "other")
    return addresses


def test_every_port_listens_on_loopback(running_state: Path) -> None:
    running = running_instance.find(StateDirectory(running_state))
    assert running is not None
    addresses = {
        address for pid in {running.pid} | processes_below(running.pid) for address in listening_addresses(pid)
    }
    assert addresses == {"127.0.0.1"}


def test_a_killed_service_ends_its_components_and_the_next_start_cleans_up(state: Path) -> None:
    assert sandpiper("local", "start", "--state", state).returncode == 0
    first = running_instance.find(StateDirectory(state))
    assert first is not None
    components = processes_below(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    wait_until_gone(components)
    assert sandpiper("local", "status", "--state", state).returncode == 1
    assert sandpiper("local", "start", "--state", state).returncode == 0
    second = running_instance.find(StateDirectory(state))
    assert second is not None
    assert second.pid != first.pid


@pytest.mark.parametrize("option", ["--port", "--agentcore-port"])
def test_port_in_use_is_reported_with_the_remedy(state: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = sandpiper("local", "start", "--state", state, option, str(port))
    assert started.returncode == 2
    assert started.stderr == (
        f"error: port {port} on 127.0.0.1 cannot be used (Address already in use): stop the process that uses it, "
        "or omit the option to use a free port\n"
    )
    assert running_instance.find(StateDirectory(state)) is None


def test_full_disk_is_reported_with_the_remedy(tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=1m none {tmp_path} && exec {COMMAND} local start --state {tmp_path}"
    started = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, env={**os.environ, "COLUMNS": "400"}
    )
    assert started.returncode == 2
    assert started.stderr == (
        f"error: {tmp_path} has 1 MiB of free space, but at least 300 MiB are needed: "
        "free some space, or choose another folder with --state\n"
    )


def test_without_bubblewrap_start_reports_that_no_code_can_run(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = tmp_path_factory.mktemp("bin")
    for tool in ("sh", "env"):
        executable = shutil.which(tool)
        assert executable is not None
        (tools / tool).symlink_to(executable)
    started = sandpiper("local", "start", "--state", state, variables={"PATH": str(tools)})
    assert started.returncode == 0, started.stderr
    assert "no code can run" in started.stderr
    assert "apt-get install bubblewrap" in started.stderr


def test_run_prints_the_output_of_the_program_and_saves_its_files(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path)
    assert (run.returncode, run.stdout) == (0, "Report created\n"), run.stderr
    assert "claims.csv" in run.stderr
    assert f"s3://{product.deployment.bucket}/" in run.stderr
    assert run.stderr.startswith(f"account 123456789012 at {os.environ['AWS_ENDPOINT_URL']}\n")
    assert (tmp_path / "claims.csv").stat().st_size == 65


def test_run_reads_standard_input_and_sends_input_files(product: Product, tmp_path: Path) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.bin"
    small.write_text("7")
    large.write_bytes(bytes(200_000))
    code = "import os; print(int(open('small.txt').read()) * os.path.getsize('large.bin'))"
    run = sandpiper("run", "-", "--input", small, "--input", large, "--out", tmp_path, text=code)
    assert (run.returncode, run.stdout) == (0, "1400000\n"), run.stderr
    assert product.live_sessions() == []


def test_run_prints_the_output_and_downloads_the_files_of_a_program_that_times_out(
    product: Product, tmp_path: Path
) -> None:
    code = "print('tick', flush=True)\nopen('left.txt', 'w').write('x')\nwhile True: pass"
    run = sandpiper("run", "-", "--timeout", "1", "--out", tmp_path, text=code)
    assert (run.returncode, run.stdout) == (124, "tick\n")
    assert "timed out; these are the output and files so far" in run.stderr
    assert (tmp_path / "left.txt").read_text() == "x"
    rejected = sandpiper("run", "-", "--timeout", "41", "--session-timeout", "60", text=code)
    assert "--timeout is 41; allowed: at most 40 seconds" in rejected.stderr
    assert product.live_sessions() == []


def test_run_exits_with_the_programs_exit_code_and_prints_json_on_request(product: Product, tmp_path: Path) -> None:
    run = sandpiper("run", "-", "--json", "--out", tmp_path, text="print('x'); raise SystemExit(5)")
    assert run.returncode == 1
    result = RunResult.from_json(json.loads(run.stdout))
    assert (result.stdout, result.exit_code) == ("x", 1)
    assert product.live_sessions() == []


def test_run_prints_its_result_also_when_files_cannot_be_saved(product: Product, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path / "out")
    assert (run.returncode, run.stdout) == (2, "Report created\n")
    assert f"s3://{product.deployment.bucket}/" in run.stderr
    assert f"error: {tmp_path}/out/claims.csv cannot be written: " in run.stderr


def test_run_keeps_existing_files_without_overwrite(product: Product, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("original")
    run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path)
    message = f"error: {tmp_path}/claims.csv exists already: choose another folder with --out, or add"
    assert (run.returncode, run.stdout) == (2, "Report created\n")
    assert f"{message} --overwrite\n" in run.stderr
    assert f"s3://{product.deployment.bucket}/" in run.stderr
    assert (tmp_path / "claims.csv").read_text() == "original"
    assert sandpiper("run", "examples/csv_report.py", "--out", tmp_path, "--overwrite").returncode == 0
    assert (tmp_path / "claims.csv").stat().st_size == 65


def test_run_replaces_the_files_of_earlier_runs_but_not_changed_ones(product: Product, tmp_path: Path) -> None:
    out, code = tmp_path / "out", "open('a.txt', 'w').write('{}')"
    for content in ("first", "second"):
        run = sandpiper("run", "-", "--out", out, text=code.format(content))
        assert (run.returncode, (out / "a.txt").read_text()) == (0, content), run.stderr
    (out / "a.txt").write_text("edited")
    run = sandpiper("run", "-", "--out", out, text=code.format("third"))
    assert (run.returncode, (out / "a.txt").read_text()) == (2, "edited")
    assert "exists already" in run.stderr
    assert product.live_sessions() == []


def test_run_uploads_a_folder_with_its_subfolders(product: Product, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    (folder / "e").mkdir(parents=True)
    (folder / "e" / "a.txt").write_text("a")
    (folder / "b.bin").write_bytes(bytes(1000))
    code = "import glob; print(sorted(glob.glob('{}/**', recursive=True)))"
    run = sandpiper("run", "-", "--no-outputs", "--input", f"{folder}/", text=code.format("d"))
    assert run.stdout == "['d/', 'd/b.bin', 'd/e', 'd/e/a.txt']\n", run.stderr
    (folder / "b.bin").write_bytes(bytes(200_000))
    run = sandpiper("run", "-", "--no-outputs", "--input", f"x/y={folder}", text=code.format("x/y"))
    assert run.stdout == "['x/y/', 'x/y/b.bin', 'x/y/e', 'x/y/e/a.txt']\n", run.stderr
    (folder / "link").symlink_to("/etc/hostname")
    run = sandpiper("run", "-", "--input", folder, text="1")
    assert (run.returncode, run.stderr) == (
        2,
        f"error: --input {folder}/link is a symbolic link; allowed: files and folders\n",
    )
    assert product.live_sessions() == []


@pytest.mark.usefixtures("product")
def test_run_shows_an_earlier_execution(tmp_path: Path) -> None:
    run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path / "one")
    (arn,) = re.findall(r"^execution (arn:aws:states:\S+)$", run.stderr, re.MULTILINE)
    again = sandpiper("run", "--show", arn, "--out", tmp_path / "two")
    assert (again.returncode, again.stdout) == (0, "Report created\n"), again.stderr
    assert (tmp_path / "two" / "claims.csv").read_bytes() == (tmp_path / "one" / "claims.csv").read_bytes()
    as_json = sandpiper("run", "--show", arn, "--json", "--out", tmp_path / "two")
    assert json.loads(as_json.stdout)["stdout"] == "Report created"
    assert f"execution {arn}\n" in as_json.stderr


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("execution", ["nothing", f"arn:aws:states:us-east-1:{ACCOUNT}:execution:none:none"])
def test_an_execution_that_does_not_exist_is_reported_with_the_allowed_values(execution: str) -> None:
    shown, stopped = sandpiper("run", "--show", execution), sandpiper("stop", execution)
    message = " is not an execution; allowed: the ARN of an execution of this account and Region, as"
    assert (shown.returncode, stopped.returncode) == (2, 2)
    assert f"error: '{execution}'{message}" in shown.stderr
    assert f"{execution}'{message}" in stopped.stderr


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("full", [True, False], ids=["full disk", "reader that has ended"])
def test_run_prints_the_execution_although_its_result_cannot_be_printed(full: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if full:
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    try:
        run = subprocess.run(
            [COMMAND, "run", "-", "--no-outputs"], input=b"print('x' * 9_000)", stdout=writer, stderr=subprocess.PIPE
        )
    finally:
        os.close(writer)
    assert run.returncode == 2
    (arn,) = re.findall(r"^execution (arn:aws:states:\S+)$", run.stderr.decode(), re.MULTILINE)
    assert sandpiper("run", "--show", arn).stdout == "x" * 9_000 + "\n"
    assert ("standard output cannot be written" in run.stderr.decode()) is full


@pytest.mark.usefixtures("product")
def test_run_replaces_characters_that_the_output_cannot_encode() -> None:
    run = subprocess.run(
        [str(COMMAND), "run", "-"],
        input=b"print('\xc3\xa9')",
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (run.returncode, run.stdout) == (0, b"?\n"), run.stderr


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    "program",
    [b"\xef\xbb\xbfprint('bom')", b"# -*- coding: latin-1 -*-\nprint('b' + 'om' if '\xe9' == chr(233) else 0)"],
    ids=["byte order mark", "latin-1"],
)
def test_program_is_decoded_as_python_reads_a_source_file(product: Product, tmp_path: Path, program: bytes) -> None:
    file = tmp_path / "program.py"
    file.write_bytes(program)
    deployment = product.deployment
    key = f"{deployment.prefix}/inputs/{tmp_path.name}.py"
    product.session.client("s3").put_object(Bucket=deployment.bucket, Key=key, Body=program)
    for source in (file, f"s3://{deployment.bucket}/{key}"):
        run = sandpiper("run", source, "--no-outputs")
        assert (run.returncode, run.stdout) == (0, "bom\n"), run.stderr


OPEN_FIGURE = """
import matplotlib.pyplot as plt
plt.plot([1, 2])
"""
PROGRAM = """
import os
os.makedirs("deep/er")
for name in ("a.txt", "b.log", "deep/er/c.txt"):
    open(name, "w").write(name)
"""


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    ("options", "downloaded"),
    [
        ((), {"a.txt", "b.log", "deep/er/c.txt"}),
        (("--outputs", "**/*.txt", "--outputs", "b.log"), {"a.txt", "b.log", "deep/er/c.txt"}),
        (("--outputs", "*.txt"), {"a.txt"}),
        (("--no-outputs",), set[str]()),
        (("--no-outputs", "--figures"), {"figure-1.png"}),
        (("--max-files", "1"), {"a.txt"}),
        (("--max-bytes", "5"), {"a.txt"}),
    ],
)
def test_run_downloads_the_requested_files(tmp_path: Path, options: tuple[str, ...], downloaded: set[str]) -> None:
    # Importing matplotlib takes longer than the rest, so the programs with patterns or limits open no figure.
    figure = OPEN_FIGURE if options in ((), ("--no-outputs",)) or "--figures" in options else ""
    run = sandpiper("run", "-", *options, "--out", tmp_path / "out", text=figure + PROGRAM)
    assert run.returncode == 0, run.stderr
    paths = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert {str(path.relative_to(tmp_path / "out")) for path in paths} == downloaded


def test_run_reads_inputs_and_the_program_from_s3(product: Product, tmp_path: Path) -> None:
    """Each input has the path in the option, or its name in S3."""
    bucket, folder = product.deployment.bucket, f"{product.deployment.prefix}/inputs/{uuid.uuid4()}"
    address = f"s3://{bucket}/{folder}"
    code = "import glob; print(sorted(glob.glob('**/*.csv', recursive=True)))"
    for key, text in (("a.csv", "1"), ("year=2026/b.csv", "2"), ("year=2026/more/c.csv", "3"), ("list.py", code)):
        product.session.client("s3").put_object(Bucket=bucket, Key=f"{folder}/{key}", Body=text.encode())
    (tmp_path / "d=1.csv").write_text("4")
    remote = (f"{address}/a.csv", f"raw/x.csv={address}/a.csv", f"{address}/year=2026/", f"all={address}/year=2026/")
    local = (tmp_path / "d=1.csv", f"raw/d.csv={tmp_path}/d=1.csv")
    inputs = [argument for value in (*remote, *local) for argument in ("--input", value)]
    run = sandpiper("run", f"{address}/list.py", *inputs, "--out", tmp_path)
    of_folders = ["all/b.csv", "all/more/c.csv", "year=2026/b.csv", "year=2026/more/c.csv"]
    assert run.stdout == f"{sorted(['a.csv', 'd=1.csv', 'raw/d.csv', 'raw/x.csv', *of_folders])}\n", run.stderr
    run = sandpiper("run", "-", "--input", "s3://elsewhere/a.csv", "--out", tmp_path, text="1")
    allowed = f"allowed: objects below s3://{bucket}/{product.deployment.prefix}/inputs/."
    assert (run.returncode, run.stdout) == (2, "")
    assert f"error: --input is 's3://elsewhere/a.csv'; {allowed}" in run.stderr


@pytest.mark.usefixtures("product")
def test_run_uploads_a_program_that_is_too_long_for_a_request(tmp_path: Path) -> None:
    program = tmp_path / "long.py"
    program.write_text(f"# coding: latin-1\n# {'x' * 300_000}\nprint('ran', 'é')", encoding="latin-1")
    run = sandpiper("run", program, "--out", tmp_path)
    assert (run.returncode, run.stdout) == (0, "ran é\n"), run.stderr


@pytest.mark.usefixtures("product")
def test_run_removes_a_byte_order_mark(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_bytes(b"\xef\xbb\xbfprint('ran')")
    for name in (program, "-"):
        with program.open() as typed:
            command = [COMMAND, "run", name, "--out", tmp_path]
            run = subprocess.run(command, cwd=PROJECT, stdin=typed, capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (0, "ran\n"), run.stderr


@pytest.mark.usefixtures("product")
def test_run_prints_links_that_work_without_credentials(tmp_path: Path) -> None:
    run = sandpiper("run", "examples/csv_report.py", "--link-seconds", "60", "--out", tmp_path)
    (link,) = re.findall(r"^link claims\.csv: (http://127\.0\.0\.1:\S+)$", run.stderr, re.MULTILINE)
    assert len(loopback.get(link, 5)) == 65


@pytest.mark.usefixtures("product")
def test_run_downloads_all_files_of_a_truncated_list(tmp_path: Path) -> None:
    code = "for number in range(200): open(f'{number:0240}', 'w').close()"
    run = sandpiper("run", "-", "--max-files", "200", "--json", "--out", tmp_path, text=code)
    assert run.returncode == 0, run.stderr
    result = RunResult.from_json(json.loads(run.stdout))
    assert result.manifest_uri is not None
    assert len(result.files) < len(list(tmp_path.iterdir())) == 200


def test_run_saves_a_file_that_could_not_be_stored_in_s3(product: Product, tmp_path: Path) -> None:
    """The bucket denies writing the files of runs, so the result contains the file."""
    objects, bucket = product.session.client("s3"), product.deployment.bucket
    policy = objects.get_bucket_policy(Bucket=bucket)["Policy"]
    files = f"arn:aws:s3:::{bucket}/{product.deployment.prefix}/runs/*/files/*"
    refusal = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": files}
    refusing = json.loads(policy)
    refusing["Statement"].append(refusal)
    objects.put_bucket_policy(Bucket=bucket, Policy=json.dumps(refusing))
    try:
        run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path)
    finally:
        objects.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert (run.returncode, run.stdout) == (0, "Report created\n"), run.stderr
    assert (tmp_path / "claims.csv").stat().st_size == 65


class CutOff(BaseHTTPRequestHandler):
    """An S3 server that closes the connection before it has sent the complete object."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "65")
        self.send_header("ETag", '"1"')
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"half")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's name for it
        pass


@pytest.mark.usefixtures("product")
def test_run_reports_a_truncated_download_and_leaves_no_partial_file(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), CutOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}"}
        run = sandpiper("run", "examples/csv_report.py", "--out", tmp_path, variables=variables)
        server.shutdown()
    assert (run.returncode, run.stdout) == (2, "Report created\n")
    assert re.search(r"^error: s3://\S+/claims\.csv cannot be downloaded: ", run.stderr, re.MULTILINE), run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("product")
def test_run_shows_its_progress_in_a_terminal(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(20 << 20))
    reader, terminal = pty.openpty()
    code = "import time, shutil; time.sleep(1.5); shutil.copy('large.bin', 'copy.bin')"
    command = [COMMAND, "run", "-", "--input", large, "--max-bytes", str(30 << 20), "--out", tmp_path]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "400"}
    run = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    assert run.stdin is not None
    run.stdin.write(code.encode())
    run.stdin.close()
    output = b""
    with suppress(OSError):  # end of the output: the terminal is closed
        while read := os.read(reader, 1 << 16):
            output += read
    os.close(reader)
    assert run.wait() == 0, output
    assert (tmp_path / "copy.bin").stat().st_size == 20 << 20
    size = "[0-9,]+ of 20,971,520 bytes"
    for pattern in (f"uploading large.bin, {size}", "running, [1-9] s", f"saving file 1 of 1, {size}"):
        assert re.search(pattern.encode(), output)


def test_run_validates_before_it_uploads(product: Product, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(200_000))

    def uploaded() -> int:
        objects = product.session.client("s3")
        return objects.list_objects_v2(Bucket=product.deployment.bucket, Prefix=f"{product.deployment.prefix}/inputs/")[
            "KeyCount"
        ]

    before = uploaded()
    run = sandpiper("run", "-", "--input", large, "--session-timeout", "59", text="1")
    assert (run.returncode, "--session-timeout is 59" in run.stderr) == (2, True)
    assert uploaded() == before


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    ("name", "options", "printed"),
    [
        ("a.py", (), "2\n"),
        ("a.js", (), "1,1\n"),
        ("a.MJS", (), "1,1\n"),
        ("a.ts", (), "1,1\n"),
        ("a.py", ("--language", "javascript"), "1,1\n"),
        ("a", ("--language", "python"), "2\n"),
    ],
)
def test_the_suffix_of_a_program_sets_its_language(
    tmp_path: Path, name: str, options: tuple[str, ...], printed: str
) -> None:
    program = tmp_path / name
    of_python, of_typescript = "print(len([1, 1]))", "const a: number[] = [1, 1]; console.log(String(a))"
    of_javascript = "console.log(String([1, 1]))"
    program.write_text({"2\n": of_python}.get(printed, of_typescript if name == "a.ts" else of_javascript))
    run = sandpiper("run", program, *options, "--out", tmp_path)
    assert (run.returncode, run.stdout) == (0, printed), run.stderr


def test_run_without_environment_variables_does_not_use_aws_instead_of_the_embedded_aws(
    running_state: Path, tmp_path: Path
) -> None:
    """The variables of `local env` are not set, but the shell has credentials and a region."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # No process listens at this proxy, so a request to AWS would fail.
    variables |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    variables |= {"HTTPS_PROXY": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1", "COLUMNS": "400"}

    def run(*options: str, cwd: Path = running_state) -> str:
        command = [COMMAND, "run", "-", *options]
        process = subprocess.run(command, cwd=cwd, env=variables, input="1", capture_output=True, text=True)
        assert (process.returncode, process.stdout) == (2, "")
        return process.stderr

    running = wait_for_record(StateDirectory(running_state))
    aws = "https://cloudformation.us-east-1.amazonaws.com"
    assert run().startswith(
        f"error: the command would use {aws} instead of the embedded AWS that runs here at {running.url}"
    )
    assert "AWS cannot be reached" in run("--environment", "dev", "--tenant", "claims")
    assert "AWS cannot be reached" in run(cwd=tmp_path)


def test_logs_are_printed_below_the_name_of_each_component(running_state: Path) -> None:
    shown = sandpiper("local", "logs", "--state", running_state, "-n", "1000").stdout
    aws, agentcore = shown.index(f"\naws {running_state}"), shown.index(f"\nagentcore {running_state}")
    assert aws < shown.index("services available on port") < agentcore < shown.index("local-agentcore emulates")


@pytest.mark.usefixtures("product")
def test_an_environment_is_selected_by_its_file_and_its_only_tenant_by_default(tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    options = ("--name", "first", "--account", "123456789012", "--region", "us-east-1", "--owner", "a test")
    assert sandpiper("init", *options, "--output", file).returncode == 0
    run = sandpiper("run", "examples/claims_total.py", "--environment", file)
    assert run.stderr.startswith("error: stack sandpiper-first-main is not deployed at "), run.stderr
    local = shutil.copy(PROJECT / "environments" / "local.yaml", tmp_path)
    run = sandpiper("run", "examples/claims_total.py", "-e", local, "--out", tmp_path)
    assert (run.returncode, run.stdout) == (0, "Total claims: $44,700\n"), run.stderr


@pytest.mark.usefixtures("product")
def test_file_names_cannot_control_the_terminal(tmp_path: Path) -> None:
    code = "open('a\\x1b[2J[bold]', 'w'); open('b\\nskipped forged', 'w')"
    run = sandpiper("run", "-", "--out", tmp_path, text=code)
    assert "\x1b" not in run.stderr
    assert "[bold]" in run.stderr
    assert "\nskipped forged" not in run.stderr


def test_an_interrupted_run_reports_when_its_session_ends(product: Product, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [COMMAND, "run", "-", "--out", tmp_path], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROJECT
    )
    assert run.stdin is not None
    before = product.executions()
    run.stdin.write(b"import time; time.sleep(5)")
    run.stdin.close()
    end = time.monotonic() + 30
    while product.executions() == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    stderr = run.stderr.read().decode()
    assert run.wait(30) == 130
    assert "interrupted: the execution was stopped, and its session ends within a minute" in stderr
    while product.live_sessions():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-file.py"], "error: no-such-file.py: No such file or directory\n"),
        (["-"], "error: standard input: the program is empty; allowed: a program\n"),
        (
            [],
            "error: FILE is missing; allowed: a program's file, - for standard input, s3://BUCKET/KEY, --command CMD, "
            "--session FILE or --show ARN\n",
        ),
        (
            ["examples"],
            "error: examples: is a folder; allowed: a program's file. To send a folder of files, use --input\n",
        ),
        (
            ["examples/claims_total.py", "--session-timeout", "59"],
            "error: --session-timeout is 59; allowed: a whole number of seconds from 60 to 28,800\n",
        ),
        (
            ["examples/claims_total.py", "--language", "perl"],
            "error: --language is 'perl'; allowed: python | javascript | typescript\n",
        ),
        (
            ["examples/claims_total.py", "--tenant", "missing"],
            "error: stack sandpiper-local-missing is not deployed at {endpoint}: "
            "--tenant is 'missing'; allowed: demo\n",
        ),
        (
            ["examples/claims_total.py", "--environment", "nowhere"],
            f"error: no file environments/nowhere.yaml in {PROJECT}, which names the tenants of the environment; run "
            "the command where the file is, pass its path with --environment, or pass --tenant\n",
        ),
        (
            ["examples/claims_total.py", "--environment", "dev"],
            "error: --tenant is missing, and environments/dev.yaml has several tenants; allowed: claims | analytics\n",
        ),
        (
            ["examples/claims_total.py", "--environment", "dev", "--tenant", "claims"],
            "error: stack sandpiper-dev-claims is not deployed at {endpoint}: "
            "run `cdk bootstrap` once and `cdk deploy --all -c environment=dev`\n",
        ),
        (
            ["examples/claims_total.py", "--tenant", "storage"],
            "error: stack sandpiper-local-storage is not the stack of a tenant, because it has no output "
            "'RunCodeStateMachineArn': choose another --tenant\n",
        ),
        (["examples/claims_total.py", "--input", "gone.csv"], "error: --input gone.csv: No such file or directory\n"),
        (
            ["examples/claims_total.py", "--input", "/dev/null"],
            "error: --input /dev/null is neither a file nor a folder; allowed: a file or a folder of this machine, "
            "s3://BUCKET/KEY, or s3://BUCKET/FOLDER/ for a folder below the tenant's inputs\n",
        ),
        (
            ["examples/claims_total.py", "--input", "../a=README.md"],
            "error: --input is '../a'; allowed: a relative path of at most 255 characters, no control characters, "
            "no part that is '.', '..' or empty\n",
        ),
        (
            ["examples/claims_total.py", "--outputs", "a", "--no-outputs"],
            "error: --no-outputs and --outputs 'a' exclude each other; allowed: one of them\n",
        ),
        (
            ["examples/claims_total.py", "--max-files", "1001"],
            "error: --max-files is 1001; allowed: a whole number of files from 0 to 1,000\n",
        ),
        (
            ["examples/claims_total.py", "--runtime", "deno"],
            "error: --runtime is 'deno', but --language is python; allowed: python\n",
        ),
        (
            ["examples/claims_total.py", "--interpreter", "vpc"],
            "error: --interpreter is 'vpc'; allowed: sandbox | public\n",
        ),
        (
            ["README.md"],
            "error: README.md: the language is unknown; allowed: .py | .js | .mjs | .ts, "
            "or --language python | javascript | typescript\n",
        ),
    ],
)
def test_run_reports_an_error_in_one_message(product: Product, arguments: list[str], message: str) -> None:
    before = product.executions()
    run = sandpiper("run", *arguments, text="")
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    error = run.stderr.removeprefix(f"account 123456789012 at {endpoint}\n")
    assert (run.returncode, run.stdout, error) == (2, "", message.format(endpoint=endpoint))
    assert product.executions() == before


@pytest.mark.parametrize("command", [[], ["run"], ["demo"], ["local"], ["local", "start"], ["local", "env"]])
def test_every_command_has_help(command: list[str]) -> None:
    shown = sandpiper(*command, "--help")
    assert shown.returncode == 0
    assert "Usage: sandpiper" in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_during_deployment_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [COMMAND, "demo", "--out", tmp_path / "out"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
    )
    directory = StateDirectory(tmp_path, "demo")
    running = wait_for_record(directory)
    end = time.monotonic() + 120
    while not any(
        b"jsii-runtime" in command_of(pid) for pid in processes_below(demo.pid)
    ):  # the jsii runtime of the CDK app
        assert time.monotonic() < end
        time.sleep(0.05)
    started = {running.pid} | processes_below(running.pid) | processes_below(demo.pid)
    assert any(b"app.py" in command_of(pid) for pid in started)
    demo.send_signal(number)  # only to this process, unlike the Ctrl-C of a terminal
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number, output
    assert not alive(started)
    assert not directory.running.exists()


def test_a_second_demo_in_a_folder_is_rejected_and_a_demo_after_a_killed_one_runs(tmp_path: Path) -> None:
    command = [COMMAND, "demo", "--out", tmp_path / "out"]
    directory = StateDirectory(tmp_path, "demo")
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    running = wait_for_record(directory)
    second = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert second.returncode == 2
    assert "another demo runs in this folder" in second.stderr
    assert running.is_alive()
    assert first.poll() is None
    children = processes_below(first.pid) - processes_below(running.pid) - {running.pid}
    first.kill()
    first.wait()
    for child in alive(children):
        os.kill(child, signal.SIGKILL)  # the CDK CLI that it waited for
    assert running.is_alive()
    third = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
    wait_until_gone({running.pid})
    wait_for_record(directory)
    third.send_signal(signal.SIGTERM)
    third.wait(60)
    assert not directory.running.exists()
