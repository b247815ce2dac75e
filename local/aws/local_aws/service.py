"""The service process of the embedded AWS. It runs MiniStack and local-agentcore, and stops both when one of them ends.

`control.start` runs it as `python -m local_aws.service`. It inherits the lock on the state directory and holds it until
it ends.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import local_aws
import sandpiper_policy
from local_agentcore import lifetime
from local_agentcore.network.named_hosts import NamedHost, require_distinct
from local_agentcore.settings import ADMIN_TOKEN_VARIABLE, AUTHORIZER_TOKEN_VARIABLE
from local_aws import loopback, process_tree, running_instance
from local_aws.settings import (
    ACCOUNT,
    REGION,
    ROOT_ACCESS_KEY_ID,
    TOTAL_LIMITS,
    Hosts,
    LocalAwsError,
    Runtimes,
    StateDirectory,
    total_options,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_SECONDS = 30
STOP_SECONDS, KILL_SECONDS = 15, 10
POLL_SECONDS = 0.02
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Runs until SIGTERM or SIGINT, or until a child process ends.

    Returns:
        The exit code: 0 after a signal, 2 when it cannot start or a child process ended.
    """
    parser = argparse.ArgumentParser(prog="local_aws.service", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, default=0, help="port of the AWS endpoint; 0 for a free port")
    parser.add_argument(
        "--agentcore-port", type=int, default=0, help="port of the AgentCore endpoint; 0 for a free port"
    )
    parser.add_argument("--vpc-host", action="append", default=[], help="NAME:PORT=HOST:PORT, as for local-agentcore")
    parser.add_argument(
        "--public-host", action="append", default=[], help="NAME:PORT=HOST:PORT, as for local-agentcore"
    )
    parser.add_argument("--public-hosts-only", action="store_true", help="as for local-agentcore")
    for name in TOTAL_LIMITS:
        parser.add_argument(f"--total-{name}", type=int, dest=name, help="as for local-agentcore")
    parser.add_argument(lifetime.OPTION, action="store_true", help=lifetime.HELP)
    arguments = parser.parse_args()
    hosts = Hosts(arguments.vpc_host, arguments.public_host, arguments.public_hosts_only)
    for number in STOP_SIGNALS:
        signal.signal(number, _raise_stopped)
    process_tree.adopt_orphans()
    if arguments.until_end_of_input:
        lifetime.end_with_input()
    try:
        with ExitStack() as cleanup:
            state = StateDirectory(arguments.state, arguments.name)
            given = {name: getattr(arguments, name) for name in TOTAL_LIMITS}
            totals = {name: number for name, number in given.items() if number is not None}
            options = [*hosts.options(), *total_options(totals)]
            _validate(hosts)
            _serve(state, arguments.port, arguments.agentcore_port, options, cleanup)
    except LocalAwsError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    except _Stopped:
        return 0
    return 1


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """The service received a stop signal."""


def _raise_stopped(*_: object) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
    raise _Stopped


