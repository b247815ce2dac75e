"""Resources that all processes of the machine share: code can neither take them all nor observe their use."""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_agentcore.process import client, running_emulator
from local_agentcore.sandbox.blueprint import LAUNCHER
from local_agentcore.sandbox.layout import SHOWN_BELOW_USR
from tests.support.account import REGION
from tests.support.host_health import harm_since, measure
from tests.support.hostile_session import Attacker
from tests.support.languages import PYTHON
from tests.support.sandbox_host import each_user
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox_host import Host

FILTERS = """
import struct
program = ctypes.create_string_buffer(struct.pack('=HBBI', 0x06, 0, 0, 0xFFFF))  # one instruction: accept
filter = ctypes.create_string_buffer(struct.pack('@HP', 1, ctypes.addressof(program)))
one = socket.socket(socket.AF_UNIX)
report('control', lambda: one.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1))
for option in (26, 50, 51, 52):
    report(option, lambda: one.setsockopt(socket.SOL_SOCKET, option, filter.raw))
udp_one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
report('udp', lambda: udp_one.setsockopt(socket.SOL_SOCKET, 26, filter.raw))
def nested():
    if _libc.prctl(22, 2, filter) < 0:
        raise OSError(ctypes.get_errno(), '')
report('nested', nested)"""


@each_user
def test_session_cannot_attach_socket_or_system_call_filters(attacker: Attacker) -> None:
    refused = dict.fromkeys(("26", "50", "51", "52", "udp", "nested"), "EPERM")
    assert PYTHON.outcomes(attacker, FILTERS) == {"control": "ok", **refused}
    assert attacker.is_responsive()


INT_80 = bytes.fromhex("53 b814000000 cd80 5b c3")  # push rbx; mov eax, 20 (getpid of i386); int 0x80; pop rbx; ret
X32 = bytes.fromhex("b827000040 0f05 c3")  # mov eax, 39 | X32_BIT (getpid); syscall; ret
NATIVE = bytes.fromhex("b827000000 0f05 c3")  # mov eax, 39 (getpid); syscall; ret
SIGSYS = 31
OTHER_ARCHITECTURE = """
import mmap
def ended_by(code):
    child = os.fork()
    if child == 0:
        memory = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
        memory.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
        os._exit(0)
    return os.waitpid(child, 0)[1]
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="calls of x86")
def test_system_calls_of_other_architectures_end_the_process(attacker: Attacker) -> None:
    programs = {"native": NATIVE, "i386": INT_80, "x32": X32}
    report = "\n".join(f"report({name!r}, lambda: ended_by({code!r}))" for name, code in programs.items())
    outcomes = PYTHON.outcomes(attacker, OTHER_ARCHITECTURE + report)
    assert outcomes == {"native": "0", "i386": str(SIGSYS), "x32": str(SIGSYS)}


CORE_LIMITS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for name in ('NOFILE', 'CORE'):
    print(f"{name}={resource.getrlimit(getattr(resource, 'RLIMIT_' + name))}")
child = os.fork()
if child == 0:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
print(f'dumped={os.WCOREDUMP(os.waitpid(child, 0)[1])}')"""


@each_user
def test_crash_of_code_does_not_start_the_core_dump_handler_of_the_host(attacker: Attacker) -> None:
    # The kernel starts a handler for a limit of 0, and none for 1 (core(5)).
    assert PYTHON.outcomes(attacker, CORE_LIMITS) == {"NOFILE": "(200, 200)", "CORE": "(1, 1)", "dumped": "False"}


TERMINALS = """
import resource
kept = []
def open_all():
    for _ in range(400):
        kept.append(os.open('/dev/ptmx', os.O_RDWR))
report('refused', open_all)
print(f'opened={len(kept)}')"""
MOST_TERMINALS = 256


@each_user  # the mount needs other rights for an ordinary user
def test_session_cannot_take_terminals_of_other_sessions(new_attacker: Callable[[], Attacker]) -> None:
    attacker, other = new_attacker(), new_attacker()
    assert attacker.shell("echo control; test -t 1 && echo terminal")["stdout"] == "control\r\nterminal\r\n"
    outcomes = PYTHON.outcomes(attacker, TERMINALS)
    assert (outcomes["refused"], int(outcomes["opened"])) == ("ENOSPC", MOST_TERMINALS)
    rejected = attacker.shell("echo 1")
    assert "A shell cannot be started: every terminal of the session is in use (ENOSPC)" in rejected["stderr"]
    assert other.is_responsive()
    started = new_attacker()
    assert started.is_responsive()
    for descriptor in os.openpty():
        os.close(descriptor)
    assert attacker.python("for one in kept: os.close(one)")["exitCode"] == 0
    assert attacker.is_responsive()


