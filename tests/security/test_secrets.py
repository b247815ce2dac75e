"""What code in a sandbox can see: of the host nothing, and of the supervisor that runs it nothing that helps it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from local_agentcore.sandbox.layout import HOST_NAME, MASKED_DIRECTORIES, MASKED_FILES
from tests.security.conftest import PROJECT, one_user
from tests.security.speakers import SPEAKERS, attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.security.conftest import Attacker, Host
    from tests.security.speakers import Speaker

VIRTUAL_ENVIRONMENT = "/opt/amazon/genesis1p-tools/venv"
ENVIRONMENTS = {
    "python": "for one in filter(str.isdigit, os.listdir('/proc')): tell(one, lambda: read(f'/proc/{one}/environ'))",
    "shell": "for one in $(names /proc); do case $one in [1-9]*) tell $one read /proc/$one/environ;; esac; done",
    "deno": """
for (const one of names("/proc").split(" ")) {
  if (/^\\d+$/.test(one)) await tell(one, () => read(`/proc/${one}/environ`));
}""",
}


def test_the_hosts_environment_is_in_no_process(attacker: Attacker, speaker: Speaker, host: Host) -> None:
    assert host.secret in Path(f"/proc/{host.process}/environ").read_text()  # there is something to find
    environments = speaker.told(attacker, ENVIRONMENTS[speaker.name])
    assert environments["1"] == "EACCES"
    assert any(VIRTUAL_ENVIRONMENT in text for text in environments.values())  # its own can be read
    assert not any(host.secret in text for text in environments.values())


def test_its_own_environment_is_all_the_emulators_own(attacker: Attacker, speaker: Speaker, host: Host) -> None:
    own = speaker.tries(attacker, {"own": attempt("read", "/proc/self/environ")})["own"]
    values = {line.partition("=")[0]: line.partition("=")[2] for line in own.strip("|").split("|")}
    assert values["HOME"] == "/opt/amazon/genesis1p-tools/var"
    hosts = dict(
        line.split("=", 1) for line in Path(f"/proc/{host.process}/environ").read_text().split("\0") if "=" in line
    )
    assert hosts["HOME"] != values["HOME"]
    taken = {name for name, value in values.items() if len(value) > 10 and hosts.get(name) == value}
    assert taken == set()


OF_PROCESS_ONE = {
    "environment": attempt("read", "/proc/1/environ"),
    "memory": attempt("read", "/proc/1/mem"),
    "where its memory is": attempt("read", "/proc/1/maps"),
    "descriptors": attempt("names", "/proc/1/fd"),
    "what its descriptors are": attempt("names", "/proc/1/fdinfo"),
    "a descriptor": attempt("read_link", "/proc/1/fd/3"),
    "files": attempt("names", "/proc/1/root/"),
    "a file by its root": attempt("read", "/proc/1/root/etc/passwd"),
    "folder": attempt("names", "/proc/1/cwd/"),
    "program": attempt("read_link", "/proc/1/exe"),
    "namespace": attempt("read_link", "/proc/1/ns/net"),
    "mapped files": attempt("names", "/proc/1/map_files"),
}
OF_ITSELF = {
    "own environment": attempt("read", "/proc/self/environ"),
    "own descriptors": attempt("names", "/proc/self/fd"),
    "own files": attempt("names", "/proc/self/root/"),
}


def test_process_one_keeps_to_itself(attacker: Attacker, speaker: Speaker) -> None:
    answers = speaker.tries(attacker, OF_PROCESS_ONE | OF_ITSELF)
    own = [answers.pop(name) for name in OF_ITSELF]
    assert all(len(answer) > 10 or "0 1 2" in answer for answer in own), own
    # Some of it is for a tracer alone, which is refused in other words.
    assert {name: answer.replace("EPERM", "EACCES") for name, answer in answers.items()} == dict.fromkeys(
        OF_PROCESS_ONE, "EACCES"
    )


def test_process_one_heeds_no_signal(attacker: Attacker, speaker: Speaker) -> None:
    sent = {str(number): attempt("signal_to", 1, number) for number in range(1, 32)}
    assert speaker.tries(attacker, sent) == dict.fromkeys(sent, "ok")
    assert attacker.lives()


DESCRIPTORS = {
    "python": """
for one in os.listdir('/proc/self/fd'):
    if os.path.lexists(f'/proc/self/fd/{one}'): tell(one, lambda: os.readlink(f'/proc/self/fd/{one}'))""",
    "shell": "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1=/p'",
    "deno": """
for (const one of names("/proc/self/fd").split(" ")) {
  try { console.log(`${one}=${Deno.readLinkSync(`/proc/self/fd/${one}`)}`); } catch { /* the folder's own */ }
}""",
}
SOCKETS = {"python": 3, "shell": 0, "deno": 4}
"""The kernel's own and its event loop's pair. Deno's for signals."""
KINDS = r"/dev/(null|pts/\d+|urandom)|(pipe|socket):\[\d+\]|anon_inode:.*|/proc/(\d+/fd/?|stat)|/tmp/.*"
"""The sandbox's own. Deno, while it starts, counts processors in /proc/stat."""


def test_there_are_no_descriptors_of_the_host(attacker: Attacker, speaker: Speaker) -> None:
    descriptors = speaker.told(attacker, DESCRIPTORS[speaker.name])
    assert {"0", "1", "2"} <= set(descriptors)
    assert [target for target in descriptors.values() if not re.fullmatch(KINDS, target)] == []
    assert sum(target.startswith("socket:") for target in descriptors.values()) <= SOCKETS[speaker.name]


