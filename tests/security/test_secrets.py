"""Code in a sandbox can read no secrets of the host and nothing of the supervisor that would help an attack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from local_agentcore.sandbox.layout import HOST_NAME, masked_in_proc
from tests.support.languages import LANGUAGES, PYTHON
from tests.support.project import PROJECT
from tests.support.sandbox_host import each_language, each_user, each_user_and_language
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.hostile_session import Attacker
    from tests.support.languages import Language
    from tests.support.sandbox_host import Host

VIRTUAL_ENVIRONMENT = "/opt/amazon/genesis1p-tools/venv"
ENVIRONMENTS = {
    "python": "for one in filter(str.isdigit, os.listdir('/proc')): report(one, lambda: read(f'/proc/{one}/environ'))",
    "shell": "for one in $(names /proc); do case $one in [1-9]*) report $one read /proc/$one/environ;; esac; done",
    "deno": """
for (const one of names("/proc").split(" ")) {
  if (/^\\d+$/.test(one)) await report(one, () => read(`/proc/${one}/environ`));
}""",
}


@each_user_and_language
def test_no_process_has_the_environment_of_the_host(shared_attacker: Attacker, language: Language, host: Host) -> None:
    assert host.secret in Path(f"/proc/{host.process}/environ").read_text()  # the control
    environments = language.outcomes(shared_attacker, ENVIRONMENTS[language.name])
    assert environments["1"] == "EACCES"
    assert any(VIRTUAL_ENVIRONMENT in text for text in environments.values())  # the code's own environment
    assert not any(host.secret in text for text in environments.values())


@each_language
def test_environment_has_no_values_from_the_host(shared_attacker: Attacker, language: Language, host: Host) -> None:
    own = language.attempt_all(shared_attacker, {"own": attempt("read", "/proc/self/environ")})["own"]
    values = {line.partition("=")[0]: line.partition("=")[2] for line in own.strip("|").split("|")}
    assert values["HOME"] == "/opt/amazon/genesis1p-tools/var"
    hosts = dict(
        line.split("=", 1) for line in Path(f"/proc/{host.process}/environ").read_text().split("\0") if "=" in line
    )
    assert hosts["HOME"] != values["HOME"]
    shared = {name for name, value in values.items() if len(value) > 10 and hosts.get(name) == value}
    assert shared == set()


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


@each_user
def test_code_cannot_read_process_one(shared_attacker: Attacker) -> None:
    outcomes = PYTHON.attempt_all(shared_attacker, OF_PROCESS_ONE | OF_ITSELF)
    own = [outcomes.pop(name) for name in OF_ITSELF]
    assert all(len(outcome) > 10 or "0 1 2" in outcome for outcome in own), own
    # Entries that are reserved for a tracer fail with EPERM.
    assert {name: outcome.replace("EPERM", "EACCES") for name, outcome in outcomes.items()} == dict.fromkeys(
        OF_PROCESS_ONE, "EACCES"
    )


def test_process_one_ignores_signals(attacker: Attacker) -> None:
    sent = {str(number): attempt("signal_to", 1, number) for number in range(1, 32)}
    assert PYTHON.attempt_all(attacker, sent) == dict.fromkeys(sent, "ok")
    assert attacker.is_responsive()


DESCRIPTORS = {
    "python": """
for one in os.listdir('/proc/self/fd'):
    if os.path.lexists(f'/proc/self/fd/{one}'): report(one, lambda: os.readlink(f'/proc/self/fd/{one}'))""",
    "shell": "ls -l /proc/self/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1=/p'",
    "deno": """
