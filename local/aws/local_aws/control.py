"""Starts, inspects and stops the embedded AWS, which runs in a background process."""

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

from local_aws import loopback, process_tree, running_instance, signals
from local_aws.lock import is_locked, try_lock
from local_aws.ministack.stub_resources import STUB_RESOURCES
from local_aws.settings import (
    MIN_FREE_BYTES,
    Hosts,
    LocalAwsError,
    StateDirectory,
    state_directory_error,
    total_options,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

START_SECONDS = 60
WARNING = "For development and tests: an emulation in Linux namespaces, not a microVM."
DIFFERENCES = (
    "deployed resources and data are lost when it stops",
    "a function runs on the Python version of this machine, whatever runtime its template specifies",
    "CloudWatch evaluates what `docs/embedded-aws.md` lists, and data is available immediately; dashboards are stored",
    "a VPC and its resources are stored, but have no effect: code in VPC interpreters reaches the hosts of --vpc-host",
    "stub resources are stored and have no effect; `sandpiper local status` lists the deployed ones",
    "Step Functions accepts definitions and input that AWS rejects: a path that selects nothing (null here), a Wait "
    "path that selects no number, and input that is not JSON or exceeds 256 KiB",
    "Step Functions runs a branch or an item to its end after another one has failed, runs an express execution "
    "exactly once, and has no events of Lambda functions, branches and items in the history",
    "EventBridge and its Scheduler look for due schedules every ten seconds and in UTC; a schedule whose expression is "
    "changed to one time does not start again",
    "a Distributed Map ignores ResultWriter, and its output has no child executions that failed",
    "Lambda accepts a synchronous request of more than 6 MB, which AWS rejects; larger responses fail as on AWS",
    "CloudFormation applies these properties of a bucket: encryption, lifecycle, logging, ownership, tags, versioning, "
    "CORS, notifications, website and public access block; access logs are not delivered and objects do not expire",
    "IAM evaluates every role, but the access key of `sandpiper local env` belongs to the account root",
    "a log delivery writes to log groups and, for spans, to aws/spans; S3 and Firehose get nothing",
    "Amazon Bedrock has no models: every model ID returns the placeholder `[ministack mock …]`, without tool calls",
    "CloudFormation's role needs the actions that create, change and delete a resource, but not those that read it",
)
"""Differences from AWS outside AgentCore. The health report of local-agentcore lists its own."""
STOP_SECONDS, KILL_SECONDS = 40, 10
POLL_SECONDS = 0.05
HEALTH_SECONDS = 5


def start(
    state: StateDirectory,
    *,
    port: int = 0,
    agentcore_port: int = 0,
    hosts: Hosts | None = None,
    totals: Mapping[str, int] | None = None,
    parent_pipe: int | None = None,
) -> tuple[running_instance.RunningInstance, bool]:
    """Starts the embedded AWS in the background, or returns the instance that already runs.

    It runs until `stop`, or until `parent_pipe` is closed.

    Args:
        state: Its state directory. One instance runs per state directory.
        port: Port of the AWS endpoint. Default: a free port.
        agentcore_port: Port of the AgentCore endpoint. Default: a free port.
        hosts: Hosts that code in VPC and PUBLIC interpreters can reach by name. Default: none.
        totals: Limits of all sessions together, by name (`TOTAL_LIMITS`). Default: this machine minus a reserve.
        parent_pipe: The read end of a pipe. The instance stops when the write end is closed, for example because
            the process that holds it was killed.

    Returns:
        The running instance, and whether this call started it.

    Raises:
        LocalAwsError: It cannot start. No process is left running.

    Example:
        List the buckets of an embedded AWS::

            running, _ = control.start(StateDirectory(Path("/tmp/example")))
            environment.apply(running)
            print(boto3.client("s3").list_buckets()["Buckets"])
            control.stop(StateDirectory(Path("/tmp/example")))
    """
    prepare_state_directory(state)
    end = time.monotonic() + START_SECONDS
    with state.lock.open("w") as lock:
        while not try_lock(lock):  # the holder is a running service, or one that is starting or stopping
            if running := running_instance.find(state):
                return running, False
            if time.monotonic() > end:
                raise LocalAwsError(
                    f"another embedded AWS in {state.path} is still starting or stopping after {START_SECONDS} s; "
                    f"see {state.log('service')}"
                )
            time.sleep(POLL_SECONDS)
        options = [*(hosts or Hosts()).options(), *total_options(totals or {})]
        return _start(state, port, agentcore_port, options, lock, parent_pipe), True


@contextmanager
def temporary(state: StateDirectory) -> Generator[running_instance.RunningInstance]:
    """Runs an embedded AWS for the duration of a block. It also stops when this process is killed.

    Args:
        state: Its state directory.

    Yields:
        The running instance.

    Raises:
        LocalAwsError: It cannot start.

    Example:
        Use the embedded AWS as a pytest fixture::

            @pytest.fixture(scope="session")
            def aws(tmp_path_factory):
                with control.temporary(StateDirectory(tmp_path_factory.mktemp("aws"))) as running:
                    environment.apply(running)
                    yield running
    """
    read, write = os.pipe()
    try:
        running, _ = start(state, parent_pipe=read)
        yield running
    finally:
        stop(state)
        os.close(read)
        os.close(write)


def _start(
    state: StateDirectory, port: int, agentcore_port: int, options: list[str], lock: IO[str], parent_pipe: int | None
) -> running_instance.RunningInstance:
    state.running.unlink(missing_ok=True)  # left by a service that was killed
    command = [
        *(sys.executable, "-m", "local_aws.service"),
        *("--state", str(state.directory.resolve()), "--name", state.name),
        *("--port", str(port), "--agentcore-port", str(agentcore_port)),
        *options,
        *([] if parent_pipe is None else ["--until-end-of-input"]),
    ]
    service: subprocess.Popen[bytes] | None = None
    try:
        # A signal between the start of the process and the assignment would leave a process that nothing stops.
        with state.log("service").open("wb") as log, signals.deferred_signals():
            service = subprocess.Popen(  # noqa: S603 - a fixed command of this package
                command,
                stdin=subprocess.DEVNULL if parent_pipe is None else parent_pipe,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),  # the service holds the lock until it ends; its child processes do not
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if running := running_instance.find(state):
                return running
            if service.poll() is not None:
                raise LocalAwsError(
                    state.log("service").read_text(errors="replace").strip() or "the service ended without output"
                )
            time.sleep(POLL_SECONDS)
        raise LocalAwsError(f"not ready after {START_SECONDS} s; see {state.log('service')}")
    except BaseException:  # includes KeyboardInterrupt
        if service is not None:
            service.terminate()
            service.wait()
        raise


def stop(state: StateDirectory) -> bool:
    """Stops the embedded AWS and waits until all its processes have ended.

    Returns:
        False when none runs with this state directory.

    Raises:
        LocalAwsError: It runs in another PID namespace, or some of its processes do not end.
    """
    running = _find_or_wait(state)
    if running is None:
        return False
    if not running.is_alive():
        if running_instance.find(state) is None:  # it has ended meanwhile
            return True
        raise LocalAwsError(
            f"the embedded AWS in {state.path} runs in another PID namespace, such as that of a container, as process "
            f"{running.pid} there: stop it there"
        )
    processes = {running.pid: running.started}
    with suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while running.is_alive() and time.monotonic() < end:
        processes |= process_tree.descendants(running.pid)
        with suppress(ChildProcessError):  # it is a child process only if this process started it
            os.waitpid(running.pid, os.WNOHANG)
        time.sleep(0.02)
    if remaining := process_tree.kill_remaining(processes, KILL_SECONDS):
        raise LocalAwsError(
            f"the embedded AWS in {state.path} was stopped, but these processes did not end: "
            f"{process_tree.describe(remaining)}"
        )
    return True


def _find_or_wait(state: StateDirectory) -> running_instance.RunningInstance | None:
    """Returns the running instance. Waits for one that is starting: it continues when its starter is killed."""
    end = time.monotonic() + START_SECONDS
    while (running := running_instance.find(state)) is None and _is_locked(state) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return running


def _is_locked(state: StateDirectory) -> bool:
    try:
        with state.lock.open() as lock:
            return is_locked(lock)
    except FileNotFoundError:
        return False


def health(running: running_instance.RunningInstance) -> dict[str, Any]:
    """Returns the health report of local-agentcore: whether it can run code, its limits and its differences from AWS.

    Raises:
        LocalAwsError: The AgentCore endpoint does not respond.
    """
    try:
        return json.loads(loopback.get(f"{running.agentcore_url}/_local/health", HEALTH_SECONDS))
    except OSError as error:
        raise LocalAwsError(
            f"AgentCore does not respond at {running.agentcore_url} ({error}): see `sandpiper local logs agentcore`, "
            "or restart with `sandpiper local stop` and `sandpiper local start`"
        ) from None


def deployed_stub_resources(running: running_instance.RunningInstance) -> list[dict[str, Any]]:
    """Returns the deployed resources of types that are stored and have no effect.

    Uses the credentials and endpoint of the environment variables.

    Returns:
        A dictionary for each resource, with its `type`, `identifier` and `properties`.

    Raises:
        LocalAwsError: The AWS endpoint does not respond.
    """
    import boto3  # slow to import, and most commands do not need it
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    session: Any = boto3
    config = Config(connect_timeout=HEALTH_SECONDS, read_timeout=HEALTH_SECONDS, retries={"total_max_attempts": 1})
    try:
        client = session.client("cloudcontrol", config=config)
        return [
            {
                "type": resource_type,
                "identifier": resource["Identifier"],
                "properties": json.loads(resource["Properties"]),
            }
            for resource_type in STUB_RESOURCES
            for resource in client.list_resources(TypeName=resource_type)["ResourceDescriptions"]
        ]
    except (BotoCoreError, ClientError) as error:
        raise LocalAwsError(
            f"the AWS endpoint does not respond at {running.url} ({error}): see `sandpiper local logs aws`, "
            "or restart with `sandpiper local stop` and `sandpiper local start`"
        ) from None


def prepare_state_directory(state: StateDirectory) -> None:
    """Creates the state directory.

    Raises:
        LocalAwsError: The directory cannot be used, belongs to another user, or has too little free space.
    """
    try:
        state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner, free = state.path.stat().st_uid, shutil.disk_usage(state.path).free
    except OSError as error:
        raise state_directory_error(state, error) from None
    if owner != os.geteuid():
        raise LocalAwsError(f"{state.path} belongs to another user: choose another folder with --state")
    if free < MIN_FREE_BYTES:
        raise LocalAwsError(
            f"{state.directory} has {free >> 20} MiB of free space, but at least {MIN_FREE_BYTES >> 20} MiB are "
            "needed: free some space, or choose another folder with --state"
        )
