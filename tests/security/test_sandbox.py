"""What code in a sandbox cannot do, each attempt beside one that must succeed: no test passes for want of trying.

The code runs as users' code does: through the emulator's API. As root or as an ordinary user, the same must hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.process import client, running_emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MANAGED = "aws.codeinterpreter.v1"
MEMORY_MIB = 512
DISK_MIB = 32
HOST_SECRET = f"host-secret-{uuid.uuid4().hex}"
OPTIONS = ("--memory-mib", str(MEMORY_MIB), "--disk-mib", str(DISK_MIB), "--output-mib", "1")
CALL = """import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    return 'ok' if getattr(libc, name)(*arguments) >= 0 else os.strerror(ctypes.get_errno())
def syscall(number, *arguments):
    return 'ok' if libc.syscall(number, *arguments) >= 0 else os.strerror(ctypes.get_errno())
"""


class Attacker:
    """A session whose code is not friendly."""

    def __init__(self, data_plane: Any) -> None:
        self.client = data_plane
        answer = data_plane.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED)
        self.identifier: str = answer["sessionId"]

    def invoke(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Calls a tool."""
        answer = self.client.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED, sessionId=self.identifier, name=name, arguments=arguments
        )
        (event,) = answer["stream"]
        result: dict[str, Any] = event["result"]
        return result

    def run(self, code: str) -> dict[str, Any]:
        """Runs Python and returns stdout, stderr and exit code."""
        content: dict[str, Any] = self.invoke("executeCode", language="python", code=code)["structuredContent"]
        return content

    def told(self, code: str) -> Any:
        """Runs Python that prints one JSON value, and returns it."""
        content = self.run(code)
        assert content["exitCode"] == 0, content["stderr"]
        return json.loads(content["stdout"])

    def stop(self) -> None:
        """Ends the session."""
        with contextlib.suppress(ClientError):
            self.client.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionId=self.identifier)


@pytest.fixture(scope="module")
def memory_by() -> str:
    """What bounds memory: the emulator's choice. A test that is about memory is given both."""
    return "auto"


@pytest.fixture(scope="module")
def data_plane(agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory, memory_by: str) -> Generator[Any]:
    """An emulator with tight limits, and a secret in its environment."""
    environment = {**os.environ, "HOST_SECRET": HOST_SECRET}
    state = tmp_path_factory.mktemp("state")
    options = (*OPTIONS, "--memory-by", memory_by)
    with running_emulator(agentcore_runtime, state, *options, environment=environment) as emulator:
        assert emulator.runs_code, emulator.state
        yield client("bedrock-agentcore", emulator.address, "us-east-1")


@pytest.fixture
def attackers(data_plane: Any) -> Generator[Callable[[], Attacker]]:
    """Starts sessions and ends them after the test."""
    started: list[Attacker] = []

    def start() -> Attacker:
        started.append(Attacker(data_plane))
        return started[-1]

    yield start
    for attacker in started:
        attacker.stop()


@pytest.fixture
def attacker(attackers: Callable[[], Attacker]) -> Attacker:
    """One such session."""
    return attackers()


