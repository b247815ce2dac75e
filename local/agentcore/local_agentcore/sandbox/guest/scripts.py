"""JavaScript and TypeScript: a program a call, in a process of its own, with the working directory as its place.

The program goes to the runtime's standard input, so that no file of ours shows in a listing, and relative imports begin
in the working directory. Variables end with the process; files stay.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile

from .kernel import Outcome, nonblocking_pipe
from .output import Budget, Collector
from .processes import ChildProcesses, lower_priority, shell_exit_code, wait_or_terminate

DENO = ["deno", "run", "--allow-all", "--no-lock", "--quiet"]  # the sandbox is the wall, and a lock would be listed
RUNTIMES = {
    ("javascript", "deno"): [*DENO, "--ext=js", "-"],
    ("typescript", "deno"): [*DENO, "--ext=ts", "-"],
    ("javascript", "nodejs"): ["node", "--input-type=commonjs", "-"],
    ("typescript", "nodejs"): [
        "node",
        "--input-type=module-typescript",
        "--experimental-transform-types",  # enums and namespaces, which are more than types to take out
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        "-",
    ],
}
PLAIN = {"NO_COLOR": "1"}  # nobody reads the answer on a terminal


async def run_script(
    code: bytes, kind: tuple[str, str], seconds: float, grace_seconds: float, budget: Budget, processes: ChildProcesses
) -> Outcome:
    """Runs one program of a language and runtime to its end. At the time limit its process group is ended.

    Raises:
        OSError: the runtime is not among the libraries, there is no room for the program, or for its process.
    """
    (stdout, far_stdout), (stderr, far_stderr) = nonblocking_pipe(), nonblocking_pipe()
    try:
        with tempfile.TemporaryFile() as program:  # it never has a name
            program.write(code)
            program.seek(0)
            with processes.oom_victims:
                process = subprocess.Popen(  # noqa: S603  running what it is given is this program's purpose
                    RUNTIMES[kind],
                    env=os.environ | PLAIN,
                    stdin=program,
                    stdout=far_stdout,
                    stderr=far_stderr,
                    start_new_session=True,
                )
        end = processes.exit_of(process.pid)
        lower_priority(process.pid)
    except BaseException:
        os.close(stdout)
        os.close(stderr)
        raise
    finally:
        os.close(far_stdout)
        os.close(far_stderr)
    streams = Collector(stdout, budget), Collector(stderr, budget)
    timed_out = await wait_or_terminate(end, process.pid, seconds, grace_seconds, signal.SIGINT)
    process.returncode = end.result()
    printed, complained = (stream.finish() for stream in streams)
    os.close(stdout)
    os.close(stderr)
    return Outcome(shell_exit_code(process.returncode), printed, complained, timed_out, budget.exceeded)
