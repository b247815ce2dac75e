"""Runs `sandpiper` commands as separate processes, without importing the product again for each one.

Starting Python and importing the command line takes 0.3 s to 0.5 s of CPU. A server process imports it once and forks
for each command. The child gets the command's arguments, environment, working directory and standard streams, and ends
like a separate process. Tests of process start, terminals and signals run the installed command, `COMMAND`, instead.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from tests.support.project import PROJECT

COMMAND = Path(sys.executable).parent / "sandpiper"
COLUMNS = "400"
"""Wide enough that no message is wrapped. Rich reads it when it is imported."""
TIMEOUT_SECONDS = 120
MAX_REQUEST_BYTES = 1 << 20
PRELOADED = (
    *("sandpiper.__main__", "sandpiper.cli.init_flags", "sandpiper.deployment", "sandpiper.environment.scaffold"),
    *("sandpiper.local_inputs", "sandpiper.workflow", "boto3.s3.transfer", "encodings.idna", "rich.ansi"),
    *("rich.live", "rich.status", "s3transfer.subscribers", "typer._adapters", "typer.rich_utils"),
)
"""Modules that commands import when they run."""
FORWARDER = """\
#!{python} -IS
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
command = {{"arguments": [{command!r}, *sys.argv[1:]], "environment": dict(os.environ), "directory": os.getcwd()}}
socket.send_fds(connection, [json.dumps(command).encode()], [0, 1, 2])
connection.shutdown(socket.SHUT_WR)
sys.exit(int(connection.recv(16)))
"""
"""A program that runs its command in the server."""
_LOCK = threading.Lock()


def sandpiper(
    *arguments: str | Path, variables: dict[str, str] | None = None, text: str | None = None, cwd: Path = PROJECT
) -> subprocess.CompletedProcess[str]:
    """Runs `sandpiper ARGUMENTS` and returns its exit code and output.

    Args:
        arguments: The arguments of the command line.
        variables: Environment variables in addition to those of this process.
        text: The standard input; empty by default.
        cwd: The working directory.

    Raises:
        TimeoutError: The command did not end within 120 s.
    """
    command = [str(COMMAND), *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": COLUMNS, **(variables or {})}
    request = json.dumps({"arguments": command, "environment": environment, "directory": str(cwd)})
    with _file(text or "") as stdin, _file() as stdout, _file() as stderr:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(_server_address())
            descriptors = [stream.fileno() for stream in (stdin, stdout, stderr)]
            socket.send_fds(connection, [request.encode()], descriptors)
            connection.shutdown(socket.SHUT_WR)
            status = int(connection.recv(16))
        return subprocess.CompletedProcess(command, status, _content(stdout), _content(stderr))


def write_forwarder(program: Path) -> None:
    """Writes a program that behaves like the installed command, for scripts of tests."""
    program.write_text(FORWARDER.format(python=sys.executable, address=_server_address(), command=str(COMMAND)))
    program.chmod(0o755)


def _file(text: str = "") -> IO[str]:
    file = tempfile.TemporaryFile("w+", newline="")  # noqa: SIM115 - the caller closes it
    file.write(text)
    file.flush()
    file.seek(0)
    return file


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _server_address() -> str:
    with _LOCK:
        return _started_server()


@functools.cache
def _started_server() -> str:
    """Starts the server of this process and returns the path of its socket."""
    folder = tempfile.TemporaryDirectory(prefix="cli-")
    address = f"{folder.name}/socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.cli", str(listener.fileno())],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": COLUMNS},
        pass_fds=(listener.fileno(),),
        stdin=subprocess.PIPE,  # the server ends when this process does
        stdout=subprocess.DEVNULL,
    )
    listener.close()

    def stop() -> None:
        server.kill()
        server.wait()
        folder.cleanup()

    atexit.register(stop)
    return address


def _serve(listener: socket.socket) -> None:
    """Forks for each connection: a monitor, which forks the command and reports its exit status."""
    import selectors
    import signal

    _preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _monitor(connection)
        connection.close()


def _preload() -> None:
    """Imports what commands import when they run, and parses the models of the services that they call."""
    import gc
    import importlib

    import boto3
    import botocore.session

    for module in PRELOADED:
        importlib.import_module(module)
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    session = boto3.Session("access key", "secret", region_name="us-east-1")
    for service in ("cloudformation", "s3", "stepfunctions", "sts"):
        assert session.client(service)  # pyright: ignore[reportCallIssue, reportArgumentType]
    gc.collect()
    gc.freeze()  # a collection would copy the pages of all these objects to each child


def _monitor(connection: socket.socket) -> None:
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES, 3)
    while more := connection.recv(MAX_REQUEST_BYTES):
        request += more
    if (child := os.fork()) == 0:
        connection.close()
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        _run(**json.loads(request))
    _, status = os.waitpid(child, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str], directory: str) -> None:
    from sandpiper.__main__ import main

    code = 1
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(directory)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):  # those of the server cannot become pipes
            before = getattr(sys, name)
            buffering = 1 if before.line_buffering else -1
            stream = open(  # noqa: SIM115 - open until the process ends
                descriptor, "w", buffering, encoding=before.encoding, errors=before.errors, closefd=False
            )
            setattr(sys, name, stream)
        sys.argv = arguments
        sys.modules["__main__"].__package__ = None  # Click's name of the program is then that of the command
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            sys.excepthook(*sys.exc_info())  # pyright: ignore[reportArgumentType]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
