"""Code that exhausts resources: limits apply, its session stays usable, and other sessions are not affected."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_agentcore.sandbox.cgroups import MEMORY, ROOT, TCP_DIVISOR, TCP_FILE
from local_agentcore.sandbox.memory import descendants
from tests.support.languages import LANGUAGES, PYTHON
from tests.support.processes import wait_until
from tests.support.sandbox_host import (
    MEMORY_MIB,
    OUTPUT_MIB,
    each_language,
    each_user,
    each_user_and_language,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.hostile_session import Attacker
    from tests.support.languages import Language
    from tests.support.sandbox_host import Host

FORK_UNTIL_REFUSED = """
started, refused = [], 'never'
for _ in range(5000):
    try:
        child = os.fork()
    except OSError as error:
        refused = errno.errorcode[error.errno]
        break
    if child == 0:
        time.sleep(60)
        os._exit(0)
    started.append(child)
for child in started:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(f'started={len(started)}\\nrefused={refused}')"""


@each_user  # the kernel counts processes per user of the host
def test_processes_are_bounded_and_the_session_stays_usable(attacker: Attacker) -> None:
    outcomes = PYTHON.outcomes(attacker, FORK_UNTIL_REFUSED)
    assert 10 < int(outcomes["started"]) < 300
    assert outcomes["refused"] == "EAGAIN"
    assert attacker.is_responsive()


FORK_BOMB = """
if not os.fork():
    os.setsid()
    while True:
        try:
            os.fork()
        except OSError:
            pass"""


@each_user
def test_fork_bomb_does_not_affect_other_sessions_and_ends_with_its_session(
    new_attacker: Callable[[], Attacker], host: Host
) -> None:
    attacker, other = new_attacker(), new_attacker()
    before = set(descendants(host.process))
    PYTHON.run(attacker, FORK_BOMB)
    peak = 0
    for _ in range(5):
        assert other.is_responsive()
        peak = max(peak, len(set(descendants(host.process)) - before))
    assert 10 < peak < 300
    attacker.stop()
    assert other.is_responsive()


BUSY = {
    "python": """
for _ in range(40):
    if not os.fork():
        while True:
            pass""",
    "shell": "for n in $(seq 40); do (while :; do :; done) >/dev/null 2>&1 & done",
    "deno": """
const busy = { args: ["-c", "while :; do :; done"], stdout: "null", stderr: "null" };
for (let number = 0; number < 40; number++) new Deno.Command("sh", busy).spawn().unref();
Deno.exit(0);""",
}


@each_user_and_language  # a language's process gets its priority when it starts; only root has control groups
def test_busy_processes_leave_processor_time_for_other_sessions(
    new_attacker: Callable[[], Attacker], language: Language, host: Host
) -> None:
    attacker, other = new_attacker(), new_attacker()
    language.run(attacker, BUSY[language.name])
    assert other.is_responsive()
    assert attacker.is_responsive()
    assert len(running(host)) >= 20


def running(host: Host) -> list[int]:
    """Returns the runnable processes below an emulator."""
    runnable: list[int] = []
    for process in descendants(host.process):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "R":
            runnable.append(process)
    return runnable


PRIVATE_MEMORY = {
    "python": "blocks = [bytearray(b'x') * (64 << 20) for _ in range(COUNT)]",
    "shell": "head -c $((COUNT * 64))M /dev/zero | tail -c $((COUNT * 64))M | wc -c",  # tail buffers all of it
    "deno": "const blocks = Array.from({ length: COUNT }, () => new Uint8Array(64 << 20).fill(1));",
}
SHARED_MEMORY = (
    "import mmap\nblocks = [mmap.mmap(-1, 64 << 20) for _ in range(COUNT)]\nfor m in blocks: m.write(b'x' * len(m))"
)
"""Anonymous shared memory, which several processes could map."""
DEVICE_MEMORY = """
import mmap
file = open('/dev/zero', 'r+b', buffering=0)
assert file.read(9) == bytes(9)
blocks = [mmap.mmap(file.fileno(), 64 << 20) for _ in range(COUNT)]
for m in blocks: m.write(b'x' * len(m))"""
"""A shared mapping of /dev/zero."""
SPREAD_MEMORY = """
children = []
for _ in range(COUNT):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        block = bytearray(b'x') * (64 << 20)
        os.write(writing, b'x')
        time.sleep(60)
        os._exit(0)
    children.append(child)
    os.close(writing)
    os.read(reading, 1)  # it has allocated its memory, or was killed
for child in children: os.kill(child, signal.SIGKILL)"""
"""Many processes with a little memory each."""

REFUSED_MEMORY = ("Operation not permitted", "No such device", "ENODEV")
"""Errors of shared memory without a file. It is refused without a control group, because nothing would count it."""

KERNEL_MEMORY = {
    "sockets": """
