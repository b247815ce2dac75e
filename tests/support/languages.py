"""The languages that code in a sandbox is written in: how a program is run, and how its outcomes are read.

A program prints each outcome as `NAME=VALUE`. The value is "ok", the attempt's result, or the name of the errno that
the attempt failed with.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.system_calls import Buffer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.hostile_session import Attacker
    from tests.support.system_calls import Attempt

PYTHON_PRELUDE = """
import ctypes, errno, json, os, signal, socket, subprocess, sys, time
_libc = ctypes.CDLL(None, use_errno=True)
def report(name, action):
    try:
        value = action()
    except OSError as error:
        value = errno.errorcode.get(error.errno, str(error))
    print(f"{name}={'ok' if value is None else value}", flush=True)
def call(number, *arguments):
    values = [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
    if _libc.syscall(number, *values) < 0:
        raise OSError(ctypes.get_errno(), '')
def buffer(size):
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
        datagrams.send(b'x')  # fails with the error that the first datagram caused
def resolve(name):
    socket.getaddrinfo(name, 443)
read_link, hard_link, symbolic_link, fifo, signal_to = os.readlink, os.link, os.symlink, os.mkfifo, os.kill
"""

ERRORS = ("EPERM", "EACCES", "ENOENT", "EINVAL", "ESRCH", "ENOTDIR", "EISDIR", "EIO")
"""Errors of `read` and `names` that a shell's programs print as text."""
SHELL_PRELUDE = (
    """
read() { head -c 100000 -- "$1" | tr '\\0\\n' '||'; test "${PIPESTATUS[0]}" = 0; }
names() { ls -A -- "$1" | tr '\\n' ' '; test "${PIPESTATUS[0]}" = 0; }
udp() { (exec 3<>"/dev/udp/$1/$2" && printf x >&3 && sleep 0.1 && printf x >&3); }
report() {
  name=$1; shift
  if output=$("$@" 2>&1); then printf '%s=%s\\n' "$name" "${output:-ok}"
  else printf '%s=%s\\n' "$name" "$(errno_of "$output")"; fi
}
errno_of() {
  case $1 in
"""
    + "".join(f'    *"{os.strerror(getattr(errno, name))}"*) echo {name};;\n' for name in ERRORS)
    + "    *) echo \"$1\" | tr '\\n' ' ';;\n  esac\n}\n"
)

DENO_PRELUDE = (
    f"const errors = {json.dumps(errno.errorcode)};\n"
    + """
const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: Array(7).fill("i64"), result: "i64" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;
function call(number, ...values) {
  const words = values.map((value) =>
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
const names = (path) => Array.from(Deno.readDirSync(path), (entry) => entry.name).sort().join(" ");
async function report(name, action) {
  let value;
  try { value = await action(); } catch (error) {
    const number = /os error (\\d+)/.exec(error.message ?? "");
    value = number ? errors[number[1]] : error.code ?? String(error);
  }
  console.log(`${name}=${value ?? "ok"}`);
}
"""
)


@dataclass(frozen=True)
class Language:
    """A language, and the tool that runs it.

    Attributes:
        name: key of this language in tables of programs.
        tool: runs a program in a session and returns the tool's stdout, stderr and exit code.
        prelude: source code that defines `report` and the verbs.
        statement: returns the source code that makes an attempt and reports its outcome under a name.
    """

    name: str
    tool: Callable[[Attacker, str], dict[str, Any]]
    prelude: str
    statement: Callable[[str, Attempt], str]

    def run(self, attacker: Attacker, program: str) -> dict[str, Any]:
        """Runs a program after the prelude. Returns the tool's stdout, stderr and exit code."""
        return self.tool(attacker, self.prelude + program)

    def outcomes(self, attacker: Attacker, program: str) -> dict[str, str]:
        """Runs a program that must succeed. Returns the outcomes that it printed, by name."""
        content = self.run(attacker, program)
        assert content["exitCode"] == 0, content
        lines = (line.partition("=") for line in content["stdout"].splitlines())
        return {name: outcome for name, equals, outcome in lines if equals}

    def attempt_all(self, attacker: Attacker, attempts: Mapping[str, Attempt]) -> dict[str, str]:
        """Makes all attempts in one program. Returns the outcomes by name."""
        return self.outcomes(attacker, "\n".join(self.statement(name, one) for name, one in attempts.items()))


def _python_statement(name: str, attempt: Attempt) -> str:
    words = [f"buffer({word.size})" if isinstance(word, Buffer) else repr(word) for word in attempt.arguments]
    return f"report({name!r}, lambda: {attempt.verb}({', '.join(words)}))"


def _shell_statement(name: str, attempt: Attempt) -> str:
    return shlex.join(["report", name, attempt.verb, *map(str, attempt.arguments)])


def _deno_statement(name: str, attempt: Attempt) -> str:
    words = ", ".join(map(json.dumps, attempt.arguments))
    return f"await report({json.dumps(name)}, () => {attempt.verb}({words}));"


PYTHON = Language("python", lambda attacker, text: attacker.python(text), PYTHON_PRELUDE, _python_statement)
SHELL = Language("shell", lambda attacker, text: attacker.shell(text), SHELL_PRELUDE, _shell_statement)
DENO = Language("deno", lambda attacker, text: attacker.deno(text), DENO_PRELUDE, _deno_statement)
LANGUAGES = {language.name: language for language in (PYTHON, SHELL, DENO)}