def _serve(state: StateDirectory, port: int, agentcore_port: int, options: list[str], cleanup: ExitStack) -> None:
    runtimes = Runtimes.from_checkout()
    runtimes.require()
    shutil.rmtree(state.work, ignore_errors=True)
    state.work.mkdir(mode=0o700)
    port, agentcore_port = free_port(port), free_port(agentcore_port)
    running = running_instance.RunningInstance(
        pid=os.getpid(),
        started=process_tree.start_time(os.getpid()) or 0,
        url=f"http://127.0.0.1:{port}",
        agentcore_url=f"http://127.0.0.1:{agentcore_port}",
        account=ACCOUNT,
        region=REGION,
        access_key_id=ROOT_ACCESS_KEY_ID,
        secret_access_key=secrets.token_urlsafe(30),
        steering_token=secrets.token_urlsafe(30),
    )
    record = cleanup.enter_context(ExitStack())  # closed last: other commands see this process until it has stopped
    cleanup.callback(shutil.rmtree, state.work, ignore_errors=True)
    cleanup.callback(state.running.unlink, missing_ok=True)
    agentcore = [
        *(sys.executable, "-m", "local_agentcore", "serve", "--port", str(agentcore_port)),
        *("--runtime", str(runtimes.sandbox), "--account", ACCOUNT, "--region", REGION),
        *("--authority", f"{running.url}/_local", "--s3", running.url),
        *options,
    ]
    authorizer_token = {AUTHORIZER_TOKEN_VARIABLE: secrets.token_urlsafe(30)}
    admin_token = {ADMIN_TOKEN_VARIABLE: running.steering_token}
    # MiniStack's environment imports these two packages by path, and nothing else of this environment.
    packages = [str(Path(package.__file__ or "").parent) for package in (local_aws, sandpiper_policy)]
    ministack = [
        *(str(runtimes.ministack_python), "-I", str(Path(__file__).parent / "ministack" / "start.py"), *packages, "--"),
        *(str(port), str(state.work), str(runtimes.lambda_python)),
    ]
    processes: dict[str, subprocess.Popen[bytes]] = {}
    cleanup.callback(_stop, processes)
    processes["agentcore"] = _start(state, "agentcore", agentcore, os.environ | authorizer_token | admin_token)
    processes["aws"] = _start(state, "aws", ministack, _ministack_environment(running, state.work) | authorizer_token)
    _wait_until_ready(
        state,
        processes,
        {"agentcore": f"{running.agentcore_url}/_local/health", "aws": f"{running.url}/_ministack/health"},
    )
    record.enter_context(running.save(state))
    while all(process.poll() is None for process in processes.values()):
        process_tree.reap_orphans(process.pid for process in processes.values())
        time.sleep(0.2)
    ended = [name for name, process in processes.items() if process.poll() is not None]
    raise LocalAwsError(f"{' and '.join(ended)} ended unexpectedly; see {state.log(ended[0])}")


def _validate(hosts: Hosts) -> None:
    """Raises LocalAwsError for hosts that local-agentcore rejects."""
    for option, values in (("--vpc-host", hosts.vpc), ("--public-host", hosts.public)):
        try:
            require_distinct([NamedHost.parse(value) for value in values])
        except ValueError as error:
            raise LocalAwsError(f"{option}: {error}") from None


def _ministack_environment(running: running_instance.RunningInstance, work: Path) -> dict[str, str]:
    """Returns the environment variables of MiniStack. IAM is enabled, with the access key of the account root."""
    port = running.url.rpartition(":")[2]
    return {
        **running.environment(),
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",  # hides the AWS configuration and credentials of the user
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",  # the default is 0.0.0.0
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": running.account,
        "MINISTACK_REGION": running.region,
        "IOT_MTLS_ENABLED": "0",  # when enabled, it listens on 0.0.0.0
        "AUTH": "true",
        "DOCKER_HOST": "unix:///nonexistent",  # with Docker, it would remove containers of other MiniStack processes
        "TMPDIR": str(work),
        "PYTHONUNBUFFERED": "1",
    }


def _start(
    state: StateDirectory, name: str, command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)  # loaded before the fork: a preexec function must not load libraries

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with state.log(name).open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - a fixed command of this package
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def _stop(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Stops the processes, then kills everything that they left. Reports processes that do not end in the log."""
    for process in processes.values():
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for name, process in processes.items():
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            print(f"{name} did not stop within {STOP_SECONDS} s and was killed", file=sys.stderr, flush=True)
    if remaining := process_tree.end_descendants(KILL_SECONDS):
        print(f"did not end: {process_tree.describe(remaining)}", file=sys.stderr, flush=True)


def _wait_until_ready(
    state: StateDirectory, processes: Mapping[str, subprocess.Popen[bytes]], addresses: Mapping[str, str]
) -> None:
    end = time.monotonic() + READY_SECONDS
    pending = dict(addresses)
    while pending:
        for name, address in list(pending.items()):
            if processes[name].poll() is not None:
                raise LocalAwsError(
                    f"{name} did not start: {_last_line(state.log(name))} (complete log: {state.log(name)})"
                )
            with suppress(OSError):
                loopback.get(address, 1)
                del pending[name]
        if time.monotonic() > end:
            raise LocalAwsError(f"{' and '.join(pending)} not ready after {READY_SECONDS} s; see {state.path}")
        time.sleep(POLL_SECONDS)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the log is empty"


def free_port(port: int) -> int:
    """Returns `port`, or a free port for 0.

    Raises:
        LocalAwsError: The port is in use or not permitted.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalAwsError(
                f"port {port} on 127.0.0.1 cannot be used ({error.strerror}): stop the process that uses it, "
                "or omit the option to use a free port"
            ) from None
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
