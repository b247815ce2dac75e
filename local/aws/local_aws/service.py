"""The embedded AWS as one process: MiniStack and local-agentcore, which end as a whole when one of them ends.

`python -m local_aws.service`, by `control.start`, whose lock on the state directory it inherits and has until it ends.
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
from local_aws import loopback, running_instance
from local_aws.settings import ACCOUNT, REGION, ROOT_ACCESS_KEY_ID, Hosts, LocalAwsError, Runtimes, StateDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY_SECONDS = 30
STOP_SECONDS = 10
POLL_SECONDS = 0.02
ENDING = (signal.SIGTERM, signal.SIGINT)
PR_SET_PDEATHSIG = 1


def main() -> int:
    """Runs until SIGTERM or until a part ends. Exit code 2 and one line when it cannot start."""
    parser = argparse.ArgumentParser(prog="local_aws.service", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", type=int, default=0, help="port of the AWS endpoint; 0 takes a free one")
    parser.add_argument("--agentcore-port", type=int, default=0, help="port of AgentCore; 0 takes a free one")
    parser.add_argument("--vpc-host", action="append", default=[], help="NAME:PORT=HOST:PORT, as of local-agentcore")
    parser.add_argument("--public-host", action="append", default=[], help="likewise")
    parser.add_argument("--public-hosts-only", action="store_true", help="likewise")
    parser.add_argument(lifetime.OPTION, action="store_true", help=lifetime.HELP)
    arguments = parser.parse_args()
    hosts = Hosts(arguments.vpc_host, arguments.public_host, arguments.public_hosts_only)
    for asked in ENDING:
        signal.signal(asked, _end)
    if arguments.until_end_of_input:
        lifetime.end_with_input()
    try:
        with ExitStack() as parts:
            state = StateDirectory(arguments.state, arguments.name)
            _serve(state, arguments.port, arguments.agentcore_port, hosts, parts)
    except LocalAwsError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    except _Ended:
        return 0
    return 1


class _Ended(Exception):  # noqa: N818 - a signal, not an error
    """Somebody asked the service to end."""


def _end(*_: object) -> None:
    for asked in ENDING:
        signal.signal(asked, signal.SIG_IGN)  # a second one must not interrupt the way out
    raise _Ended


def _serve(state: StateDirectory, port: int, agentcore_port: int, hosts: Hosts, parts: ExitStack) -> None:
    _check(hosts)
    runtimes = Runtimes.of_checkout()
    runtimes.require()
    shutil.rmtree(state.work, ignore_errors=True)
    state.work.mkdir(mode=0o700)
    port, agentcore_port = free_port(port), free_port(agentcore_port)
    running = running_instance.RunningInstance(
        pid=os.getpid(),
        started=running_instance.process_start(os.getpid()) or 0,
        url=f"http://127.0.0.1:{port}",
        agentcore_url=f"http://127.0.0.1:{agentcore_port}",
        account=ACCOUNT,
        region=REGION,
        access_key_id=ROOT_ACCESS_KEY_ID,
        secret_access_key=secrets.token_urlsafe(30),
        steering_token=secrets.token_urlsafe(30),
    )
    parts.callback(shutil.rmtree, state.work, ignore_errors=True)
    parts.callback(state.running.unlink, missing_ok=True)
    agentcore = [
        *(sys.executable, "-m", "local_agentcore", "serve", "--port", str(agentcore_port)),
        *("--runtime", str(runtimes.sandbox), "--account", ACCOUNT, "--region", REGION),
        *("--authority", f"{running.url}/_local", "--s3", running.url),
        *hosts.options(),
    ]
    token = {AUTHORIZER_TOKEN_VARIABLE: secrets.token_urlsafe(30)}
    steering = {ADMIN_TOKEN_VARIABLE: running.steering_token}
    # By path and not by name: of this environment, MiniStack's sees these packages and nothing else.
    packages = [str(Path(package.__file__ or "").parent) for package in (local_aws, sandpiper_policy)]
    ministack = [
        *(str(runtimes.ministack_python), "-I", str(Path(__file__).parent / "ministack" / "start.py"), *packages, "--"),
        *(str(port), str(state.work), str(runtimes.lambda_python)),
    ]
    processes = {
        "agentcore": _start(state, "agentcore", agentcore, parts, os.environ | token | steering),
        "aws": _start(state, "aws", ministack, parts, _ministack_environment(running, state.work) | token),
    }
    _wait_until_ready(
        state,
        processes,
        {"agentcore": f"{running.agentcore_url}/_local/health", "aws": f"{running.url}/_ministack/health"},
    )
    running.save(state)
    while all(process.poll() is None for process in processes.values()):
        time.sleep(0.2)
    ended = [name for name, process in processes.items() if process.poll() is not None]
    raise LocalAwsError(f"{' and '.join(ended)} ended unasked; see {state.log(ended[0])}")


def _check(hosts: Hosts) -> None:
    """Raises LocalAwsError for hosts that AgentCore would not take."""
    for option, values in (("--vpc-host", hosts.vpc), ("--public-host", hosts.public)):
        try:
            require_distinct([NamedHost.parse(value) for value in values])
        except ValueError as error:
            raise LocalAwsError(f"{option}: {error}") from None


def _ministack_environment(running: running_instance.RunningInstance, work: Path) -> dict[str, str]:
    """MiniStack's settings. IAM is on; the one access key that it knows is the account's root."""
    port = running.url.rpartition(":")[2]
    return {
        **running.environment(),
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",  # no configuration and no credentials of the person who starts it
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",  # its own default is 0.0.0.0
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": running.account,
        "MINISTACK_REGION": running.region,
        "IOT_MTLS_ENABLED": "0",  # else it listens on 0.0.0.0
        "AUTH": "true",
        "DOCKER_HOST": "unix:///nonexistent",  # else it ends containers of other MiniStacks on this machine
        "TMPDIR": str(work),
        "PYTHONUNBUFFERED": "1",
    }


def _start(
    state: StateDirectory, name: str, command: Sequence[str], parts: ExitStack, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be

    def die_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with state.log(name).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed command of this package
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    parts.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(
    state: StateDirectory, processes: Mapping[str, subprocess.Popen[bytes]], addresses: Mapping[str, str]
) -> None:
    end = time.monotonic() + READY_SECONDS
    waiting = dict(addresses)
    while waiting:
        for name, address in list(waiting.items()):
            if processes[name].poll() is not None:
                raise LocalAwsError(
                    f"{name} did not start: {_last_line(state.log(name))} (all of it: {state.log(name)})"
                )
            with suppress(OSError):
                loopback.get(address, 1)
                del waiting[name]
        if time.monotonic() > end:
            raise LocalAwsError(f"{' and '.join(waiting)} not ready after {READY_SECONDS} s; see {state.path}")
        time.sleep(POLL_SECONDS)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def free_port(wanted: int) -> int:
    """The port that was asked for, or a free one for 0. Raises LocalAwsError when it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise LocalAwsError(
                f"port {wanted} on 127.0.0.1 cannot be used ({error.strerror}): stop what uses it, "
                "or leave the port out and a free one is taken"
            ) from None
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
