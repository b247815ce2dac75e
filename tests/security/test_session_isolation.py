"""A session cannot affect another session, neither at the same time nor through files that it leaves behind."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.languages import PYTHON
from tests.support.processes import processes_matching
from tests.support.sandbox_host import each_user
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.hostile_session import Attacker
    from tests.support.sandbox_host import Host

HOME = "/opt/amazon/genesis1p-tools/var"
TOOLS = "/opt/amazon/genesis1p-tools/venv"
INSTALLED = "/opt/amazon/genesis1p-tools/session"
WRITABLE_DIRECTORIES = (HOME, INSTALLED, "/tmp", "/dev/shm")  # noqa: S108  in the sandbox
LIST_COMMANDS = "for one in filter(str.isdigit, os.listdir('/proc')): report(one, lambda: read(f'/proc/{one}/cmdline'))"


@each_user  # all sandboxes of an ordinary user run as that user
def test_session_sees_no_files_or_processes_of_another_session(new_attacker: Callable[[], Attacker]) -> None:
    owner, other = new_attacker(), new_attacker()
    for directory in WRITABLE_DIRECTORIES:
        PYTHON.attempt_all(owner, {"written": attempt("write", f"{directory}/mine")})
    process = owner.python("import subprocess; print(subprocess.Popen(['sleep', '54321']).pid)")["stdout"]
    reads = {directory: attempt("read", f"{directory}/mine") for directory in WRITABLE_DIRECTORIES}
    assert PYTHON.attempt_all(owner, reads) == dict.fromkeys(WRITABLE_DIRECTORIES, "x")
    assert PYTHON.attempt_all(other, reads) == dict.fromkeys(WRITABLE_DIRECTORIES, "ENOENT")
    assert "sleep|54321|" in PYTHON.outcomes(owner, LIST_COMMANDS).values()
    assert "sleep|54321|" not in PYTHON.outcomes(other, LIST_COMMANDS).values()
    assert PYTHON.attempt_all(owner, {"own": attempt("signal_to", int(process), 0)}) == {"own": "ok"}


LISTEN = """
name = '{name}'
listening = socket.socket(socket.AF_UNIX)
listening.bind(name.replace('@', chr(0), 1))
listening.listen(8)
print('listening=yes')"""


@pytest.mark.parametrize("name", ["@{mark}", "/tmp/{mark}", "/dev/shm/{mark}", HOME + "/{mark}"])  # noqa: S108
def test_session_cannot_connect_to_unix_sockets_of_another_session(
    new_attacker: Callable[[], Attacker], name: str
) -> None:
    owner, other = new_attacker(), new_attacker()
    name = name.format(mark=uuid.uuid4().hex)
    assert PYTHON.outcomes(owner, LISTEN.format(name=name)) == {"listening": "yes"}
    connect = {"connect": attempt("connect", name)}
    assert PYTHON.attempt_all(owner, connect) == {"connect": "ok"}
    assert PYTHON.attempt_all(other, connect) == {"connect": "ECONNREFUSED" if name.startswith("@") else "ENOENT"}


@each_user  # root and an ordinary user prepare the file system differently
def test_session_cannot_connect_to_unix_sockets_of_the_host(
    attacker: Attacker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"@{uuid.uuid4().hex}", str(tmp_path_factory.mktemp("s") / "socket")]
    listeners = [socket.socket(socket.AF_UNIX) for _ in names]
    for name, listener in zip(names, listeners, strict=True):
        listener.bind(name.replace("@", "\0", 1))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as control:  # the host can connect
            control.connect(name.replace("@", "\0", 1))
    known = ["/run/docker.sock", "/run/systemd/private", "/var/run/dbus/system_bus_socket"]
    outcomes = PYTHON.attempt_all(attacker, {name: attempt("connect", name) for name in [*names, *known]})
    assert outcomes == {names[0]: "ECONNREFUSED"} | dict.fromkeys([names[1], *known], "ENOENT")
    for listener in listeners:
        listener.close()


CREATE_INOTIFY = """
created = 0
while created < 500 and _libc.inotify_init1(0) >= 0: created += 1
print(f'created={created}')"""
EXHAUST_INOTIFY = (
    "import ctypes; kept = [one for one in (ctypes.CDLL(None).inotify_init1(0) for _ in range(500)) if one >= 0]"
)


@each_user  # the kernel counts inotify instances per user of the host
def test_session_cannot_exhaust_inotify_instances_of_another_session(new_attacker: Callable[[], Attacker]) -> None:
    attacker, other = new_attacker(), new_attacker()
    assert attacker.python(EXHAUST_INOTIFY)["exitCode"] == 0
    assert attacker.python("len(kept)")["stdout"] == "32"
    assert PYTHON.outcomes(attacker, CREATE_INOTIFY) == {"created": "0"}
    assert int(PYTHON.outcomes(other, CREATE_INOTIFY)["created"]) >= 20


# Files that a session leaves behind

SHARED_PATHS = [
    *(f"{TOOLS}/bin/{name}" for name in ("python", "python3", "pip", "deno", "node", "sh", "ls")),
    *(f"{TOOLS}/{name}" for name in ("pyvenv.cfg", "share/matplotlib-cache/x")),
    *(f"{INSTALLED}/pyvenv.cfg", "OWN_SITE/libraries.pth"),
    *(f"SITE/{name}" for name in ("x.pth", "sitecustomize.py", "usercustomize.py", "numpy/__init__.py", "boto3.py")),
    *("/opt/python/lib/x", "/opt/x", "/opt/local-agentcore/guest/supervisor.py", "/opt/local-agentcore/guest/x.so"),
    *("/usr/bin/env", "/usr/lib/x.so", "/usr/local/bin/python", "/usr/local/lib/x", "/bin/sh", "/lib/x.so", "/x"),
    *("/etc/passwd", "/etc/hosts", "/etc/resolv.conf", "/etc/profile", "/etc/bash.bashrc", "/etc/ld.so.preload"),
    *("/etc/ld.so.cache", "/etc/ipython/ipython_config.py", "/etc/npmrc", "/etc/python3.11/sitecustomize.py"),
    *("/dev/x", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"),
    *("/proc/sys/vm/overcommit_memory", "/proc/sys/net/core/somaxconn"),
]
REFUSED = {"EROFS", "EACCES", "EPERM", "ENOENT"}
"""The path is read-only, belongs to another user, or is missing and cannot be created."""
SESSION_PATHS = [
    *(f"{HOME}/.ipython/profile_default/startup/00.py", f"{HOME}/.local/lib/python3.11/site-packages/usercustomize.py"),
    *(f"{HOME}/sitecustomize.py", f"{HOME}/json.py", f"{HOME}/python", f"{HOME}/bin/ls", f"{HOME}/.bashrc"),
    *(f"{HOME}/.profile", f"{HOME}/.npmrc", f"{HOME}/package.json", f"{HOME}/node_modules/left-pad/index.js"),
    *(f"{HOME}/deno.json", f"{HOME}/.aws/config", f"{HOME}/.config/pip/pip.conf", f"{HOME}/.config/matplotlib/x"),
    *(f"OWN_SITE/{name}" for name in ("x.pth", "sitecustomize.py", "usercustomize.py", "boto3.py", "pip/__init__.py")),
    *(f"{INSTALLED}/bin/{name}" for name in ("ls", "pip", "deno")),
    *("/tmp/.cache/deno/x", "/tmp/matplotlib/matplotlibrc", "/tmp/sh", "/dev/shm/x"),  # noqa: S108
]
FINGERPRINT = f"""
import hashlib, os
for folder in {WRITABLE_DIRECTORIES!r}:
    for path, folders, files in sorted(os.walk(folder)):
        for name in sorted(files):
            full = os.path.join(path, name)
            print(full + '=' + hashlib.sha256(open(full, 'rb').read()).hexdigest())
