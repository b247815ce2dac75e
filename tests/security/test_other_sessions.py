"""What one session can do to another: nothing. Neither now, nor by what it leaves for those that come after it."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.security.conftest import one_user
from tests.security.speakers import PYTHON, attempt, number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.security.conftest import Attacker, Host
    from tests.security.speakers import Speaker

HOME = "/opt/amazon/genesis1p-tools/var"
TOOLS = "/opt/amazon/genesis1p-tools/venv"
INSTALLED = "/opt/amazon/genesis1p-tools/session"
OWN_FOLDERS = (HOME, INSTALLED, "/tmp", "/dev/shm")  # noqa: S108  the sandbox's own


COMMANDS = {
    "python": "for one in filter(str.isdigit, os.listdir('/proc')): tell(one, lambda: read(f'/proc/{one}/cmdline'))",
    "shell": "for one in $(names /proc); do case $one in [1-9]*) tell $one read /proc/$one/cmdline;; esac; done",
    "deno": """
for (const one of names("/proc").split(" ")) {
  if (/^\\d+$/.test(one)) await tell(one, () => read(`/proc/${one}/cmdline`));
}""",
}


def test_a_session_sees_no_other_sessions_files_or_processes(
    attackers: Callable[[], Attacker], speaker: Speaker
) -> None:
    owner, other = attackers(), attackers()
    for folder in OWN_FOLDERS:
        speaker.tries(owner, {"made": attempt("write", f"{folder}/mine")})
    process = owner.python("import subprocess; print(subprocess.Popen(['sleep', '54321']).pid)")["stdout"]
    look = {folder: attempt("read", f"{folder}/mine") for folder in OWN_FOLDERS}
    assert speaker.tries(owner, look) == dict.fromkeys(OWN_FOLDERS, "x")
    assert speaker.tries(other, look) == dict.fromkeys(OWN_FOLDERS, "ENOENT")
    assert "sleep|54321|" in speaker.told(owner, COMMANDS[speaker.name]).values()
    assert "sleep|54321|" not in speaker.told(other, COMMANDS[speaker.name]).values()
    assert speaker.tries(owner, {"own": attempt("signal_to", int(process), 0)}) == {"own": "ok"}


LISTEN = """
name = '{name}'
listening = socket.socket(socket.AF_UNIX)
listening.bind(name.replace('@', chr(0), 1))
listening.listen(8)
print('listening=yes')"""


@pytest.mark.parametrize("name", ["@{mark}", "/tmp/{mark}", "/dev/shm/{mark}", HOME + "/{mark}"])  # noqa: S108
def test_a_sessions_unix_sockets_are_its_own(attackers: Callable[[], Attacker], speaker: Speaker, name: str) -> None:
    owner, other = attackers(), attackers()
    name = name.format(mark=uuid.uuid4().hex)
    assert PYTHON.told(owner, LISTEN.format(name=name)) == {"listening": "yes"}
    call = {"call": attempt("connect", name)}
    assert speaker.tries(owner, call) == {"call": "ok"}
    assert speaker.tries(other, call) == {"call": "ECONNREFUSED" if name.startswith("@") else "ENOENT"}


def test_the_hosts_unix_sockets_are_out_of_reach(
    attacker: Attacker, speaker: Speaker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = [f"@{uuid.uuid4().hex}", str(tmp_path_factory.mktemp("s") / "socket")]
    listeners = [socket.socket(socket.AF_UNIX) for _ in names]
    for name, listener in zip(names, listeners, strict=True):
        listener.bind(name.replace("@", "\0", 1))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as control:  # from here it is reachable
            control.connect(name.replace("@", "\0", 1))
    known = ["/run/docker.sock", "/run/systemd/private", "/var/run/dbus/system_bus_socket"]
    answers = speaker.tries(attacker, {name: attempt("connect", name) for name in [*names, *known]})
    assert answers == {names[0]: "ECONNREFUSED"} | dict.fromkeys([names[1], *known], "ENOENT")
    for listener in listeners:
        listener.close()


WATCHES = {
    "python": """
made = 0
while made < 500 and _libc.inotify_init1(0) >= 0: made += 1
print(f'made={made}')""",
    "deno": f"""
let made = 0;
try {{ while (made < 500) {{ call({number_of("inotify_init1")}, 0); made++; }} }} catch {{}}
console.log(`made=${{made}}`);""",
    # By tail, which follows a file by one, and says so where it has to do without.
    "shell": """
