"""Starts, finds and stops the embedded AWS in the background."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from local_aws import record
from local_aws.settings import LEAST_FREE_BYTES, LocalAwsError, StateDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 60
WARNING = "For development and tests: an emulation in Linux namespaces, not a microVM."
DIFFERS = (
    "nothing is kept when it stops",
    "a function runs on the Python of this machine, whatever runtime its template names",
    "dashboards, alarms and log deliveries are recorded; alarms watch nothing",
    "the access key of `local env` is the account's root; every role is judged by IAM",
)
"""How the parts around AgentCore differ from AWS; local-agentcore says its own in its health."""
STOP_SECONDS = 30


def start(
    state: StateDirectory, *, port: int = 0, agentcore_port: int = 0, waiting: Callable[[], None] = lambda: None
) -> tuple[record.Running, bool]:
    """The running embedded AWS and whether this call started it; `waiting` is called while it gets ready.

    Ports are free ones unless given. Raises LocalAwsError, with nothing left running, when it cannot start.
    """
    _prepare(state)
    with state.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second start waits for the first, and finds what it started
        if running := record.find(state):
            return running, False
        return _start(state, port, agentcore_port, waiting), True


def _start(state: StateDirectory, port: int, agentcore_port: int, waiting: Callable[[], None]) -> record.Running:
    state.running.unlink(missing_ok=True)  # of a service that was killed
    command = [sys.executable, "-m", "local_aws.service", "--state", str(state.path.resolve())]
    command += ["--port", str(port), "--agentcore-port", str(agentcore_port)]
    with state.log("service").open("wb") as log:
        service = subprocess.Popen(  # noqa: S603 - a fixed command of this package
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if running := record.find(state):
                return running
            if service.poll() is not None:
                raise LocalAwsError(
                    state.log("service").read_text(errors="replace").strip() or "it ended without a word"
                )
            waiting()
            time.sleep(0.05)
        raise LocalAwsError(f"not ready after {START_SECONDS} s; see {state.log('service')}")
    except BaseException:  # Ctrl-C too: nothing may stay behind
        service.terminate()
        service.wait()
        raise


def stop(state: StateDirectory) -> bool:
    """Stops it and waits until it has ended; False when nothing ran."""
    running = record.find(state)
    if running is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while running.is_alive() and time.monotonic() < end:
        with suppress(ChildProcessError):  # where this process started it, it is ours to reap
            os.waitpid(running.pid, os.WNOHANG)
        time.sleep(0.02)
    if running.is_alive():
        os.kill(running.pid, signal.SIGKILL)  # its parts are told by the kernel
    return True


def health(running: record.Running) -> dict[str, Any]:
    """What local-agentcore says of itself: whether it can run code, its limits, and how it differs from AWS."""
    with urllib.request.urlopen(f"{running.agentcore_url}/_local/health", timeout=5) as answer:  # noqa: S310 - our own
        return json.load(answer)


def _prepare(state: StateDirectory) -> None:
    try:
        state.path.mkdir(parents=True, exist_ok=True)
        state.path.chmod(0o700)
        free = shutil.disk_usage(state.path).free
    except OSError as error:
        raise LocalAwsError(
            f"{state.path} cannot be used: {error.strerror}; choose another folder with --state"
        ) from None
    if free < LEAST_FREE_BYTES:
        raise LocalAwsError(
            f"{free >> 20} MiB are free in {state.path}, at least {LEAST_FREE_BYTES >> 20} are needed: "
            "free some, or choose another folder with --state"
        )
