"""Starts, finds and stops the embedded AWS in the background."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from local_aws import loopback, running_instance, signals
from local_aws.lock import try_lock
from local_aws.ministack.stub_resources import STUB_RESOURCES
from local_aws.settings import MIN_FREE_BYTES, Hosts, LocalAwsError, StateDirectory, state_directory_error

if TYPE_CHECKING:
    from collections.abc import Generator

START_SECONDS = 60
WARNING = "For development and tests: an emulation in Linux namespaces, not a microVM."
DIFFERENCES = (
    "nothing is kept when it stops",
    "a function runs on the Python of this machine, whatever runtime its template names",
    "dashboards and alarms are recorded; alarms watch nothing",
    "a VPC with all that is in it is recorded: what code of VPC interpreters reaches is what --vpc-host names",
    "resource types that are recorded only do nothing; `local status` lists those that are deployed",
    "Step Functions takes what AWS refuses: a path that leads nowhere (null here), a Wait's path to no number, "
    "input of more than 256 KiB or that is no JSON",
    "of a bucket, CloudFormation sets encryption, lifecycle, logging, ownership, tags, versioning, CORS, "
    "notifications, website and the block of public access; no log is delivered and nothing expires",
    "IAM judges every role; the access key of `local env` is the account's root",
    "Amazon Bedrock has no models: a stand-in answers for every one, whatever its name, with `[ministack mock …]`, and "
    "calls no tools",
    "CloudFormation's role is asked for what makes, changes and ends a resource, not for what only reads",
)
"""How the parts around AgentCore differ from AWS; local-agentcore says its own in its health."""
STOP_SECONDS = 30
POLL_SECONDS = 0.05
HEALTH_SECONDS = 5


def start(
    state: StateDirectory,
    *,
    port: int = 0,
    agentcore_port: int = 0,
    hosts: Hosts | None = None,
    until_end_of: int | None = None,
) -> tuple[running_instance.RunningInstance, bool]:
    """The running embedded AWS and whether this call started it.

    Ports are free ones unless given; without `hosts` code finds none by name. It outlives this process, unless
    `until_end_of` is the reading end of a pipe: then it ends when the other end is closed. Raises LocalAwsError, with
    nothing left running, when it cannot start.
    """
    prepare_state_directory(state)
    end = time.monotonic() + START_SECONDS
    with state.lock.open("w") as lock:
        while not try_lock(lock):  # by the service that runs, or by one that is on its way
            if running := running_instance.find(state):
                return running, False
            if time.monotonic() > end:
                raise LocalAwsError(
                    f"another one is starting or ending and does not get on; see {state.log('service')}"
                )
            time.sleep(POLL_SECONDS)
        return _start(state, port, agentcore_port, hosts or Hosts(), lock, until_end_of), True


@contextmanager
def temporary(state: StateDirectory) -> Generator[running_instance.RunningInstance]:
    """An embedded AWS for a block. It ends with this process, too, if that is killed. Raises LocalAwsError."""
    read, write = os.pipe()
    try:
        running, _ = start(state, until_end_of=read)
        yield running
    finally:
        stop(state)
        os.close(read)
        os.close(write)


def _start(
    state: StateDirectory, port: int, agentcore_port: int, hosts: Hosts, lock: IO[str], until_end_of: int | None
) -> running_instance.RunningInstance:
    state.running.unlink(missing_ok=True)  # of a service that was killed
    command = [
        *(sys.executable, "-m", "local_aws.service"),
        *("--state", str(state.directory.resolve()), "--name", state.name),
        *("--port", str(port), "--agentcore-port", str(agentcore_port)),
        *hosts.options(),
        *([] if until_end_of is None else ["--until-end-of-input"]),
    ]
    service: subprocess.Popen[bytes] | None = None
    try:
        with (
            state.log("service").open("wb") as log,
            signals.deferred_signals(),
        ):
            service = subprocess.Popen(  # noqa: S603 - a fixed command of this package
                command,
                stdin=subprocess.DEVNULL if until_end_of is None else until_end_of,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),  # the service inherits the lock, its parts do not, and has it until it ends
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if running := running_instance.find(state):
                return running
            if service.poll() is not None:
                raise LocalAwsError(
                    state.log("service").read_text(errors="replace").strip() or "it ended without a word"
                )
            time.sleep(POLL_SECONDS)
        raise LocalAwsError(f"not ready after {START_SECONDS} s; see {state.log('service')}")
    except BaseException:  # Ctrl-C too: nothing may stay behind
        if service is not None:
            service.terminate()
            service.wait()
        raise


def stop(state: StateDirectory) -> bool:
    """Stops it and waits until it has ended; False when nothing ran."""
    running = _find_or_await(state)
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


def _find_or_await(state: StateDirectory) -> running_instance.RunningInstance | None:
    """What runs, or what is on its way: a service outlives a starter that was killed."""
    end = time.monotonic() + START_SECONDS
    while (running := running_instance.find(state)) is None and _is_locked(state) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return running


def _is_locked(state: StateDirectory) -> bool:
    try:
        with state.lock.open() as lock:
            return not try_lock(lock)
    except FileNotFoundError:
        return False


def health(running: running_instance.RunningInstance) -> dict[str, Any]:
    """What local-agentcore says of itself: whether it can run code, its limits, and how it differs from AWS.

    Raises LocalAwsError when it does not answer.
    """
    try:
        return json.loads(loopback.get(f"{running.agentcore_url}/_local/health", HEALTH_SECONDS))
    except OSError as error:
        raise LocalAwsError(
            f"AgentCore does not answer on {running.agentcore_url} ({error}): see `sandpiper local logs agentcore`, "
            "or start anew with `sandpiper local stop`"
        ) from None


def deployed_stub_resources(running: running_instance.RunningInstance) -> list[dict[str, Any]]:
    """What is deployed of the types that are recorded and do nothing: each one's type, identifier and properties.

    Raises LocalAwsError when the AWS endpoint does not answer.
    """
    import boto3  # here, since most commands do without it
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    session: Any = boto3
    config = Config(connect_timeout=HEALTH_SECONDS, read_timeout=HEALTH_SECONDS, retries={"total_max_attempts": 1})
    try:
        client = session.client("cloudcontrol", config=config)
        return [
            {"type": kind, "identifier": one["Identifier"], "properties": json.loads(one["Properties"])}
            for kind in STUB_RESOURCES
            for one in client.list_resources(TypeName=kind)["ResourceDescriptions"]
        ]
    except (BotoCoreError, ClientError) as error:
        raise LocalAwsError(
            f"the AWS endpoint does not answer on {running.url} ({error}): see `sandpiper local logs aws`, "
            "or start anew with `sandpiper local stop`"
        ) from None


def prepare_state_directory(state: StateDirectory) -> None:
    """Makes the state directory. Raises LocalAwsError when it cannot be used, or too little space is left."""
    try:
        state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner, free = state.path.stat().st_uid, shutil.disk_usage(state.path).free
    except OSError as error:
        raise state_directory_error(state, error) from None
    if owner != os.geteuid():
        raise LocalAwsError(f"{state.path} belongs to another user: choose another folder with --state")
    if free < MIN_FREE_BYTES:
        raise LocalAwsError(
            f"{free >> 20} MiB are free in {state.directory}, at least {MIN_FREE_BYTES >> 20} are needed: "
            "free some, or choose another folder with --state"
        )