children = []
for _ in range(COUNT // 2):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        pairs = [socket.socketpair() for _ in range(310)]
        for one in (end for pair in pairs for end in pair):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            one.setblocking(False)
            try:
                for _ in range(8): one.send(b'x' * 65536)
            except OSError: pass
        os.write(writing, b'x')
        time.sleep(60)
        os._exit(0)
    children.append(child)
    os.close(writing)
    os.read(reading, 1)
time.sleep(1)  # the watchdog scans at intervals
for child in children: os.kill(child, signal.SIGKILL)""",
    "sockets without a descriptor": """
server = socket.socket(socket.AF_UNIX)
server.bind(f'\\0pending-{os.getpid()}')
server.listen(4096)
for _ in range(COUNT * 310):  # the client closes before the server accepts
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(server.getsockname())
        one.setblocking(False)
        try:
            for _ in range(8): one.send(b'x' * 65536)
        except OSError: pass
time.sleep(1)""",
    "page tables": """
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for _ in range(COUNT * 32):  # reading allocates a page table of 4 KiB per 2 MiB, and no page of memory
    start = _libc.mmap(None, 1 << 30, 1, 0x4022, -1, 0)
    for offset in range(0, 1 << 30, 2 << 20): ctypes.c_char.from_address(start + offset).value""",
}


# Each test starts a new kernel in the shared session, and asserts that the session is still usable.


@each_user  # a control group or a watchdog counts memory
@pytest.mark.parametrize("program", KERNEL_MEMORY.values(), ids=list(KERNEL_MEMORY))
def test_kernel_memory_is_bounded(shared_attacker: Attacker, program: str) -> None:
    allowed = PYTHON.run(shared_attacker, program.replace("COUNT", "2"))
    assert (allowed["exitCode"], allowed["stderr"]) == (0, "")
    shared_attacker.python("1", clearContext=True)  # releases the memory
    content = PYTHON.run(shared_attacker, program.replace("COUNT", "12"))
    assert f"memory limit of {MEMORY_MIB} MiB was reached" in content["stderr"], content
    shared_attacker.python("1")
    assert shared_attacker.is_responsive()


BUFFERED_BY_TCP = """
server = socket.create_server(('127.0.0.1', 0))
one = socket.create_connection(server.getsockname())
one.setblocking(False)
sent = 0
try:
    while True: sent += one.send(b'x' * 65536)
except BlockingIOError: print(f'sent={sent}')"""


@each_user  # the limit is that of a network namespace
def test_connections_buffer_little_because_the_machine_has_one_amount_of_memory_for_tcp(
    shared_attacker: Attacker, host: Host
) -> None:
    assert 4096 < int(PYTHON.outcomes(shared_attacker, BUFFERED_BY_TCP)["sent"]) < 300_000
    if "version 1" in host.emulator.state:  # which counts memory for TCP separately
        groups = {group for process in descendants(host.process) if (group := memory_group(process))}
        limits = {int((ROOT / MEMORY / group / TCP_FILE).read_text()) for group in groups}
        assert (MEMORY_MIB << 20) // TCP_DIVISOR in limits


def memory_group(process: int) -> str | None:
    """Returns the path of a process's memory group of version 1. None if it has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
        return next(path.lstrip("/") for line in lines for _, name, path in [line.split(":", 2)] if name == MEMORY)
    return None


MEMORY_PROGRAMS = [
    *(pytest.param(LANGUAGES[name], text, (), id=f"{name}, private") for name, text in PRIVATE_MEMORY.items()),
    pytest.param(PYTHON, SHARED_MEMORY, REFUSED_MEMORY, id="python, shared"),
    pytest.param(PYTHON, DEVICE_MEMORY, REFUSED_MEMORY, id="python, /dev/zero"),
    pytest.param(PYTHON, SPREAD_MEMORY, (), id="python, spread"),
]


@each_user  # a control group or a watchdog counts memory
@pytest.mark.parametrize(("language", "program", "refused"), MEMORY_PROGRAMS)
def test_memory_is_bounded_and_the_session_stays_usable(
    shared_attacker: Attacker, language: Language, program: str, refused: tuple[str, ...], host: Host
) -> None:
    attacker = shared_attacker
    attacker.python("kept = 1", clearContext=True)
    allowed = language.run(attacker, program.replace("COUNT", "2"))
    assert (allowed["exitCode"], allowed["stderr"]) == (0, "") or any(text in allowed["stderr"] for text in refused)
    content = language.run(attacker, program.replace("COUNT", "12"))
    bounded = (f"memory limit of {MEMORY_MIB} MiB was reached", *refused)
    assert any(text in content["stderr"] for text in bounded), content
    after = attacker.python("kept")
    if language is not PYTHON:  # a control group kills the largest process, a watchdog all of them
        assert after["stdout"] == "1" or (not host.counts_memory and "its variables are lost" in after["stderr"])
    assert attacker.is_responsive()


def has_kernel(attacker: Attacker) -> bool:
    """Returns whether the kernel is running, or has ended and the supervisor does not know it yet."""
    return attacker.shell("pgrep -x ipykernel")["exitCode"] == 0


def test_a_kernel_that_dies_before_the_first_program_is_replaced(attacker: Attacker) -> None:
    """A machine without memory kills idle kernels first. No variables are lost."""
    attacker.shell("pkill -KILL -x ipykernel")
    wait_until(lambda: not has_kernel(attacker))
    first = attacker.python("kept = 41\nprint(kept + 1)")
    assert (first["exitCode"], first["stdout"], first["stderr"]) == (0, "42", "")
    attacker.shell("pkill -KILL -x ipykernel")
    wait_until(lambda: not has_kernel(attacker))
    died = attacker.python("print(kept)")["stderr"]
    assert "The Python kernel died (signal 9, SIGKILL): its variables are lost" in died
    assert "memory" not in died


HOARD_LATER = """
import os, threading, time
def hoard():
    while not os.path.exists('go-on'): time.sleep(0.01)
    blocks = []
    while True: blocks.append(bytearray(b'x') * (16 << 20))
threading.Thread(target=hoard, daemon=True).start()"""


@each_user  # a control group or a watchdog counts memory
def test_a_kernel_that_exceeds_the_memory_between_programs_is_reported_with_the_cause(attacker: Attacker) -> None:
    assert attacker.python(HOARD_LATER)["exitCode"] == 0
    # One command waits: while the supervisor starts a command, it is a victim itself, which ends the session.
    attacker.shell("touch go-on; while pgrep -x ipykernel; do sleep 0.05; done")
    wait_until(lambda: not has_kernel(attacker))
    died = attacker.python("1")["stderr"]
    assert f"memory limit of {MEMORY_MIB} MiB was reached" in died
    assert "The Python kernel died (signal 9, SIGKILL)" in died
    assert attacker.is_responsive()


FILL_DISK = """
os.chdir(FOLDER)
def flood():
    with open('flood', 'wb', buffering=0) as file:
        for _ in range(4096):
            file.write(b'x' * (1 << 20))
def many():
    os.mkdir('many')
    for number in range(200_000):
        os.close(os.open(f'many/{number}', os.O_CREAT | os.O_WRONLY))
report('control', lambda: write('control'))
report('bytes', flood)
os.remove('flood')
report('files', many)"""


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])  # noqa: S108  in the sandbox
def test_disk_is_bounded_in_bytes_and_in_files(attacker: Attacker, folder: str) -> None:
    outcomes = PYTHON.outcomes(attacker, FILL_DISK.replace("FOLDER", repr(folder)))
    assert outcomes == {"control": "ok", "bytes": "ENOSPC", "files": "ENOSPC"}
    assert attacker.is_responsive()