def test_there_are_no_processes_of_the_host(attacker: Attacker, speaker: Speaker, host: Host) -> None:
    names = speaker.tries(attacker, {"processes": attempt("names", "/proc")})["processes"].split()
    processes = {int(name) for name in names if name.isdigit()}
    assert 1 in processes
    assert len(processes) < 10
    wanted = {str(number): attempt("signal_to", number, 0) for number in (host.process, 1)}
    assert speaker.tries(attacker, wanted) == {str(host.process): "ESRCH", "1": "ok"}


def test_the_command_of_process_1_does_not_tell_how_the_sandbox_is_set_up(attacker: Attacker, speaker: Speaker) -> None:
    command = speaker.tries(attacker, {"command": attempt("read", "/proc/1/cmdline")})["command"]
    assert "supervisor" in command
    assert "{" not in command
    assert "bytes" not in command


def places_of_the_host(host: Host, secret: Path) -> Iterable[str]:
    """Returns what is on the host and must not be in a sandbox."""
    yield str(secret)
    yield from map(str, (Path.home(), PROJECT, Path(f"/proc/{host.process}")))
    yield from ("/etc/shadow", "/etc/hostname", "/etc/machine-id", "/var", "/root", "/home", "/sys", "/run", "/boot")
    yield from ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/input")


def test_there_are_no_files_of_the_host(attacker: Attacker, speaker: Speaker, host: Host, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(host.secret)
    attempts = {f"{verb} {path}": attempt(verb, path) for path in places_of_the_host(host, secret) for verb in
                ("read", "names")}  # fmt: skip
    answers = speaker.tries(attacker, attempts | {"control": attempt("read", "/etc/passwd")})
    passwords = answers.pop("control")
    assert "genesis1ptools" in passwords
    assert passwords.count("|") == 3  # lines
    assert answers == dict.fromkeys(attempts, "ENOENT")


def test_its_mounts_do_not_tell_where_they_come_from(
    attacker: Attacker, speaker: Speaker, agentcore_runtime: Path
) -> None:
    mounts = speaker.tries(attacker, {"mounts": attempt("read", "/proc/self/mountinfo")})["mounts"]
    assert VIRTUAL_ENVIRONMENT in mounts
    assert "local-agentcore-" not in mounts
    assert "stage" not in mounts
    assert "lowerdir=/" not in mounts
    base = next(line for line in (agentcore_runtime / "pyvenv.cfg").read_text().splitlines() if line.startswith("home"))
    home = base.partition("=")[2].strip()
    for path in (str(agentcore_runtime.resolve()), str(Path.home()), *([] if home.startswith("/usr") else [home])):
        assert path not in mounts, path


OF_ROOT_ALONE = ("slabinfo", "timer_list", "vmallocinfo", "kcore", "kmsg", "kpageflags")
OF_ITS_OWN_NETWORK = ("arp", "route", "unix", "tcp", "udp", "dev")


def test_proc_tells_neither_how_the_host_was_started_nor_what_it_has(attacker: Attacker, speaker: Speaker) -> None:
    covered = {path: attempt("read", path) for path in MASKED_FILES} | {
        path: attempt("names", path) for path in MASKED_DIRECTORIES
    }
    refused = {name: attempt("read", f"/proc/{name}") for name in OF_ROOT_ALONE}
    network = {name: attempt("read", f"/proc/net/{name}") for name in OF_ITS_OWN_NETWORK}
    control = {"version": attempt("read", "/proc/version"), "name": attempt("read", "/proc/sys/kernel/hostname")}
    answers = speaker.tries(attacker, covered | refused | network | control)
    assert answers["version"].strip("|") == Path("/proc/version").read_text().strip()
    assert answers["name"].strip("|") == HOST_NAME
    assert Path("/proc/cmdline").read_text().strip()  # there is something to cover
    told = {path: answers[path] for path in covered if Path(path).exists() and answers[path] not in {"", "ok"}}
    assert told == {}
    assert {name for name in refused if answers[name] not in {"EACCES", "EPERM", "ENOENT"}} == set()
    own, hosts = answers["dev"], Path("/proc/net/dev").read_text()
    assert {line.partition(":")[0].strip() for line in own.split("|") if ":" in line} == {"lo"}
    assert "lo:" in hosts
    for name in ("arp", "unix"):
        told_of_host = [line for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:] if "/" in line]
        assert not any(line.split()[-1] in answers[name] for line in told_of_host)


@one_user
def test_no_file_tells_where_it_is_on_the_host(attacker: Attacker, agentcore_runtime: Path) -> None:
    # By one speaker: the files are the same. Not in what others have compiled, elsewhere: that, and the base Python,
    # name the place that they were built for.
    search = "LC_ALL=C grep -rlF --exclude='*.so*' --exclude='*.a' --exclude=deno --exclude=node"
    own = attacker.shell(f"{search} {VIRTUAL_ENVIRONMENT} {VIRTUAL_ENVIRONMENT}/lib/*/site-packages/IPython | head -1")
    assert "/IPython/" in own["stdout"]  # files there can be searched, bytecode among them
    places = " ".join(f"-e {path}/" for path in (agentcore_runtime.resolve(), PROJECT))
    assert attacker.shell(f"{search} {places} /opt /etc; true")["stdout"] == ""


def test_every_language_is_asked() -> None:
    for table in (ENVIRONMENTS, DESCRIPTORS):
        assert set(table) >= set(SPEAKERS)
