"""System calls made on the host, outside any sandbox: the control for calls that a sandbox refuses.

Each call is made by a separate process, which then exits. As root the processes run in new namespaces, so that a call
that succeeds (a mount, a host name) does not change the host.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.system_calls import Buffer, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.system_calls import Attempt

PROGRAM = """
import ctypes, errno, fcntl, json, os, pty, sys, tempfile, termios
keyctl, join_session_keyring, user, calls = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
folder = tempfile.TemporaryDirectory(dir='/dev/shm')
os.chmod(folder.name, 0o777)
os.chdir(folder.name)
def result(number, words):
    values = [ctypes.create_string_buffer(word['buffer']) if isinstance(word, dict) else
              word.encode() if isinstance(word, str) else word for word in words]
    ctypes.set_errno(0)
    return 0 if libc.syscall(number, *values) >= 0 else ctypes.get_errno()
results = {}
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
        os.write(writing, b'%d ' % result(number, words))  # a process that the call created writes here as well
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    results[name] = int(os.read(reading, 100).split()[0])
    for descriptor in (reading, terminal, own):
        os.close(descriptor)
print(json.dumps(results))
"""
KEYCTL_JOIN_SESSION_KEYRING = 1
NEW_NAMESPACES = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc")


def outcomes_on_host(calls: Mapping[str, Attempt], *, user: int | None = None) -> dict[str, str]:
    """Makes system calls on the host. Returns "ok" or the name of the errno, by name.

    Args:
        calls: the calls by name.
        user: user id to make them as. By default the user that runs the tests.
    """
    words = {
        name: [{"buffer": word.size} if isinstance(word, Buffer) else word for word in one.arguments]
        for name, one in calls.items()
    }
    text = json.dumps([number_of("keyctl"), KEYCTL_JOIN_SESSION_KEYRING, user, words])
    command = [*(NEW_NAMESPACES if os.geteuid() == 0 else ()), sys.executable, "-c", PROGRAM, text]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    numbers: dict[str, int] = json.loads(output)
    return {name: errno.errorcode[number] if number else "ok" for name, number in numbers.items()}
