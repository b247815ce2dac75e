"""Who speaks in a sandbox: an attempt in Python, shell or Deno, how it is run, and how its answers come back.

A program tells each of its answers by name: "ok" or what the attempt returned, or the errno's name that it failed with.
Attempts that every language can make have a verb, which each language's prelude defines. What a language has no words
for it says in system calls: Python by ctypes, Deno by its FFI, a shell by the Python that every sandbox has.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.security.conftest import Attacker

MACHINES = ("x86_64", "aarch64")
NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "connect": (42, 203),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "getpid": (39, 172),
    "init_module": (175, 105),
    "inotify_init1": (294, 26),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "mlockall": (151, 230),
    "mmap": (9, 222),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "move_pages": (279, 239),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "openat": (257, 56),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "read": (0, 63),
    "reboot": (169, 142),
    "setdomainname": (171, 162),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setpriority": (141, 140),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "setuid": (105, 146),
    "socket": (41, 198),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "write": (1, 64),
}
"""System calls by number, on each machine: libc has no function for some of them."""


def number_of(name: str) -> int:
    """Returns a system call's number on this machine, which is the sandbox's as well."""
    return NUMBERS[name][MACHINES.index(os.uname().machine)]


@dataclass(frozen=True)
class Room:
    """An empty buffer of so many bytes, as an argument of a system call."""

    size: int


@dataclass(frozen=True)
class Attempt:
    """A verb of the preludes, and its arguments."""

    verb: str
    arguments: tuple[int | str | Room, ...]


def attempt(verb: str, *arguments: int | str) -> Attempt:
    """Returns an attempt.

    `read`, `write`, `names` (of a folder), `read_link`, `fifo` and `connect` (to a Unix socket; `@` begins an abstract
    name) take a path; `tcp` and `udp` a host and a port; `look_up` a name; `hard_link` and `symbolic_link` what is
    linked and where; `signal_to` a process and a number.
    """
    return Attempt(verb, arguments)


def call(name: str, *arguments: int | str | Room) -> Attempt:
    """Returns a system call. Texts and rooms are handed over by their address."""
    return Attempt("call", (number_of(name), *arguments))


PYTHON_PRELUDE = """
import ctypes, errno, json, os, signal, socket, subprocess, sys, time
_libc = ctypes.CDLL(None, use_errno=True)
def tell(name, action):
    try:
        value = action()
    except OSError as error:
        value = errno.errorcode.get(error.errno, str(error))
    print(f"{name}={'ok' if value is None else value}", flush=True)
