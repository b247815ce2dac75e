"""Machines that refuse namespaces: code does not run, the error has a remedy, and other operations work."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local_agentcore.emulator import Emulator
from local_agentcore.process import client, running_emulator
from local_agentcore.sandbox.preflight import CONTAINER_OPTIONS, explain_start_failure
from local_agentcore.settings import Settings
from sandpiper.cdk_cli import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

NO_USER_NAMESPACES = """
import ctypes, os, pathlib
user = os.getuid()
assert ctypes.CDLL(None).unshare(0x10000000) == 0  # a user namespace whose root forbids nested ones
pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
pathlib.Path("/proc/sys/user/max_user_namespaces").write_text("0")
"""
CONTAINER_FILTER = """
import errno, pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
for name in ("unshare", "mount", "setns", "pivot_root"):
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
rules.load()
"""
MASKED_PROC = """
import ctypes
libc = ctypes.CDLL(None)
assert libc.unshare(0x00020000) == 0  # a mount namespace
assert libc.mount(b"none", b"/", b"", 1 << 18 | 1 << 14, b"") == 0  # recursively private
assert libc.mount(b"tmpfs", b"/proc/irq", b"tmpfs", 1, b"") == 0
"""
APPARMOR = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
MACHINES = {
    "no user namespaces": (
        NO_USER_NAMESPACES,
        "the kernel allows no user namespaces",
        "sysctl user.max_user_namespaces",
    ),
    "a container": (CONTAINER_FILTER, "namespaces are refused here", "--cap-add SYS_ADMIN"),
    "a container that covers /proc": (MASKED_PROC, "mount proc", "systempaths=unconfined"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_sessions_are_refused_and_interpreters_work(machine: str, agentcore_runtime: Path, tmp_path: Path) -> None:
    restriction, reason, fix = MACHINES[machine]
    (tmp_path / "sitecustomize.py").write_text(restriction)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with running_emulator(agentcore_runtime, tmp_path, environment=environment) as emulator:
        assert not emulator.runs_code
        control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
        created = control.create_code_interpreter(name="here", networkConfiguration={"networkMode": "SANDBOX"})
        listed = control.list_code_interpreters(type="CUSTOM")["codeInterpreterSummaries"]
        assert [item["codeInterpreterId"] for item in listed] == [created["codeInterpreterId"]]
        data = client("bedrock-agentcore", emulator.address, "us-east-1")
        with pytest.raises(ClientError) as refused:
            data.start_code_interpreter_session(codeInterpreterIdentifier=created["codeInterpreterId"])
        assert reason in str(refused.value)
        assert fix in str(refused.value)
        assert control.delete_code_interpreter(codeInterpreterId=created["codeInterpreterId"])["status"] == "DELETING"


def test_error_names_an_unsupported_operating_system(
    agentcore_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_and_close() -> Emulator:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path))
        await emulator.open()
        await emulator.close()
        return emulator

    monkeypatch.setattr(sys, "platform", "darwin")
    unavailable = asyncio.run(open_and_close()).unavailable
    assert unavailable is not None
    assert "macOS" in unavailable.reason
    assert ".devcontainer" in unavailable.fix


@pytest.mark.parametrize(
    ("files", "reason", "fix"),
    [
        ({APPARMOR: "1\n"}, "AppArmor", "local-agentcore apparmor-profile"),
        ({APPARMOR: "0\n"}, "refused here", "--cap-add SYS_ADMIN"),
        ({APPARMOR: "1\n", ".dockerenv": ""}, "refused here", "--cap-add SYS_ADMIN"),
    ],
)
def test_error_names_the_cause_of_the_refusal(files: dict[str, str], reason: str, fix: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    explained = explain_start_failure("bwrap: setting up uid map: Permission denied", (0, 9, 0), tmp_path)
    assert reason in explained.reason
    assert fix in explained.fix


def test_dev_container_has_the_required_options() -> None:
    text = (PROJECT / ".devcontainer/devcontainer.json").read_text()
    options = json.loads("".join(line for line in text.splitlines() if not line.strip().startswith("//")))["runArgs"]
    assert " ".join(options).replace("=", " ") == CONTAINER_OPTIONS.replace("=", " ")


def test_apparmor_profile_names_this_python_and_bubblewrap() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "local_agentcore", "apparmor-profile"], capture_output=True, text=True, check=True
    ).stdout
    assert f" {os.path.realpath(sys.executable)} flags=(unconfined) {{" in printed
    assert "bwrap flags=(unconfined) {" in printed
    assert printed.count("userns,") == 2