for number in $(seq 40); do (timeout 1 tail -f /etc/passwd >/dev/null 2>said$number) & done
wait
echo made=$((40 - $(grep -l 'inotify cannot be used' said* | wc -l)))""",
}
KEPT = "import ctypes; kept = [one for one in (ctypes.CDLL(None).inotify_init1(0) for _ in range(500)) if one >= 0]"


def test_one_session_leaves_watches_of_files_for_others(attackers: Callable[[], Attacker], speaker: Speaker) -> None:
    attacker, other = attackers(), attackers()
    assert attacker.python(KEPT)["exitCode"] == 0
    assert attacker.python("len(kept)")["stdout"] == "32"
    assert speaker.told(attacker, WATCHES[speaker.name]) == {"made": "0"}
    assert int(speaker.told(other, WATCHES[speaker.name])["made"]) >= 20


# What the next session finds

OF_ALL_SESSIONS = [
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
"""Read-only; not this user's; or there is nothing and none can be made."""
OF_ONE_SESSION = [
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
for folder in {OWN_FOLDERS!r}:
    for path, folders, files in sorted(os.walk(folder)):
        for name in sorted(files):
            whole = os.path.join(path, name)
            print(whole + '=' + hashlib.sha256(open(whole, 'rb').read()).hexdigest())
for name in ('numpy', 'json', 'IPython'):
    print(f'{{name}}={{__import__(name).__file__}}')
print('environment=' + repr(sorted(os.environ.items())).replace(chr(10), ' '))"""


def stamps(runtime: Path) -> dict[str, tuple[int, int]]:
    """Returns size and time of change of each file of the runtime, on the host."""
    return {str(path): (status.st_size, status.st_mtime_ns) for path in runtime.rglob("*") for status in [path.lstat()]}


def test_the_next_session_finds_everything_as_this_one_did(
    attackers: Callable[[], Attacker], speaker: Speaker, agentcore_runtime: Path
) -> None:
    before = stamps(agentcore_runtime)
    pristine = attackers()
    site = pristine.python("import numpy, pathlib; print(pathlib.Path(numpy.__file__).parents[1])")["stdout"]
    fresh = PYTHON.told(pristine, FINGERPRINT)
    attacker = attackers()

    def placed(path: str) -> str:
        return path.replace("OWN_SITE", site.replace(TOOLS, INSTALLED)).replace("SITE", site)

    attacker.shell(f"mkdir -p {' '.join(placed(path).rpartition('/')[0] for path in OF_ONE_SESSION)}")
    shared = {path: attempt("write", placed(path)) for path in OF_ALL_SESSIONS}
    own = {path: attempt("write", placed(path)) for path in OF_ONE_SESSION}
    answers = speaker.tries(attacker, shared | own)
    assert {path: answers[path] for path in own} == dict.fromkeys(own, "ok")
    assert {path: answers[path] for path in shared if answers[path] not in REFUSED} == {}
    changed = PYTHON.told(attacker, FINGERPRINT)
    assert changed != fresh  # the fingerprint shows what it has changed of its own
    attacker.stop()
    for _ in range(3):  # one that was started ahead, one that replaced it, one more
        assert PYTHON.told(attackers(), FINGERPRINT) == fresh
    assert stamps(agentcore_runtime) == before


PATCH = """
import ctypes, mmap, os
path = '/usr/bin/env'
def where(mark):
    with open(path, 'rb') as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
    return mapped, mapped.find(mark)
mapped, place = where(b'GNU')
address = next(int(line.split('-')[0], 16) for line in open('/proc/self/maps') if line.rstrip().endswith(path))
with open('/proc/self/mem', 'r+b', buffering=0) as memory:
    memory.seek(address + place)
    memory.write(b'XXX')
print(f'own={mapped[place:place + 3].decode()}')
print(f'file={open(path, "rb").read()[place:place + 3].decode()}')"""


@one_user
def test_changing_a_programs_pages_in_memory_changes_no_program(attackers: Callable[[], Attacker]) -> None:
    # By Python alone: it is one mechanism of the kernel, /proc/self/mem of what is mapped and not writable.
    assert PYTHON.told(attackers(), PATCH) == {"own": "XXX", "file": "GNU"}
    assert attackers().shell("env --version | head -1")["stdout"].startswith("env (GNU")


def test_users_of_the_host_are_not_shared_by_sessions(host: Host, attackers: Callable[[], Attacker]) -> None:
    first, second = attackers(), attackers()
    for one in (first, second):
        one.python("import subprocess; subprocess.Popen(['sleep', '98765'])")
    owners = [
        path.stat().st_uid
        for path in Path("/proc").glob("[0-9]*")
        for command in [_command(path)]
        if command == "sleep\x0098765\x00"
    ]
    assert len(owners) == 2
    assert len(set(owners)) == (2 if host.user.name == "root" else 1)


def _command(path: Path) -> str:
    try:
        return (path / "cmdline").read_text()
    except OSError:
        return ""