for (const one of names("/proc/self/fd").split(" ")) {
  try { console.log(`${one}=${Deno.readLinkSync(`/proc/self/fd/${one}`)}`); } catch { /* closed meanwhile */ }
}""",
}
SOCKETS = {"python": 3, "shell": 0, "deno": 4}
"""Number of sockets: the Python kernel has its channel and the pair of an event loop, Deno uses some for signals."""
KINDS = r"/dev/(null|pts/\d+|urandom)|(pipe|socket):\[\d+\]|anon_inode:.*|/proc/(\d+/fd/?|stat)|/tmp/.*"
"""Targets of descriptors that belong to the sandbox. Deno reads /proc/stat while it starts."""


@each_language
def test_code_inherits_no_descriptors_of_the_host(shared_attacker: Attacker, language: Language) -> None:
    descriptors = language.outcomes(shared_attacker, DESCRIPTORS[language.name])
    assert {"0", "1", "2"} <= set(descriptors)
    assert [target for target in descriptors.values() if not re.fullmatch(KINDS, target)] == []
    assert sum(target.startswith("socket:") for target in descriptors.values()) <= SOCKETS[language.name]


@each_user
def test_code_sees_no_processes_of_the_host(shared_attacker: Attacker, host: Host) -> None:
    names = PYTHON.attempt_all(shared_attacker, {"processes": attempt("names", "/proc")})["processes"].split()
    processes = {int(name) for name in names if name.isdigit()}
    assert 1 in processes
    assert len(processes) < 10
    signals = {str(number): attempt("signal_to", number, 0) for number in (host.process, 1)}
    assert PYTHON.attempt_all(shared_attacker, signals) == {str(host.process): "ESRCH", "1": "ok"}


def test_command_line_of_process_one_does_not_show_the_configuration(shared_attacker: Attacker) -> None:
    command = PYTHON.attempt_all(shared_attacker, {"command": attempt("read", "/proc/1/cmdline")})["command"]
    assert "supervisor" in command
    assert "{" not in command
    assert "bytes" not in command


def host_paths(host: Host, secret: Path) -> Iterable[str]:
    """Yields paths that exist on the host and must not exist in a sandbox."""
    yield str(secret)
    yield from map(str, (Path.home(), PROJECT, Path(f"/proc/{host.process}")))
    yield from ("/etc/shadow", "/etc/hostname", "/etc/machine-id", "/var", "/root", "/home", "/sys", "/run", "/boot")
    yield from ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/input")


@each_user  # root and an ordinary user prepare the file system differently
def test_code_sees_no_files_of_the_host(shared_attacker: Attacker, host: Host, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(host.secret)
    attempts = {f"{verb} {path}": attempt(verb, path) for path in host_paths(host, secret) for verb in
                ("read", "names")}  # fmt: skip
    outcomes = PYTHON.attempt_all(shared_attacker, attempts | {"control": attempt("read", "/etc/passwd")})
    passwords = outcomes.pop("control")
    assert "genesis1ptools" in passwords
    assert passwords.count("|") == 3  # lines
    assert outcomes == dict.fromkeys(attempts, "ENOENT")


@each_user  # root and an ordinary user prepare the mounts differently
def test_mounts_do_not_show_their_sources_on_the_host(shared_attacker: Attacker, agentcore_runtime: Path) -> None:
    mounts = PYTHON.attempt_all(shared_attacker, {"mounts": attempt("read", "/proc/self/mountinfo")})["mounts"]
    assert VIRTUAL_ENVIRONMENT in mounts
    assert "local-agentcore-" not in mounts
    assert "stage" not in mounts
    assert "lowerdir=/" not in mounts
    base = next(line for line in (agentcore_runtime / "pyvenv.cfg").read_text().splitlines() if line.startswith("home"))
    home = base.partition("=")[2].strip()
    for path in (str(agentcore_runtime.resolve()), str(Path.home()), *([] if home.startswith("/usr") else [home])):
        assert path not in mounts, path


FOR_ROOT_ONLY = ("slabinfo", "timer_list", "vmallocinfo", "kcore", "kmsg", "kpageflags")
OF_THE_SANDBOX_NETWORK = ("arp", "route", "unix", "tcp", "udp", "dev")


@each_user
def test_proc_shows_neither_boot_parameters_nor_devices_of_the_host(shared_attacker: Attacker) -> None:
    paths = list(masked_in_proc())
    assert {Path("/proc/cmdline"), Path("/proc/keys"), Path("/proc/bus")} <= set(paths)
    masked = {str(path): attempt("names" if path.is_dir() else "read", str(path)) for path in paths}
    refused = {name: attempt("read", f"/proc/{name}") for name in FOR_ROOT_ONLY}
    network = {name: attempt("read", f"/proc/net/{name}") for name in OF_THE_SANDBOX_NETWORK}
    control = {"version": attempt("read", "/proc/version"), "name": attempt("read", "/proc/sys/kernel/hostname")}
    outcomes = PYTHON.attempt_all(shared_attacker, masked | refused | network | control)
    assert outcomes["version"].strip("|") == Path("/proc/version").read_text().strip()
    assert outcomes["name"].strip("|") == HOST_NAME
    assert Path("/proc/cmdline").read_text().strip()  # the control
    visible = {path: outcomes[path] for path in masked if Path(path).exists() and outcomes[path] not in {"", "ok"}}
    assert visible == {}
    assert {name for name in refused if outcomes[name] not in {"EACCES", "EPERM", "ENOENT"}} == set()
    own, hosts = outcomes["dev"], Path("/proc/net/dev").read_text()
    assert {line.partition(":")[0].strip() for line in own.split("|") if ":" in line} == {"lo"}
    assert "lo:" in hosts
    for name in ("arp", "unix"):
        host_lines = [line for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:] if "/" in line]
        assert not any(line.split()[-1] in outcomes[name] for line in host_lines)


def test_no_file_contains_its_path_on_the_host(shared_attacker: Attacker, agentcore_runtime: Path) -> None:
    # Compiled third-party files and the base Python contain the paths that they were built for.
    search = "LC_ALL=C grep -rlF --exclude='*.so*' --exclude='*.a' --exclude=deno --exclude=node"
    own = shared_attacker.shell(
        f"{search} {VIRTUAL_ENVIRONMENT} {VIRTUAL_ENVIRONMENT}/lib/*/site-packages/IPython | head -1"
    )
    assert "/IPython/" in own["stdout"]  # the control: the search finds paths, also in bytecode
    patterns = " ".join(f"-e {path}/" for path in (agentcore_runtime.resolve(), PROJECT))
    assert shared_attacker.shell(f"{search} {patterns} /opt /etc; true")["stdout"] == ""


def test_tables_have_a_program_for_each_language() -> None:
    for table in (ENVIRONMENTS, DESCRIPTORS):
        assert set(table) >= set(LANGUAGES)