def call(number, *arguments):
    values = [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
    if _libc.syscall(number, *values) < 0:
        raise OSError(ctypes.get_errno(), '')
def room(size):
    return ctypes.create_string_buffer(size)
def read(path):
    with open(path, 'rb') as file:
        return file.read(100_000).decode('utf-8', 'replace').replace('\\0', '|').replace('\\n', '|')
def write(path):
    with open(path, 'a') as file:
        file.write('x')
def names(path):
    return ' '.join(sorted(os.listdir(path)))
def connect(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect('\\0' + path[1:] if path.startswith('@') else path)
def tcp(host, port):
    socket.create_connection((host, port), 10).close()
def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect((host, port))
        datagrams.send(b'x')
        time.sleep(0.1)
        datagrams.send(b'x')  # what the first met is said to the second
def look_up(name):
    socket.getaddrinfo(name, 443)
read_link, hard_link, symbolic_link, fifo, signal_to = os.readlink, os.link, os.symlink, os.mkfifo, os.kill
"""

ERRORS = [
    *("EPERM", "EACCES", "EROFS", "ENOENT", "ENOSPC", "EINVAL", "ENOSYS", "ESRCH", "EAGAIN", "EXDEV", "ECONNREFUSED"),
    *("EAFNOSUPPORT", "ENXIO", "ENODEV", "EBADF", "EEXIST", "ENOMEM", "EMFILE", "EBUSY", "ENOTDIR", "EISDIR", "ELOOP"),
    *("EFBIG", "EIO", "ENOTTY", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"),
]
"""Which a shell's tools say in words; one whose words begin as another's do comes before it."""
BY_PYTHON = """
import ctypes, os, socket, sys
verb, *words = sys.argv[1:]
kept = []
def value(word):
    kind, _, text = word.partition(':')
    kept.append(ctypes.create_string_buffer(int(text)) if kind == 'Room' else text.encode())
    return int(text) if kind == 'int' else kept[-1]
if verb == 'connect':
    try:
        socket.socket(socket.AF_UNIX).connect(chr(0) + words[0][1:] if words[0].startswith('@') else words[0])
    except OSError as error:
        sys.exit(error.strerror)
else:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*map(value, words)) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
"""
SHELL_PRELUDE = (
    f"by_python={shlex.quote(BY_PYTHON)}\n"
    + """
call() { python -I -S -c "$by_python" call "$@"; }
connect() { python -I -S -c "$by_python" connect "$1"; }
read() { head -c 100000 -- "$1" | tr '\\0\\n' '||'; test "${PIPESTATUS[0]}" = 0; }
write() { printf x >>"$1"; }
names() { ls -A -- "$1" | tr '\\n' ' '; test "${PIPESTATUS[0]}" = 0; }
read_link() { readlink -v -- "$1"; }
hard_link() { ln -P -- "$1" "$2"; }
symbolic_link() { ln -s -- "$1" "$2"; }
fifo() { mkfifo -- "$1"; }
signal_to() { kill "-$2" "$1"; }
tcp() { : 3<>"/dev/tcp/$1/$2"; }
udp() { (exec 3<>"/dev/udp/$1/$2" && printf x >&3 && sleep 0.1 && printf x >&3); }
look_up() { getent ahosts "$1" || { echo "Name not known"; return 1; }; }
tell() {
  name=$1; shift
  if said=$("$@" 2>&1); then printf '%s=%s\\n' "$name" "${said:-ok}"
  else printf '%s=%s\\n' "$name" "$(reason "$said")"; fi
}
reason() {
  case $1 in
"""
    + "".join(f'    *"{os.strerror(getattr(errno, name))}"*) echo {name};;\n' for name in ERRORS)
    + "    *) echo \"$1\" | tr '\\n' ' ';;\n  esac\n}\n"
)

IN_DENO = ("close", "connect", "kill", "mknodat", "socket", "write")
DENO_PRELUDE = (
    f"const errors = {json.dumps(errno.errorcode)};\n"
    + "".join(
        f"const {name.upper()} = {number_of(name)};\n"
        for name in ("close", "connect", "kill", "mknodat", "socket", "write")
    )
    + """
const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: Array(7).fill("i64"), result: "i64" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;
const room = (size) => new Uint8Array(size);
const text = (value) => new TextEncoder().encode(value + "\\0");
function call(number, ...values) {
  const kept = values.map((value) => typeof value === "string" ? text(value) : value);
  const words = kept.map((value) =>
    value instanceof Uint8Array ? BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(value))) : BigInt(value));
  const result = libc.syscall(BigInt(number), ...words, ...Array(6 - words.length).fill(0n));
  if (result < 0n) {
    const number = new Deno.UnsafePointerView(libc.__errno_location()).getInt32();
    throw Object.assign(new Error(errors[number]), { code: errors[number] });
  }
  return result;
}
const decoded = (bytes) => new TextDecoder().decode(bytes.slice(0, 100000)).replace(/[\\0\\n]/g, "|");
const read = (path) => decoded(Deno.readFileSync(path));
const write = (path) => Deno.writeTextFileSync(path, "x", { append: true });
const names = (path) => Array.from(Deno.readDirSync(path), (entry) => entry.name).sort().join(" ");
const read_link = (path) => Deno.readLinkSync(path);
const hard_link = (path, name) => Deno.linkSync(path, name);
const symbolic_link = (path, name) => Deno.symlinkSync(path, name);
const fifo = (path) => call(MKNODAT, -100, path, 0o10644, 0);
const signal_to = (process, number) => call(KILL, process, number);
const tcp = async (hostname, port) => (await Deno.connect({ hostname, port })).close();
const look_up = (hostname) => tcp(hostname, 443);
function udp(host, port) {
  const address = new Uint8Array([2, 0, port >> 8, port & 255, ...host.split(".").map(Number), ...Array(8).fill(0)]);
  const descriptor = call(SOCKET, 2, 2, 0);
  try {
    call(CONNECT, descriptor, address, address.length);
    call(WRITE, descriptor, "x", 1);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    call(WRITE, descriptor, "x", 1);
  } finally { call(CLOSE, descriptor); }
}
function connect(path) {
  const address = new Uint8Array(2 + path.length + (path.startsWith("@") ? 0 : 1));
  address.set([1, 0]);
  address.set(text(path).slice(0, path.length), 2);
  if (path.startsWith("@")) address[2] = 0;
  const descriptor = call(SOCKET, 1, 1, 0);
  try { call(CONNECT, descriptor, address, address.length); } finally { call(CLOSE, descriptor); }
}
async function tell(name, action) {
  let value;
  try { value = await action(); } catch (error) {
    const number = /os error (\\d+)/.exec(error.message ?? "");
    value = number ? errors[number[1]] : error.code ?? String(error);
  }
  console.log(`${name}=${value === undefined || typeof value === "bigint" ? "ok" : value}`);
}
"""
)


@dataclass(frozen=True)
class Speaker:
    """A language, and the tool that runs it.

    Attributes:
        name: as the tables' columns are called.
        run: has a session run a program, and returns the tool's stdout, stderr and exit code.
        prelude: defines `tell` and the verbs.
        telling: the text that tells the answer of an attempt under a name.
    """

    name: str
    run: Callable[[Attacker, str], dict[str, Any]]
    prelude: str
    telling: Callable[[str, Attempt], str]

    def said(self, attacker: Attacker, program: str) -> dict[str, Any]:
        """Has a session run a program, and returns the tool's stdout, stderr and exit code."""
        return self.run(attacker, self.prelude + program)

    def told(self, attacker: Attacker, program: str) -> dict[str, str]:
        """Has a session run a program, and returns its answers by name."""
        content = self.said(attacker, program)
        assert content["exitCode"] == 0, content
        lines = (line.partition("=") for line in content["stdout"].splitlines())
        return {name: answer for name, equals, answer in lines if equals}

    def tries(self, attacker: Attacker, attempts: Mapping[str, Attempt]) -> dict[str, str]:
        """Has a session try all of these, and returns the answers by name."""
        return self.told(attacker, "\n".join(self.telling(name, one) for name, one in attempts.items()))