WATCH = """
import select, struct
_libc.inotify_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
notifications = _libc.inotify_init1(os.O_NONBLOCK)
paths = {_libc.inotify_add_watch(notifications, path.encode(), 0xFFF): path for path in PATHS}
assert -1 not in paths, paths"""
REPORT_EVENTS = """
def seen():
    data = b''
    while select.select([notifications], [], [], 0.3)[0]:
        data += os.read(notifications, 65536)
    watches = set()
    while data:
        watch, _, _, size = struct.unpack_from('iIII', data)
        watches.add(paths[watch])
        data = data[16 + size:]
    return ' '.join(sorted(watches))
report('before', seen)
write('/tmp/watched')
report('after', seen)"""
PROGRAM_OF_HOST = "/usr/bin/env"
IN_ALL_EVENTS = 0xFFF


def events_on_host(path: str, action: Callable[[], object]) -> bool:
    """Returns whether inotify on the host reports an action."""
    libc = ctypes.CDLL(None)
    notifications = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(notifications, path.encode(), IN_ALL_EVENTS) > 0
    action()
    reported = bool(select.select([notifications], [], [], 1)[0])
    os.close(notifications)
    return reported


@each_user  # an overlay needs other rights for an ordinary user
def test_session_does_not_see_which_files_the_host_uses(
    attacker: Attacker, host: Host, agentcore_runtime: Path
) -> None:
    def use() -> None:
        subprocess.run([PROGRAM_OF_HOST, "true"], check=True)
        os.listdir("/usr/lib")  # noqa: PTH208
        next((agentcore_runtime / "bin").iterdir()).read_bytes()
        Path("/etc/ssl/certs").is_dir()
        Path(os.devnull).write_text("x")

    venv = "/opt/amazon/genesis1p-tools/venv"
    watched = ["/usr", "/usr/bin", "/usr/lib", PROGRAM_OF_HOST, venv, f"{venv}/bin", "/etc", "/etc/ssl/certs", "/tmp"]  # noqa: S108
    if host.user.name == "root":  # an ordinary user cannot create device nodes
        watched += [os.devnull, "/dev"]
    assert attacker.python(f"{PYTHON.prelude}\nPATHS = {watched!r}{WATCH}")["stderr"] == ""
    assert events_on_host("/usr/bin", use)
    assert PYTHON.outcomes(attacker, REPORT_EVENTS) == {"before": "", "after": "/tmp"}  # noqa: S108  in the sandbox


WITHOUT_OVERLAYS = """
from pathlib import Path
from local_agentcore.sandbox import blueprint
blueprint.LAUNCHER = Path({launcher!r})
"""


def test_without_overlays_code_cannot_watch_files_of_the_host(agentcore_runtime: Path, tmp_path: Path) -> None:
    text = LAUNCHER.read_text()
    launcher = tmp_path / "launcher.py"
    launcher.write_text(text.replace('try_mount("overlay", name, "overlay"', 'try_mount("overlay", name, "missing"'))
    assert launcher.read_text() != text
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_OVERLAYS.format(launcher=str(launcher)))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with running_emulator(agentcore_runtime, tmp_path, environment=environment) as emulator:
        attacker = Attacker(client("bedrock-agentcore", emulator.address, REGION))
        assert attacker.python("import numpy; print(numpy.ones(1))")["stdout"] == "[1.]"
        watch = f"{WATCH_ONE}\nreport('own', lambda: watch('/tmp'))\nreport('host', lambda: watch('/usr/bin'))"
        names = "".join(f"\nreport({path!r}, lambda: names({path!r}))" for path in HIDDEN_DIRECTORIES)
        outcomes = PYTHON.outcomes(attacker, watch + names)
        assert (outcomes["own"], outcomes["host"]) == ("ENOSPC", "ENOSPC")  # no watch is allowed
        assert {outcomes[path] for path in HIDDEN_DIRECTORIES} <= {"", "ENOENT"}


WATCH_ONE = """
notifications = _libc.inotify_init1(0)
def watch(path):
    if _libc.inotify_add_watch(notifications, path.encode(), 0xFFF) < 0:
        raise OSError(ctypes.get_errno(), '')"""