MUCH_OUTPUT = {
    "python": "for _ in range(1000):\n    os.write(1, b'x' * 65536)\n    os.write(2, b'y' * 65536)",
    "shell": "head -c 64M /dev/zero | tr '\\0' x; head -c 64M /dev/zero | tr '\\0' y >&2",
    "deno": """
const [x, y] = [new Uint8Array(65536).fill(120), new Uint8Array(65536).fill(121)];
for (let number = 0; number < 1000; number++) { Deno.stdout.writeSync(x); Deno.stderr.writeSync(y); }""",
}


@each_language  # output comes from pipes or from a terminal
def test_output_over_the_limit_is_truncated_with_a_note(shared_attacker: Attacker, language: Language) -> None:
    attacker = shared_attacker
    assert attacker.python("print('x' * 1000)")["stdout"] == "x" * 1000
    content = language.run(attacker, MUCH_OUTPUT[language.name])
    assert content["exitCode"] == 0
    assert len(content["stdout"]) + len(content["stderr"]) < (OUTPUT_MIB << 20) + 1000
    assert f"output limit of {OUTPUT_MIB} MiB" in content["stderr"]


ENDLESS_OUTPUT = {
    "python": "if not os.fork():\n    while True: os.write(1, b'x' * 65536)",
    "shell": "(trap '' HUP; while :; do echo noise; done) &",
    "deno": 'new Deno.Command("yes").spawn().unref();\nDeno.exit(0);',
}


@each_language
def test_process_that_prints_forever_does_not_block_a_call(attacker: Attacker, language: Language) -> None:
    for _ in range(2):
        content = language.run(attacker, ENDLESS_OUTPUT[language.name])
        assert len(content["stdout"]) < (OUTPUT_MIB << 20) + 1000
    assert attacker.python("1 + 1")["exitCode"] == 0
    assert attacker.shell("echo alive")["stdout"] == "alive\r\n"


@each_user  # the kernel counts processes per user of the host
def test_processes_of_a_session_do_not_count_for_another_session(new_attacker: Callable[[], Attacker]) -> None:
    sleepers = "for _ in range(200): subprocess.Popen(['sleep', '60'])\nprint('started=200')"
    for attacker in (new_attacker(), new_attacker()):
        assert PYTHON.outcomes(attacker, sleepers) == {"started": "200"}
    assert len(os.listdir("/proc")) > 400  # noqa: PTH208  of both sessions
