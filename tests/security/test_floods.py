"""Code that takes all it can get: it is bounded, its session lives on, and other sessions do not notice."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_agentcore.sandbox.memory import descendants
from tests.security.conftest import MEMORY_MIB, OUTPUT_MIB
from tests.security.speakers import PYTHON, SPEAKERS, number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.security.conftest import Attacker, Host
    from tests.security.speakers import Speaker

PROCESSES = {
    "python": """
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
print(f'started={len(started)}\\nrefused={refused}')""",
    # A bash that cannot fork tries again for a while, a dash says so and ends.
    "shell": """
said=$(timeout 5 sh -c 'trap "kill 0" EXIT; for n in $(seq 2000); do sleep 60 & echo $n; done' 2>&1)
echo "started=$(echo "$said" | grep -c '^[0-9]*$')"
case $said in
  *"Resource temporarily unavailable"* | *"Cannot fork"*) echo refused=EAGAIN;;
  *) echo refused=never;;
esac""",
    "deno": """
const started = [];
let refused = "never";
for (let number = 0; number < 5000 && refused === "never"; number++) {
  try { started.push(new Deno.Command("sleep", { args: ["60"] }).spawn()); } catch (error) {
    refused = errors[/os error (\\d+)/.exec(error.message)[1]];
  }
}
for (const child of started) { child.kill("SIGKILL"); await child.status; }
console.log(`started=${started.length}\\nrefused=${refused}`);""",
}


def test_processes_are_bounded_and_the_session_lives(attacker: Attacker, speaker: Speaker) -> None:
    answers = speaker.told(attacker, PROCESSES[speaker.name])
    assert 10 < int(answers["started"]) < 300
    assert answers["refused"] == "EAGAIN"
    assert attacker.lives()


FORK_BOMB = {
    "python": """
if not os.fork():
    os.setsid()
    while True:
        try:
            os.fork()
        except OSError:
            pass""",
    "shell": "bomb() { bomb | bomb & }; (setsid bash -c 'bomb() { bomb | bomb & }; while :; do bomb; done' &) >&- 2>&-",
    "deno": """
const bomb = "bomb() { bomb | bomb & }; while :; do bomb; done";
new Deno.Command("bash", { args: ["-c", bomb], stdout: "null", stderr: "null" }).spawn().unref();
Deno.exit(0);""",
}


def test_a_fork_bomb_hurts_nobody_else_and_ends_with_its_session(
    attackers: Callable[[], Attacker], speaker: Speaker, host: Host
) -> None:
    attacker, other = attackers(), attackers()
    before = set(descendants(host.process))
    speaker.said(attacker, FORK_BOMB[speaker.name])
    most = 0
    for _ in range(10):
        assert other.lives()
        most = max(most, len(set(descendants(host.process)) - before))
    assert 10 < most < 300
    attacker.stop()
    assert other.lives()


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


def test_busy_processes_leave_time_for_others(attackers: Callable[[], Attacker], speaker: Speaker, host: Host) -> None:
    attacker, other = attackers(), attackers()
    speaker.said(attacker, BUSY[speaker.name])
    for _ in range(5):
        assert other.lives()
        assert attacker.lives()
    assert len(running(host)) >= 20


def running(host: Host) -> list[int]:
    """Returns the processes below an emulator that have or want a processor."""
    found: list[int] = []
    for process in descendants(host.process):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state == "R":
            found.append(process)
    return found


HOARDS = {
    "python": "hoard = [bytearray(b'x') * (64 << 20) for _ in range(COUNT)]",
    "shell": "head -c $((COUNT * 64))M /dev/zero | tail -c $((COUNT * 64))M | wc -c",  # tail keeps all of it
    "deno": "const hoard = Array.from({ length: COUNT }, () => new Uint8Array(64 << 20).fill(1));",
}
SHARED = {
    "python": (
        "import mmap\nhoard = [mmap.mmap(-1, 64 << 20) for _ in range(COUNT)]\nfor m in hoard: m.write(b'x' * len(m))"
    ),
    "deno": """
const shared = () => new Uint8Array(new SharedArrayBuffer(64 << 20)).fill(1);
const hoard = Array.from({ length: COUNT }, shared);""",
}
"""Memory of several processes or threads, without a name. A shell's tools share files in /dev/shm, whose limit
`test_disk_is_bounded_in_bytes_and_in_files` tries; none of them shares pages otherwise."""
SHARED_BY_DEVICE = {
    "python": """
import mmap
file = open('/dev/zero', 'r+b', buffering=0)
assert file.read(9) == bytes(9)
hoard = [mmap.mmap(file.fileno(), 64 << 20) for _ in range(COUNT)]
for m in hoard: m.write(b'x' * len(m))""",
    "deno": f"""