def processes_with(mark: str) -> list[int]:
    """Returns the host's processes whose command line holds a mark."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for something that must come; pytest's own patience is the limit."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# What it may use


@pytest.mark.parametrize("memory_by", ["auto", "watchdog"], scope="module")
@pytest.mark.parametrize(
    "hoard",
    [
        "hoard = [bytearray(b'x') * (64 << 20) for _ in range(COUNT)]",
        "import mmap\nhoard = [mmap.mmap(-1, 64 << 20) for _ in range(COUNT)]\nfor m in hoard: m.write(b'x' * len(m))",
        "import mmap\nfile = open('/dev/zero', 'r+b', buffering=0)\nassert file.read(9) == bytes(9)\n"
        "hoard = [mmap.mmap(file.fileno(), 64 << 20) for _ in range(COUNT)]\nfor m in hoard: m.write(b'x' * len(m))",
        "import os, time\nfor _ in range(COUNT):\n"
        "    if not os.fork(): x = bytearray(b'x') * (64 << 20); time.sleep(3); os._exit(0)\n"
        "print([os.wait()[1] for _ in range(COUNT)])",
    ],
    ids=["private", "shared", "/dev/zero shared mapping", "spread over processes"],
)
def test_memory_is_bounded_and_the_session_lives(attacker: Attacker, hoard: str) -> None:
    allowed = attacker.run(hoard.replace("COUNT", "2"))
    # Without a control group there is no memory that is shared and in no file, since nothing would count it.
    refused = ("Operation not permitted", "No such device") if "mmap" in hoard else ()
    assert (allowed["exitCode"], allowed["stderr"]) == (0, "") or any(words in allowed["stderr"] for words in refused)
    content = attacker.run(hoard.replace("COUNT", "12"))
    bounded = (f"memory limit of {MEMORY_MIB} MiB was reached", *refused)
    assert any(words in content["stderr"] for words in bounded), content
    assert attacker.run("print('alive')")["stdout"] == "alive"


# What it can see


def test_the_hosts_environment_is_in_no_process(attacker: Attacker) -> None:
    environments = attacker.told("""import json, os
os.environ['OWN'] = '1'
seen = {}
for name in filter(str.isdigit, os.listdir('/proc')):
    try:
        seen[name] = open(f'/proc/{name}/environ').read()
    except OSError as error:
        seen[name] = error.strerror
print(json.dumps(seen))""")
    assert any("genesis1p-tools" in text for text in environments.values())  # its own can be read
    assert HOST_SECRET in Path(f"/proc/{_emulator()}/environ").read_text()  # and there is something to find
    assert not any(HOST_SECRET in text for text in environments.values())
    assert HOST_SECRET not in attacker.invoke("executeCommand", command="env")["structuredContent"]["stdout"]


def _emulator() -> int:
    (process,) = [one for one in processes_with("local_agentcore\0serve") if _holds_secret(one)]
    return process


def _holds_secret(process: int) -> bool:
    try:
        return HOST_SECRET in Path(f"/proc/{process}/environ").read_text()
    except OSError:
        return False


def test_process_one_keeps_to_itself(attacker: Attacker) -> None:
    answers = attacker.told("""import json, os, signal
def attempt(action):
    try:
        return str(action())
    except OSError as error:
        return error.strerror
print(json.dumps({
    'own': attempt(lambda: sorted(os.listdir('/proc/self/fd'))[:2]),
    'descriptors': attempt(lambda: os.listdir('/proc/1/fd')),
    'memory': attempt(lambda: open('/proc/1/mem', 'rb')),
    'environment': attempt(lambda: open('/proc/1/environ').read()),
    'root': attempt(lambda: os.listdir('/proc/1/root')),
    'kill': attempt(lambda: os.kill(1, signal.SIGKILL)),
    'stop': attempt(lambda: os.kill(1, signal.SIGSTOP)),
    'any': {number: attempt(lambda: os.kill(1, number)) for number in range(1, 65)},
}))""")
    assert answers["own"] == "['0', '1']"
    assert {answers[name] for name in ("descriptors", "memory", "environment", "root")} == {"Permission denied"}
    assert set(answers["any"].values()) == {"None"}  # all are sent
    assert attacker.run("print('alive')")["stdout"] == "alive"  # and discarded by the kernel, or handled
    later = attacker.invoke("executeCommand", command="sleep 0.1; echo alive")["structuredContent"]
    assert later["stdout"] == "alive\r\n"


def test_there_are_no_descriptors_of_the_host(attacker: Attacker) -> None:
    code = """import json, os