for name in ('numpy', 'json', 'IPython'):
    print(f'{{name}}={{__import__(name).__file__}}')
print('environment=' + repr(sorted(os.environ.items())).replace(chr(10), ' '))"""


def file_stamps(runtime: Path) -> dict[str, tuple[int, int]]:
    """Returns size in bytes and modification time in ns of each file of the runtime, on the host."""
    return {str(path): (status.st_size, status.st_mtime_ns) for path in runtime.rglob("*") for status in [path.lstat()]}


@each_user  # an ordinary user owns the files of the runtime
def test_session_changes_no_file_that_a_later_session_reads(
    new_attacker: Callable[[], Attacker], agentcore_runtime: Path
) -> None:
    before = file_stamps(agentcore_runtime)
    pristine = new_attacker()
    site = pristine.python("import numpy, pathlib; print(pathlib.Path(numpy.__file__).parents[1])")["stdout"]
    fresh = PYTHON.outcomes(pristine, FINGERPRINT)
    attacker = new_attacker()

    def resolve(path: str) -> str:
        return path.replace("OWN_SITE", site.replace(TOOLS, INSTALLED)).replace("SITE", site)

    attacker.shell(f"mkdir -p {' '.join(resolve(path).rpartition('/')[0] for path in SESSION_PATHS)}")
    shared = {path: attempt("write", resolve(path)) for path in SHARED_PATHS}
    own = {path: attempt("write", resolve(path)) for path in SESSION_PATHS}
    outcomes = PYTHON.attempt_all(attacker, shared | own)
    assert {path: outcomes[path] for path in own} == dict.fromkeys(own, "ok")
    assert {path: outcomes[path] for path in shared if outcomes[path] not in REFUSED} == {}
    changed = PYTHON.outcomes(attacker, FINGERPRINT)
    assert changed != fresh  # the control: the fingerprint shows changes of the same session
    attacker.stop()
    for _ in range(2):  # one sandbox that was started ahead, and its replacement
        assert PYTHON.outcomes(new_attacker(), FINGERPRINT) == fresh
    assert file_stamps(agentcore_runtime) == before


PATCH = """
import ctypes, mmap, os
path = '/usr/bin/env'
def find(mark):
    with open(path, 'rb') as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    return mapped, mapped.find(mark)
