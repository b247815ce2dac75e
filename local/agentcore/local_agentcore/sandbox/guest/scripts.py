"""JavaScript and TypeScript programs. Each call runs in a new process in the working directory.

The runtime reads the program from standard input, so that it creates no file and relative imports start in the working
directory. Variables are lost with the process; files are kept.
"""

from __future__ import annotations

import os
import signal
import tempfile

from .kernel import Outcome, nonblocking_pipe
from .output import Budget, Collector
from .processes import ChildProcesses, shell_exit_code, wait_or_terminate
from .spawn import spawn

DENO = ["deno", "run", "--allow-all", "--no-lock", "--quiet"]  # the sandbox isolates; a lock file would be listed
RUNTIMES = {
    ("javascript", "deno"): [*DENO, "--ext=js", "-"],
    ("typescript", "deno"): [*DENO, "--ext=ts", "-"],
    ("javascript", "nodejs"): ["node", "--input-type=commonjs", "-"],
    ("typescript", "nodejs"): [
        "node",
        "--input-type=module-typescript",
        "--experimental-transform-types",  # enums and namespaces need more than removing types
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        "-",
    ],
}
PLAIN = {"NO_COLOR": "1"}  # output is not shown on a terminal


async def run_script(
    code: bytes, kind: tuple[str, str], seconds: float, grace_seconds: float, budget: Budget, processes: ChildProcesses
) -> Outcome:
    """Runs a program until it ends. Ends its process group at the time limit.

    Args:
        code: The program.
        kind: Language and runtime.
        seconds: Time limit in s.
        grace_seconds: Time in s between SIGINT and SIGKILL.
        budget: Output limit.
        processes: Child processes of the supervisor.

    Raises:
        OSError: The runtime is not installed, the disk is full, or no process can be started.
    """
    (stdout, child_stdout), (stderr, child_stderr) = nonblocking_pipe(), nonblocking_pipe()
    try:
        with tempfile.TemporaryFile() as program:  # a file without a name
            program.write(code)
            program.seek(0)
            standard = (program.fileno(), child_stdout, child_stderr)
            process = spawn(processes, RUNTIMES[kind], standard, os.environ | PLAIN)
        end = processes.exit_of(process)
    except BaseException:
        os.close(stdout)
        os.close(stderr)
        raise
    finally:
        os.close(child_stdout)
        os.close(child_stderr)
    streams = Collector(stdout, budget), Collector(stderr, budget)
    timed_out = await wait_or_terminate(end, process, seconds, grace_seconds, signal.SIGINT)
    output, errors = (stream.finish() for stream in streams)
    os.close(stdout)
    os.close(stderr)
    return Outcome(shell_exit_code(end.result()), output, errors, timed_out, budget.exceeded)