print(json.dumps({name: os.readlink(f'/proc/self/fd/{name}') for name in os.listdir('/proc/self/fd')
                  if os.path.lexists(f'/proc/self/fd/{name}')}))"""
    kernel = attacker.told(code)
    assert kernel["0"] == "/dev/null"
    assert kernel["1"].startswith("pipe:")
    kinds = {target.split(":")[0] for name, target in kernel.items() if int(name) > 2}
    assert kinds <= {"socket", "anon_inode"}
    assert sum(target.startswith("socket:") for target in kernel.values()) <= 3  # the kernel's own, and its loop's two
    listed = attacker.invoke("executeCommand", command="ls -l /proc/self/fd")["structuredContent"]["stdout"]
    links = [line for line in listed.splitlines() if " -> " in line]
    assert len(links) == 4  # three streams, and the folder being listed
    assert not any("socket:" in line for line in links)


def test_there_are_no_processes_of_the_host(attacker: Attacker) -> None:
    processes = attacker.told("import json, os; print(json.dumps(list(filter(str.isdigit, os.listdir('/proc')))))")
    assert "1" in processes
    assert len(processes) < 10
    assert len(list(Path("/proc").glob("[0-9]*"))) > len(processes)


def test_there_are_no_files_of_the_host(attacker: Attacker, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(HOST_SECRET)
    tmp_path.chmod(0o755)
    places = [str(tmp_path / "secret"), str(Path.home()), str(Path(__file__)), "/etc/shadow", "/var", "/root", "/sys"]
    code = f"import json, os; print(json.dumps([path for path in {places!r} + ['/usr'] if os.path.exists(path)]))"
    assert attacker.told(code) == ["/usr"]
    passwords = attacker.run("print(open('/etc/passwd').read())")["stdout"]
    assert "genesis1ptools" in passwords
    assert len(passwords.splitlines()) == 3


def test_its_mounts_do_not_tell_where_they_come_from(attacker: Attacker, agentcore_runtime: Path) -> None:
    mounts = attacker.run("print(open('/proc/self/mountinfo').read())")["stdout"]
    assert "/opt/amazon/genesis1p-tools/venv" in mounts
    assert "local-agentcore-" not in mounts
    base = next(line for line in (agentcore_runtime / "pyvenv.cfg").read_text().splitlines() if line.startswith("home"))
    home = base.partition("=")[2].strip()
    for path in (str(agentcore_runtime.resolve()), str(Path.home()), *([] if home.startswith("/usr") else [home])):
        assert path not in mounts, path


def test_no_file_tells_where_it_is_on_the_host(attacker: Attacker, agentcore_runtime: Path) -> None:
    # But the base Python's own, which are as whoever built it has made them: they name the place it was built for.
    own = attacker.invoke("executeCommand", command="LC_ALL=C grep -rlF genesis1p-tools/venv /opt | head -1")
    assert "/opt/" in own["structuredContent"]["stdout"]  # files there can be searched, bytecode among them
    places = " ".join(f"-e {path}/" for path in (agentcore_runtime.resolve(), Path(__file__).resolve().parents[2]))
    found = attacker.invoke("executeCommand", command=f"LC_ALL=C grep -rlF {places} /opt /etc; true")
    assert found["structuredContent"]["stdout"] == ""


@pytest.mark.parametrize("path", ["/usr/x", "/etc/x", "/x", "/opt/x", "/opt/local-agentcore/inside/x", "/dev/x"])
def test_only_its_own_folders_can_be_written(attacker: Attacker, path: str) -> None:
    assert attacker.run("open('x', 'w'); open('/tmp/x', 'w'); open('/dev/shm/x', 'w')")["exitCode"] == 0
    assert "Read-only file system" in attacker.run(f"open({path!r}, 'w')")["stderr"]


def test_a_session_sees_no_other_sessions_files_or_processes(attackers: Callable[[], Attacker]) -> None:
    first, second = attackers(), attackers()
    first.run("for name in ('mine', '/tmp/mine', '/dev/shm/mine'): open(name, 'w').write('secret')")
    first.run("import subprocess; subprocess.Popen(['sleep', '54321'])")
    look = """import json, os, glob
