"""What a program sees of its process: the same in a cell, a command and a task, and nothing of the emulator."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from code_runner.agentcore.programs import Code, as_command
from local_agentcore.process import client, running_emulator
from tests.support.account import REGION
from tests.support.agentcore_sessions import Session

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PROBE = """
import json, locale, os, resource, signal, sys, threading
FIELDS = 'SigBlk', 'SigIgn', 'Umask', 'NoNewPrivs', 'Seccomp', 'Groups', 'Uid', 'Gid', 'CapEff'
lines = dict(line.split(':', 1) for line in open('/proc/self/status'))
stat = open('/proc/self/stat').read().rpartition(')')[2].split()
flags = {name: getattr(sys.flags, name) for name in dir(sys.flags) if isinstance(getattr(sys.flags, name), int)}
print('PROBE', json.dumps({
    'arguments': sys.argv[1:], 'number of original arguments': len(sys.orig_argv), 'module': __name__,
    'interpreter': [sys.executable, sys.prefix, sys.base_prefix, sys.version], 'flags': flags,
    'options': [sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.getrecursionlimit()],
    'import path': sys.path[1:], 'first directory': os.path.abspath(sys.path[0]), 'directory': os.getcwd(),
    'environment': dict(os.environ), 'status': {name: lines[name].split() for name in FIELDS},
    'limits': {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if 'RLIMIT_' in name},
    'signals': {number.name: str(signal.getsignal(number)) for number in signal.Signals},
    'threads': threading.active_count(), 'terminal': stat[4], 'niceness': stat[16],
    'out of memory score': open('/proc/self/oom_score_adj').read(), 'processors': sorted(os.sched_getaffinity(0)),
    'encodings': [locale.getlocale(), sys.getfilesystemencoding(), sys.stdin.encoding, sys.stdout.encoding],
    'streams': [sys.stdin.name, sys.stdout.name, sys.stderr.name], 'input': os.readlink('/proc/self/fd/0'),
}))
"""
NODE = "console.log(require('child_process').execFileSync('python', ['probe.py'], {stdio: [0, 'pipe', 2]}).toString())"
BACKEND = ("environment", "MPLBACKEND")
DIFFERENCES = {
    "cell": {BACKEND},  # a notebook shows figures
    "program started by a cell": {BACKEND},
    "program started by JavaScript": {("environment", "NO_COLOR"), ("input", "")},  # Node reads its program from there
}
"""All differences from a command, each with its reason."""
SHELL_VARIABLES = ("SHLVL", "_")


@pytest.fixture(scope="module")
def session(agentcore: Any) -> Generator[Session]:
    """A session that the tests share. Each begins with a new context."""
    session = Session(agentcore)
    yield session
    session.stop()


def printed(session: Session, code: str, *, clear: bool = True) -> str:
    """Runs a cell that succeeds and returns its output."""
    content = session.python(code, clearContext=clear)
    assert (content["exitCode"], content["stderr"]) == (0, "")
    return str(content["stdout"])


def probed(text: str) -> dict[tuple[str, str], Any]:
    """Returns the values that the probe printed. The key of a value in a group consists of group and name."""
    values: dict[str, Any] = json.loads(text.partition("PROBE ")[2].splitlines()[0])
    for variable in SHELL_VARIABLES:
        values["environment"].pop(variable, None)
    groups: dict[str, dict[str, Any]] = {
        group: value if isinstance(value, dict) else {"": value} for group, value in values.items()
    }
    return {(group, name): value for group, named in groups.items() for name, value in named.items()}


def output_of_task(session: Session, command: str) -> str:
    """Runs a command in the background and returns its output."""
    task = session.invoke("startCommandExecution", command=command)["structuredContent"]["taskId"]
    while (content := session.invoke("getTask", taskId=task)["structuredContent"])["taskStatus"] == "working":
        time.sleep(0.05)
    return str(content["stdout"])


def test_programs_see_the_same_process_however_they_are_started(session: Session) -> None:
    session.invoke("writeFiles", content=[{"path": "probe.py", "text": PROBE}])
    command = probed(session.invoke("executeCommand", command="python probe.py")["structuredContent"]["stdout"])
    others = {
        "cell": session.python(PROBE)["stdout"],
        "task": output_of_task(session, "python probe.py"),
        "program started by a cell": session.python(
            "import subprocess; print(subprocess.check_output(['python', 'probe.py']).decode())"
        )["stdout"],
        "program started by JavaScript": session.invoke(
            "executeCode", code=NODE, language="javascript", runtime="nodejs"
        )["structuredContent"]["stdout"],
    }
    for name, text in others.items():
        values = probed(text)
        different = {key for key in command.keys() | values.keys() if command.get(key) != values.get(key)}
        assert different == DIFFERENCES.get(name, set()), name
    assert command["options", ""][2] is True
    assert command["directory", ""] == command["first directory", ""]


@pytest.mark.parametrize("language", ["javascript", "typescript"])
@pytest.mark.parametrize("runtime", ["deno", "nodejs"])
def test_a_started_program_prints_the_same_as_code(session: Session, language: Any, runtime: Any) -> None:
    """Started commands have a terminal, on which the runtimes would color values and show their progress."""
    code = "console.log(1, 'a', [2, null])"
    command, (program,) = as_command(Code(code, language, runtime))
    session.invoke("writeFiles", content=[{"path": program.path, "text": code}])
    called = session.invoke("executeCode", code=code, language=language, runtime=runtime)["structuredContent"]
    assert output_of_task(session, command.text).rstrip() == called["stdout"] == "1 a [ 2, null ]"


def test_programs_inherit_nothing_from_the_shell_that_started_the_emulator(
    session: Session, agentcore_runtime: Path, tmp_path: Path
) -> None:
    session.invoke("writeFiles", content=[{"path": "probe.py", "text": PROBE}])
    usual = probed(session.python(PROBE, clearContext=True)["stdout"])
    with unusual_process_state(), running_emulator(agentcore_runtime, tmp_path, "--pool", "0") as emulator:
        other = Session(client("bedrock-agentcore", emulator.address, REGION))
        values = probed(other.python(PROBE)["stdout"])
        other.stop()
    assert {key for key in usual if values[key] != usual[key] and key[0] != "environment"} == set()


@contextmanager
def unusual_process_state() -> Generator[None]:
    """Sets a strict umask, ignores and blocks signals, as a service manager or `nohup` may do."""
    umask, mask = os.umask(0o077), signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.umask(umask)


def test_rewritten_module_is_imported_again_in_a_new_context(session: Session) -> None:
    code = "import helper, folder.part; print(helper.value, folder.part.value)"
    for value in range(3):  # the same size, and mostly the same second
        files = [{"path": path, "text": f"value = {value}"} for path in ("helper.py", "folder/part.py")]
        session.invoke("writeFiles", content=files)
        assert printed(session, code) == f"{value} {value}"
        command = session.invoke("executeCommand", command=f"python -c '{code}'")
        assert command["structuredContent"]["stdout"].strip() == f"{value} {value}"
    assert printed(session, "import pathlib; print([*pathlib.Path().rglob('__pycache__')])") == "[]"


def test_module_written_after_a_failed_import_is_found(session: Session) -> None:
    for number in range(5):  # the clock of the file system advances every few ms
        printed(session, f"try: import late{number}\nexcept ImportError: pass", clear=False)
        session.invoke("writeFiles", content=[{"path": f"late{number}.py", "text": "print('found')"}])
        assert printed(session, f"import late{number}", clear=False) == "found"


def test_module_may_have_the_name_of_the_emulators_package(session: Session) -> None:
    session.invoke("writeFiles", content=[{"path": "guest.py", "text": "print('own')"}])
    assert printed(session, "import guest") == "own"


def test_script_with_optional_arguments_gets_their_defaults(session: Session) -> None:
    code = "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int, default=3)\n"
    assert printed(session, code + "print(parser.parse_args().n, len(sys.argv))") == "3 1"


COROUTINE = "import asyncio\nasync def value():\n    await asyncio.sleep(0)\n    return 3\n"


@pytest.mark.parametrize(
    "call",
    [
        "asyncio.run(value())",
        "asyncio.get_event_loop().run_until_complete(value())",
        "await value()",
        "asyncio.new_event_loop().run_until_complete(value())",
    ],
)
def test_coroutine_runs_in_a_cell(session: Session, call: str) -> None:
    assert printed(session, f"{COROUTINE}print({call})") == "3"
    assert printed(session, f"print({call}, {call})", clear=False) == "3 3"


def test_all_cells_share_one_event_loop_and_its_tasks(session: Session) -> None:
    assert printed(session, f"{COROUTINE}loop = asyncio.get_event_loop(); print(asyncio.all_tasks(loop))") == "set()"
    printed(session, "task = loop.create_task(value())", clear=False)
    assert printed(session, "asyncio.run(value()); print(task.done())", clear=False) == "False"
    shared = "asyncio.get_event_loop() is loop"
    assert printed(session, f"print({shared}, await value(), task.result(), {shared})", clear=False) == "True 3 3 True"
    printed(session, "loop.close()", clear=False)
    assert printed(session, f"print(await value(), {shared})", clear=False) == "3 False"


def test_interrupted_cell_does_not_continue_in_the_next_one(session: Session) -> None:
    code = "import asyncio, os, subprocess\ncontinued = False\n"
    interrupt = "subprocess.Popen(['sh', '-c', f'sleep 0.2; kill -INT {os.getpid()}'])\n"
    cell = f"{interrupt}await asyncio.sleep(1)\ncontinued = True"
    content = session.python(code + cell, clearContext=True)
    assert (content["exitCode"], content["stderr"].count("Traceback"), "guest" in content["stderr"]) == (1, 1, False)
    assert content["stderr"].rstrip().endswith("CancelledError:")
    assert printed(session, "await asyncio.sleep(1.2); print(continued)", clear=False) == "False"


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys; del sys.stdout.write; sys.__stdout__.close()",
    ],
)
def test_streams_that_a_cell_removed_are_back_in_the_next_one(session: Session, code: str) -> None:
    session.python(code, clearContext=True)
    assert printed(session, "import sys; print('out'); print('', end='', file=sys.stderr)", clear=False) == "out"
    content = session.python("print('first', file=sys.stderr); 1/0")
    assert content["stderr"].startswith("first\n---")
    assert content["stderr"].endswith("ZeroDivisionError: division by zero")


def test_stream_that_cannot_be_flushed_does_not_end_the_kernel(session: Session) -> None:
    code = "import sys\nclass Stream:\n    def write(self, text): pass\n    def flush(self): raise SystemExit\n"
    assert session.python(f"{code}sys.stdout = Stream()", clearContext=True)["exitCode"] == 0
    assert printed(session, "print(Stream.__name__)", clear=False) == "Stream"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("input()", "EOFError: EOF when reading a line"),
        ("breakpoint(); 1 / 0", "bdb.BdbQuit: the debugger has no input"),
    ],
)
def test_program_that_asks_for_input_fails_with_a_message(session: Session, code: str, error: str) -> None:
    content = session.python(code)
    assert (content["exitCode"], content["stderr"].endswith(error)) == (1, True)


def test_pagers_print_without_waiting_for_a_key(session: Session) -> None:
    session.invoke("writeFiles", content=[{"path": "long.txt", "text": "".join(f"{n}\n" for n in range(100))}])
    assert printed(session, "%less long.txt").endswith("99")
    command = session.invoke("executeCommand", command='"${PAGER:-less}" long.txt')
    assert command["structuredContent"]["stdout"].split()[-1] == "99"


def test_output_is_complete_and_in_order_for_each_stream_object(session: Session) -> None:
    code = "import os, sys\nprint('a'); sys.__stdout__.write('b'); sys.stdout.flush(); os.write(1, b'c')"
    assert printed(session, f"{code};") == "a\nbc"
    forked = "process = os.fork()\nif process: print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))\n"
    assert printed(session, f"{forked}else: print('child', end=' ')", clear=False) == "child 0"
    content = session.python(f"{forked}else: raise ValueError")
    assert (content["exitCode"], content["stdout"]) == (0, "1")


def test_output_is_not_kept_in_the_memory_of_the_kernel(session: Session) -> None:
    usage = "print(int(open('/proc/self/statm').read().split()[1]) * 4096 // 1_000_000)"
    before = int(printed(session, usage))
    printed(session, "for _ in range(10): print('x' * 1_000_000)", clear=False)
    assert int(printed(session, usage, clear=False)) < before + 5


def test_text_that_no_program_can_contain_is_an_error_of_the_call(session: Session) -> None:
    command = session.invoke("executeCommand", command="echo a\0b")
    assert command["structuredContent"]["exitCode"] == 126
    assert "must not contain NUL characters" in command["structuredContent"]["stderr"]
    task = session.invoke("startCommandExecution", command="echo a\0b")
    assert (task["isError"], "NUL" in task["content"][0]["text"]) == (True, True)
    assert "null bytes" in session.python("print('a\0b')")["stderr"]
    assert "surrogates not allowed" in session.python("print('\ud800')")["stderr"]
    assert printed(session, "print('é\\N{PARTY POPPER}')", clear=False) == "é🎉"


HELD = """
import asyncio, gc, os, signal, sys, threading
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
loop = asyncio.get_event_loop()
kinds = asyncio.AbstractEventLoop, asyncio.Future, asyncio.StreamReader, asyncio.BaseTransport
print([one for one in gc.get_objects() if isinstance(one, kinds) and one is not loop])
print([one for one in gc.get_objects() if type(one).__module__.startswith('guest')])
print([name for name in sys.modules if name.partition('.')[0] == 'guest'], asyncio.all_tasks(loop), loop.is_running())
print(sorted({frame.f_code.co_name for frame in frames()} & {'run_forever', '_run_once', '_run', '_supervise'}))
print(threading.active_count(), signal.set_wakeup_fd(-1), signal.getsignal(signal.SIGCHLD).name)
print([os.readlink(f'/proc/self/fd/{number}').partition(':')[0] for number in range(3, 7)])
print(os.path.exists('/proc/self/fd/8'))
"""


def test_kernel_holds_no_object_of_the_supervisor(session: Session) -> None:
    expected = "[]\n[]\n[] set() False\n[]\n1 -1 SIG_DFL\n['socket', 'anon_inode', 'socket', 'socket']\nFalse"
    assert printed(session, HELD) == expected
    task = session.invoke("startCommandExecution", command="sleep 60")["structuredContent"]["taskId"]
    assert printed(session, HELD) == expected  # the supervisor waits for the task during the fork
    assert session.invoke("getTask", taskId=task)["structuredContent"]["taskStatus"] == "working"
    session.invoke("stopTask", taskId=task)