mapped, offset = find(b'GNU')
address = next(int(line.split('-')[0], 16) for line in open('/proc/self/maps') if line.rstrip().endswith(path))
report('forced', lambda: open('/proc/self/mem', 'r+b', buffering=0))  # would ignore the protection of pages
page = address + offset & -mmap.PAGESIZE
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
report('mprotect', lambda: _libc.mprotect(page, 2 * mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE))
ctypes.memmove(address + offset, b'XXX', 3)
print(f'own={mapped[offset:offset + 3].decode()}')
print(f'file={open(path, "rb").read()[offset:offset + 3].decode()}')"""


def test_patching_a_mapped_program_in_memory_does_not_change_its_file(new_attacker: Callable[[], Attacker]) -> None:
    outcomes = PYTHON.outcomes(new_attacker(), PATCH)
    assert outcomes == {"forced": "EROFS", "mprotect": "0", "own": "XXX", "file": "GNU"}
    assert new_attacker().shell("env --version | head -1")["stdout"].startswith("env (GNU")


@each_user
def test_sandboxes_of_root_run_as_different_users(host: Host, new_attacker: Callable[[], Attacker]) -> None:
    seconds = uuid.uuid4().int % 10**9 + 10**9
    for attacker in (new_attacker(), new_attacker()):
        attacker.python(f"import subprocess; subprocess.Popen(['sleep', '{seconds}'])")
    owners = [Path(f"/proc/{process}").stat().st_uid for process in processes_matching(f"sleep\0{seconds}\0")]
    assert len(owners) == 2
    assert len(set(owners)) == (2 if host.user.name == "root" else 1)