files = [name for name in ('mine', '/tmp/mine', '/dev/shm/mine') if os.path.exists(name)]
commands = [open(path).read() for path in glob.glob('/proc/[0-9]*/cmdline')]
print(json.dumps([files, any('54321' in command for command in commands)]))"""
    assert first.told(look) == [["mine", "/tmp/mine", "/dev/shm/mine"], True]  # noqa: S108  the sandbox's own
    assert second.told(look) == [[], False]


# What it can reach


def test_there_is_no_network_but_its_own_loopback(attacker: Attacker) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        port, datagram_port = listener.getsockname()[1], datagrams.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # from here it is reachable
        listener.accept()[0].close()
        answers = attacker.told(f"""import json, socket
def attempt(action):
    try:
        action()
        return 'reached'
    except OSError as error:
        return error.strerror or str(error)
def datagram(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b'x', address)
own = socket.create_server(('127.0.0.1', 0))
def tcp(address):
    return lambda: socket.create_connection(address, timeout=5)
print(json.dumps({{
    'own': attempt(tcp(own.getsockname())),
    'host': attempt(tcp(('127.0.0.1', {port}))),
    'metadata': attempt(tcp(('169.254.169.254', 80))),
    'internet': attempt(tcp(('1.1.1.1', 443))),
    'internet6': attempt(tcp(('2606:4700:4700::1111', 443))),
    'datagram': attempt(lambda: datagram(('1.1.1.1', 53))),
    'name': attempt(lambda: socket.getaddrinfo('amazon.com', 443)),
    'host_datagram': attempt(lambda: datagram(('127.0.0.1', {datagram_port}))),
    'raw': attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    'packet': attempt(lambda: socket.socket(17, socket.SOCK_RAW)),
    'vsock': attempt(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)),
    'bluetooth': attempt(lambda: socket.socket(31, socket.SOCK_RAW)),
    'crypto': attempt(lambda: socket.socket(38, socket.SOCK_SEQPACKET)),
}}))""")
        assert answers["own"] == "reached"
        assert answers["host"] == "Connection refused"
        assert answers["metadata"] == "reached"  # its own, which knows nothing without a role
        for name in ("internet", "internet6", "datagram"):
            assert "unreachable" in answers[name], (name, answers[name])
        assert answers["name"] == "Name or service not known"
        assert answers["raw"] == "Operation not permitted"
        for name in ("packet", "vsock", "bluetooth", "crypto"):
            assert answers[name] == "Address family not supported by protocol", name
        datagrams.setblocking(False)
        with pytest.raises(BlockingIOError):
            datagrams.recv(1)


def test_the_hosts_abstract_sockets_are_out_of_reach(attacker: Attacker) -> None:
    name = f"\0{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(name)
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
        assert "Connection refused" in attacker.run(code)["stderr"]


# What it can make the host do


def test_links_out_of_the_working_directory_are_not_followed(attacker: Attacker) -> None:
    attacker.run("""import os