const file = call({number_of("openat")}, -100, "/dev/zero", 2, 0);
for (let number = 0; number < COUNT; number++) {{
  const start = call({number_of("mmap")}, 0, 64 << 20, 3, 1, file, 0);  // may be read and written, shared
  if (call({number_of("read")}, file, start, 64 << 20) < 1n) throw new Error("nothing was read");
}}""",
}
"""A shared mapping of /dev/zero. None of a shell's tools maps a file to write to it."""
SPREAD = {
    "python": """
children = []
for _ in range(COUNT):
    ready, said = os.pipe()
    child = os.fork()
    if child == 0:
        hoard = bytearray(b'x') * (64 << 20)
        os.write(said, b'x')
        time.sleep(60)
        os._exit(0)
    children.append(child)
    os.close(said)
    os.read(ready, 1)  # it has all it wants, or was ended
for child in children: os.kill(child, signal.SIGKILL)""",
    "shell": """
for n in $(seq COUNT); do
  mkfifo ready$n
  (head -c 64M /dev/zero; echo >ready$n; sleep 60) 2>/dev/null | tail -c 64M >/dev/null &
  read line <ready$n
done
kill $(jobs -p)""",
    "deno": """
const hoard = "const hoard = new Uint8Array(64 << 20).fill(1); console.log(hoard.length); setTimeout(() => {}, 60000);";
const options = { args: ["eval", hoard], stdout: "piped", stderr: "null" };
const children = [];
for (let number = 0; number < COUNT; number++) {
  children.push(new Deno.Command(Deno.execPath(), options).spawn());
  await children.at(-1).stdout.getReader().read();  // it has all it wants, or was ended
}
for (const child of children) try { child.kill("SIGKILL"); } catch { /* it was ended */ }""",
}
"""In many processes, each of which has little."""

NO_SUCH_MEMORY = ("Operation not permitted", "No such device", "ENODEV")
"""Without a control group there is no memory that is shared and in no file, since nothing would count it."""

IN_THE_KERNEL = {
    "sockets": """
children = []
for _ in range(COUNT // 2):
    ready, said = os.pipe()
    child = os.fork()
    if child == 0:
        pairs = [socket.socketpair() for _ in range(310)]
        for one in (end for pair in pairs for end in pair):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
            one.setblocking(False)
            try:
                for _ in range(8): one.send(b'x' * 65536)
            except OSError: pass
        os.write(said, b'x')
        time.sleep(60)
        os._exit(0)
    children.append(child)
    os.close(said)
    os.read(ready, 1)
time.sleep(1)  # a watchdog looks at times
for child in children: os.kill(child, signal.SIGKILL)""",
    "page tables": """
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for _ in range(COUNT * 32):  # a page table of 4 KiB for each 2 MiB that are looked at, and not a page of memory
    start = _libc.mmap(None, 1 << 30, 1, 0x4022, -1, 0)
    for offset in range(0, 1 << 30, 2 << 20): ctypes.c_char.from_address(start + offset).value""",
}


@pytest.mark.parametrize("hoard", IN_THE_KERNEL.values(), ids=list(IN_THE_KERNEL))
def test_memory_that_the_kernel_holds_for_it_is_bounded(attacker: Attacker, hoard: str) -> None:
    # By Python alone: it is the kernel's memory, whoever asks for it.
    allowed = PYTHON.said(attacker, hoard.replace("COUNT", "2"))
    assert (allowed["exitCode"], allowed["stderr"]) == (0, "")
    attacker.python("1", clear=True)  # which gives it back
    content = PYTHON.said(attacker, hoard.replace("COUNT", "12"))
    assert f"memory limit of {MEMORY_MIB} MiB was reached" in content["stderr"], content
    attacker.python("1")
    assert attacker.lives()


@pytest.mark.parametrize(
    ("speaker", "hoard"),
    [
        pytest.param(SPEAKERS[language], text, id=f"{language}, {kind}")
        for kind, texts in (
            ("private", HOARDS),
            ("shared", SHARED),
            ("/dev/zero", SHARED_BY_DEVICE),
            ("spread", SPREAD),
        )
        for language, text in texts.items()
        if language in SPEAKERS
    ],
)
def test_memory_is_bounded_and_the_session_lives(attacker: Attacker, speaker: Speaker, hoard: str, host: Host) -> None:
    attacker.python("kept = 1")
    allowed = speaker.said(attacker, hoard.replace("COUNT", "2"))
    refused = NO_SUCH_MEMORY if hoard in (*SHARED.values(), *SHARED_BY_DEVICE.values()) else ()
    assert (allowed["exitCode"], allowed["stderr"]) == (0, "") or any(words in allowed["stderr"] for words in refused)
    content = speaker.said(attacker, hoard.replace("COUNT", "12"))
    bounded = (f"memory limit of {MEMORY_MIB} MiB was reached", *refused)
    assert any(words in content["stderr"] for words in bounded), content
    after = attacker.python("kept")
    if speaker is not PYTHON:  # a control group has the worst ended, a watchdog all of it, and the next call says so
        assert after["stdout"] == "1" or (not host.counts_memory and "its variables are lost" in after["stderr"])
    assert attacker.lives()