HIDDEN_DIRECTORIES = ("/usr/local/etc", "/usr/src", "/usr/etc", "/usr/games")


@each_user
def test_session_sees_only_programs_and_libraries_below_usr(shared_attacker: Attacker) -> None:
    listed = {path: attempt("names", path) for path in ("/usr", "/usr/local", *HIDDEN_DIRECTORIES)}
    outcomes = PYTHON.attempt_all(shared_attacker, listed)
    for path in HIDDEN_DIRECTORIES:
        assert outcomes[path] == "ENOENT"
    assert any(Path(path).is_dir() and list(Path(path).iterdir()) for path in HIDDEN_DIRECTORIES)  # the control
    for path, directory in (("/usr", ""), ("/usr/local", "local")):
        names = set(outcomes[path].split())
        assert names == {entry.name for entry in Path(path).iterdir()} & set(SHOWN_BELOW_USR[directory])
        assert "bin" in names
    assert shared_attacker.shell("/usr/bin/env true && ls /usr/lib | wc -l")["exitCode"] == 0


@each_user
def test_session_can_neither_read_nor_write_the_pressure_of_the_host(shared_attacker: Attacker) -> None:
    files = [f"/proc/pressure/{name}" for name in ("cpu", "io", "memory")]
    attempts = {f"{verb} {path}": attempt(verb, path) for path in files for verb in ("read", "write")}
    outcomes = PYTHON.attempt_all(shared_attacker, {**attempts, "control": attempt("read", "/proc/loadavg")})
    assert outcomes.pop("control")
    assert set(outcomes.values()) <= {"ENOENT", "EROFS"}
    assert Path("/proc/pressure").is_dir() == Path(files[0]).exists()


WRITABLE_IN_PROC = """
def opened():
    for folder, folders, files in os.walk('/proc'):
        folders[:] = [name for name in folders if name != 'fd']  # links to the process's own files
        for name in files:
            try:
                os.close(os.open(f'{folder}/{name}', os.O_WRONLY | os.O_NONBLOCK))
                yield f'{folder}/{name}'
            except OSError:
                pass
print('writable=' + ' '.join(opened()))
report('control', lambda: os.close(os.open('/tmp/control', os.O_WRONLY | os.O_CREAT)))"""
OUT_OF_MEMORY_SCORES = """
import pathlib, subprocess
def write(path):
    with open(path, 'w') as file: file.write('0')
own = '/proc/self/oom_score_adj'
def score(): return pathlib.Path(own).read_text().strip()
print('kernel=' + score())
for path in (own, '/proc/thread-self/../../oom_score_adj', '/proc/1/oom_score_adj'):
    report('write ' + path, lambda: write(path))
report('control', lambda: write('/tmp/control'))
print('still=' + score())
print('child=' + subprocess.run(['cat', own], capture_output=True, text=True).stdout.strip())"""


@each_user
def test_session_cannot_open_files_of_proc_for_writing(shared_attacker: Attacker) -> None:
    outcomes = PYTHON.outcomes(shared_attacker, WRITABLE_IN_PROC)
    assert outcomes["control"] == "ok"
    assert outcomes["writable"] == ""


@each_user
def test_session_cannot_let_processes_of_other_sessions_be_ended_first(shared_attacker: Attacker) -> None:
    """The kernel ends the process with the highest score at the memory limit of all sessions together."""
    outcomes = PYTHON.outcomes(shared_attacker, OUT_OF_MEMORY_SCORES)
    refused = {name: outcomes.pop(name) for name in list(outcomes) if name.startswith("write ")}
    assert len(refused) == 3
    assert set(refused.values()) <= {"EROFS", "EACCES"}
    assert outcomes == {"control": "ok", **dict.fromkeys(("kernel", "still", "child"), "1000")}
    for score in shared_attacker.shell("cat /proc/self/oom_score_adj")["stdout"], task_score(shared_attacker):
        assert score.strip() == "1000"


def task_score(attacker: Attacker) -> str:
    """Returns the score of a background command."""
    task = attacker.invoke("startCommandExecution", command="cat /proc/self/oom_score_adj")["structuredContent"]
    while (state := attacker.invoke("getTask", taskId=task["taskId"])["structuredContent"])["taskStatus"] == "working":
        time.sleep(0.05)
    return state["stdout"]


def test_the_health_probe_notices_harm() -> None:
    healthy = measure()
    assert harm_since(healthy) == {}
    assert set(harm_since(replace(healthy, workers=-1000), seconds=0)) == {"workers"}