open('real', 'w').write('inside')
os.symlink('real', 'good')
os.symlink('/etc/passwd', 'out')
os.symlink('/proc/self/environ', 'self')
os.symlink('/proc/1/root', 'root')
os.symlink('../../../..', 'up')
os.symlink('/tmp', 'folder')
os.mkfifo('fifo')""")
    (block,) = attacker.invoke("readFiles", paths=["good"])["content"]
    assert block["resource"]["text"] == "inside"
    for path in ("out", "self", "root/etc/passwd", "up/etc/passwd", "folder/x", "fifo"):
        assert attacker.invoke("readFiles", paths=[path])["isError"], path
        assert attacker.invoke("writeFiles", content=[{"path": path, "text": "x"}])["isError"], path
    for path in ("up", "folder", "root"):
        assert attacker.invoke("listFiles", path=path)["isError"], path
    assert attacker.invoke("removeFiles", paths=["folder/matplotlib"])["isError"]
    assert attacker.run("import os; print(os.path.exists('/tmp/x'))")["stdout"] == "False"


def test_files_of_the_sandbox_cannot_be_linked_in(attacker: Attacker) -> None:
    attempts = (
        "for path in ('/etc/passwd', '/usr/bin/env', '/proc/self/environ'): print(call('link', path.encode(), b'l'))"
    )
    answers = attacker.run(f"{CALL}open('a', 'w')\nprint(call('link', b'a', b'b'))\n{attempts}")["stdout"]
    assert answers.splitlines() == ["ok", *["Invalid cross-device link"] * 3]


def test_names_in_a_listing_cannot_break_it(attacker: Attacker) -> None:
    attacker.run("import os\nopen('plain', 'w')\nopen(b'\\xff\\n\\x1b[2J', 'w')\nopen('a\"}', 'w')")
    names = [block["name"] for block in attacker.invoke("listFiles", path="")["content"]]
    assert {"plain", 'a"}', "\ufffd\n\x1b[2J"} <= set(names)


def test_code_that_speaks_on_the_kernels_socket_harms_its_own_session_at_most(
    attackers: Callable[[], Attacker],
) -> None:
    attacker, other = attackers(), attackers()
    assert attacker.run("x = 1")["exitCode"] == 0
    attacker.run("import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 4096)\n    except OSError: pass")
    attacker.run("import os; os.closerange(0, 64)")
    fresh = attacker.invoke("executeCode", language="python", code="print('alive')", clearContext=True)
    assert fresh["structuredContent"]["stdout"] == "alive"  # whatever it has written is gone with its kernel
    assert other.run("print('alive')")["stdout"] == "alive"


# What is left of it


def start_sleeper(attacker: Attacker) -> str:
    """Leaves processes in a sandbox that try to outlive it. Returns a mark in their command lines."""
    mark = str(uuid.uuid4().int)[:12]
    daemon = f"""import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.setsid()
os.execvp('sleep', ['sleep', '{mark}'])"""
    attacker.run(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {daemon!r}])")
    attacker.invoke("executeCommand", command=f"(setsid nohup sleep {mark} >/dev/null 2>&1 &)")
    wait_until(lambda: len(processes_with(mark)) >= 2)
    return mark


def test_nothing_survives_a_stop(attackers: Callable[[], Attacker]) -> None:
    attacker = attackers()
    mark = start_sleeper(attacker)
    attacker.stop()
    assert processes_with(mark) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_emulator(agentcore_runtime: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running_emulator(agentcore_runtime, tmp_path) as emulator:
        mark = start_sleeper(Attacker(client("bedrock-agentcore", emulator.address, "us-east-1")))
        process = emulator.process.pid
        emulator.process.send_signal(number)
        emulator.process.wait()
    wait_until(lambda: processes_with(mark) == [])
    with running_emulator(agentcore_runtime, tmp_path) as emulator:  # which sweeps what the first has left
        assert [path.name for path in tmp_path.glob(f"local-agentcore-{process}-*")] == []
        assert list(tmp_path.glob("local-agentcore-*"))  # its own
    assert list(Path("/sys/fs/cgroup").rglob(f"local-agentcore-{process}-*")) == []


def test_the_sweep_leaves_live_emulators_alone(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path) as first:
        attacker = Attacker(client("bedrock-agentcore", first.address, "us-east-1"))
        attacker.run("x = 1")
        with running_emulator(agentcore_runtime, tmp_path, "--pool", "0"):
            pass
        assert attacker.run("print(x)")["stdout"] == "1"
        again = Attacker(attacker.client)
        assert again.run("print('starts')")["stdout"] == "starts"


def test_many_sessions_at_once_leave_nothing(agentcore_runtime: Path, tmp_path: Path) -> None:
    with running_emulator(agentcore_runtime, tmp_path, "--pool", "2") as emulator:
        failures: list[BaseException] = []

        def live() -> None:
            try:
                attacker = Attacker(client("bedrock-agentcore", emulator.address, "us-east-1"))
                assert attacker.run("print('alive')")["stdout"] == "alive"
                attacker.stop()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=live) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert all(name == "log" or name.startswith("local-agentcore-") for name in os.listdir(tmp_path))  # noqa: PTH208
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