def _python_tells(name: str, attempt: Attempt) -> str:
    words = [f"room({word.size})" if isinstance(word, Room) else repr(word) for word in attempt.arguments]
    return f"tell({name!r}, lambda: {attempt.verb}({', '.join(words)}))"


def _shell_tells(name: str, attempt: Attempt) -> str:
    words = [str(word.size if isinstance(word, Room) else word) for word in attempt.arguments]
    if attempt.verb == "call":
        words = [f"{type(word).__name__}:{text}" for word, text in zip(attempt.arguments, words, strict=True)]
    return shlex.join(["tell", name, attempt.verb, *words])


def _deno_tells(name: str, attempt: Attempt) -> str:
    words = [f"room({word.size})" if isinstance(word, Room) else json.dumps(word) for word in attempt.arguments]
    return f"await tell({json.dumps(name)}, () => {attempt.verb}({', '.join(words)}));"


PYTHON = Speaker("python", lambda attacker, text: attacker.python(text), PYTHON_PRELUDE, _python_tells)
SHELL = Speaker("shell", lambda attacker, text: attacker.shell(text), SHELL_PRELUDE, _shell_tells)
DENO = Speaker("deno", lambda attacker, text: attacker.deno(text), DENO_PRELUDE, _deno_tells)
SPEAKERS = {speaker.name: speaker for speaker in (PYTHON, SHELL, DENO)}
