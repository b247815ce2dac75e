"""The system calls of the tables, made on the host outside of any sandbox: the control of their refusal.

Each is made by a process of its own, which ends at once. As root they are made in namespaces of their own, so that what
succeeds (a mount, a host's name) changes nothing of the host.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.security.speakers import Room, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.security.speakers import Attempt

PROGRAM = """
import ctypes, errno, fcntl, json, os, pty, sys, tempfile, termios
keyctl, join_session_keyring, user, calls = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
folder = tempfile.TemporaryDirectory(dir='/dev/shm')
os.chmod(folder.name, 0o777)
os.chdir(folder.name)
def made(number, words):
    values = [ctypes.create_string_buffer(word['room']) if isinstance(word, dict) else
              word.encode() if isinstance(word, str) else word for word in words]
    ctypes.set_errno(0)
    return 0 if libc.syscall(number, *values) >= 0 else ctypes.get_errno()
answers = {}
for name, (number, *words) in calls.items():
    reading, writing = os.pipe()
    terminal, own = pty.openpty()
    child = os.fork()
    if child == 0:
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        os.setsid()
        fcntl.ioctl(own, termios.TIOCSCTTY, 0)
        os.dup2(own, 1)
        libc.syscall(keyctl, join_session_keyring, None)
        os.write(writing, b'%d ' % made(number, words))  # a process that the call made says so as well
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    answers[name] = int(os.read(reading, 100).split()[0])
    for descriptor in (reading, terminal, own):
        os.close(descriptor)
print(json.dumps(answers))
"""
KEYCTL_JOIN_SESSION_KEYRING = 1
APART = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc")


def answers_on_the_host(calls: Mapping[str, Attempt], *, user: int | None = None) -> dict[str, str]:
    """Makes system calls as this process's user, or as another, and returns "ok" or the errno's name by name."""
    words = {
        name: [{"room": word.size} if isinstance(word, Room) else word for word in one.arguments]
        for name, one in calls.items()
    }
    text = json.dumps([number_of("keyctl"), KEYCTL_JOIN_SESSION_KEYRING, user, words])
    command = [*(APART if os.geteuid() == 0 else ()), sys.executable, "-c", PROGRAM, text]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    numbers: dict[str, int] = json.loads(said)
    return {name: errno.errorcode[number] if number else "ok" for name, number in numbers.items()}