DISK = {
    "python": """
os.chdir(FOLDER)
def flood():
    with open('flood', 'wb', buffering=0) as file:
        for _ in range(4096):
            file.write(b'x' * (1 << 20))
def many():
    os.mkdir('many')
    for number in range(200_000):
        os.close(os.open(f'many/{number}', os.O_CREAT | os.O_WRONLY))
tell('control', lambda: write('control'))
tell('bytes', flood)
os.remove('flood')
tell('files', many)""",
    "shell": """
cd FOLDER
bytes() { head -c 4G /dev/zero >flood; }
files() { mkdir many; seq -f many/%g 200000 | xargs touch 2>&1 | head -1; return 1; }
tell control write control
tell bytes bytes
rm flood
tell files files""",
    "deno": """
Deno.chdir(FOLDER);
const mebibyte = new Uint8Array(1 << 20).fill(1);
await tell("control", () => write("control"));
await tell("bytes", () => {
  const file = Deno.openSync("flood", { create: true, write: true });
  for (let number = 0; number < 4096; number++) file.writeSync(mebibyte);
});
Deno.removeSync("flood");
await tell("files", () => {
  Deno.mkdirSync("many");
  for (let number = 0; number < 200_000; number++) Deno.createSync(`many/${number}`).close();
});""",
}


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])  # noqa: S108  the sandbox's own
def test_disk_is_bounded_in_bytes_and_in_files(attacker: Attacker, speaker: Speaker, folder: str) -> None:
    answers = speaker.told(attacker, DISK[speaker.name].replace("FOLDER", repr(folder)))
    assert answers == {"control": "ok", "bytes": "ENOSPC", "files": "ENOSPC"}
    assert attacker.lives()


LOUD = {
    "python": "for _ in range(1000):\n    os.write(1, b'x' * 65536)\n    os.write(2, b'y' * 65536)",
    "shell": "head -c 64M /dev/zero | tr '\\0' x; head -c 64M /dev/zero | tr '\\0' y >&2",
    "deno": """
const [x, y] = [new Uint8Array(65536).fill(120), new Uint8Array(65536).fill(121)];
for (let number = 0; number < 1000; number++) { Deno.stdout.writeSync(x); Deno.stderr.writeSync(y); }""",
}


def test_a_flood_of_output_is_cut_and_said(attacker: Attacker, speaker: Speaker) -> None:
    said = attacker.python("print('x' * 1000)")["stdout"]
    assert said == "x" * 1000
    loud = speaker.said(attacker, LOUD[speaker.name])
    assert loud["exitCode"] == 0
    assert len(loud["stdout"]) + len(loud["stderr"]) < (OUTPUT_MIB << 20) + 1000
    assert f"output limit of {OUTPUT_MIB} MiB" in loud["stderr"]


NEVER_SILENT = {
    "python": "if not os.fork():\n    while True: os.write(1, b'x' * 65536)",
    "shell": "(trap '' HUP; while :; do echo noise; done) &",
    "deno": 'new Deno.Command("yes").spawn().unref();\nDeno.exit(0);',
}


def test_what_never_stops_printing_holds_no_call(attacker: Attacker, speaker: Speaker) -> None:
    for _ in range(2):
        first = speaker.said(attacker, NEVER_SILENT[speaker.name])
        assert len(first["stdout"]) < (OUTPUT_MIB << 20) + 1000
    assert attacker.python("1 + 1")["exitCode"] == 0
    assert attacker.shell("echo alive")["stdout"] == "alive\r\n"


def test_one_sessions_processes_do_not_count_for_another(attackers: Callable[[], Attacker]) -> None:
    sleepers = "for _ in range(200): subprocess.Popen(['sleep', '60'])\nprint('started=200')"
    for attacker in (attackers(), attackers()):
        assert PYTHON.told(attacker, sleepers) == {"started": "200"}
    assert len(os.listdir("/proc")) > 400  # noqa: PTH208  both at once
