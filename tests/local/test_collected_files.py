"""Files are collected by a separate command, so nothing that a program does to its own process prevents it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.programs import Code, Command
from code_runner.files import discovery
from code_runner.session import open_session
from sandpiper_contract.files import CACHE_FOLDERS, InputFile, Outputs, SkippedFile, SkipReason
from sandpiper_contract.globs import Pattern
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from code_runner.session import CodeSession
    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="it starts sessions of the managed interpreter")

PRINT_AND_EXIT = "print('{}'); raise SystemExit(7)"
PROGRAMS = {
    "another directory": "import os; os.chdir('/tmp'); open('elsewhere.txt', 'w').write('x')",
    "no such directory": "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "environment": "import os; os.environ.clear(); os.environ.update(PATH='', HOME='/', PYTHONHOME='/', LC_ALL='x')",
    "mode of new files": "import os; os.umask(0o777)",
    "print": "import builtins; builtins.print = None; print = None",
    "streams": "import os, sys; sys.stdout = sys.stderr = None; os.close(1); os.close(2)",
    "limits": (
        "import resource\nfor name in (resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):\n"
        "    resource.setrlimit(name, (10, 10))"
    ),
    "end of the kernel": "import os; os._exit(3)",
    "limits of process 1": (
        "import contextlib, resource\nfor name in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE):\n"
        "    with contextlib.suppress(PermissionError): resource.prlimit(1, name, (1, 1))"
    ),
    "kill of the kernel": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "modules in the working directory": (
        "for name in ('json', 'base64', 'os', 'zlib', 'sitecustomize'):\n"
        f"    open(f'{{name}}.py', 'w').write({PRINT_AND_EXIT!r})"
    ),
    "modules in packages": (
        "import os, site\nfor folder in (*site.getsitepackages(), site.getusersitepackages()):\n    try:\n"
        "        os.makedirs(folder, exist_ok=True)\n"
        "        for name in ('sitecustomize', 'usercustomize'):\n"
        f"            open(f'{{folder}}/{{name}}.py', 'w').write({PRINT_AND_EXIT!r})\n"
        "        open(f'{folder}/x.pth', 'w').write('import sys; sys.exit(7)')\n"
        "    except OSError: pass"
    ),
    "commands in the working directory": (
        "import os\nfor name in ('python3', 'python', 'sh'):\n    open(name, 'w').write('#!/bin/false')\n"
        "    os.chmod(name, 0o755)"
    ),
    "start-up files": "for name in ('.profile', '.bashrc', '.bash_profile'): open(name, 'w').write('exit 7')",
    "names of files": "for name in ('sandpiper-answer', 'sandpiper-answer-0:{}', '[]'): open(name, 'w').close()",
}


@pytest.fixture(scope="module")
def session(aws: RunningInstance) -> Generator[CodeSession]:
    assert aws.agentcore_url
    with open_session() as session:
        yield session


@pytest.mark.parametrize("change", PROGRAMS)
def test_files_are_returned_whatever_the_program_changes(session: CodeSession, change: str) -> None:
    program = f"with open('result.csv', 'w') as file: file.write({change!r})\n{PROGRAMS[change]}"
    result = session.run(Code(program, clear_context=True), outputs=Outputs(max_files=20))
    assert {file.path: file.data for file in result.files}["result.csv"] == change.encode()
    assert result.skipped == ()


WITHOUT_COMMANDS = {
    "no process is left": """
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
except OSError:
    pass
""",
    "each new process is stopped": """
if os.fork() == 0:
    present = set(os.listdir("/proc"))
    while True:
        for pid in set(os.listdir("/proc")) - present:
            if pid.isdecimal():
                os.kill(int(pid), signal.SIGSTOP)
""",
    "each new process is killed": """
if os.fork() == 0:
    present = set(os.listdir("/proc"))
    while True:
        for pid in set(os.listdir("/proc")) - present:
            if pid.isdecimal():
                os.kill(int(pid), signal.SIGKILL)
""",
}
FILES = """
import os, signal, time
os.makedirs("out/deeper/__pycache__", exist_ok=True)
os.mkdir("closed", 0)
for name in ("out/2.txt", "out/10.txt", "out/deeper/é.bin", "out/deeper/__pycache__/a.pyc", "changed.txt"):
    with open(name, "wb") as file: file.write(name.encode() + b"\\r\\n\\0")
time.sleep(0.1)
"""


@pytest.mark.parametrize("prevention", WITHOUT_COMMANDS)
def test_files_are_returned_when_no_command_can_run(
    aws: RunningInstance, monkeypatch: pytest.MonkeyPatch, prevention: str
) -> None:
    assert aws.agentcore_url
    monkeypatch.setattr(discovery, "TOOL_TIMEOUT_SECONDS", 5)
    inputs = [InputFile(name, text=b"input") for name in ("changed.txt", "unchanged.txt")]
    with open_session() as session:
        code = FILES + WITHOUT_COMMANDS[prevention]
        result = session.run(Code(code), inputs=inputs, outputs=Outputs(max_files=5))
        named = session.collect_files(Outputs(paths=(Pattern("out/*.txt"), Pattern("none"))))
    names = ["changed.txt", "out/2.txt", "out/10.txt", "out/deeper/é.bin"]
    assert {file.path: file.data for file in result.files} == {name: name.encode() + b"\r\n\0" for name in names}
    assert [(file.path, file.reason) for file in result.skipped] == [("closed", SkipReason.UNREADABLE)]
    assert [file.path for file in named.files] == ["out/2.txt", "out/10.txt"]
    assert SkippedFile("none", 0, SkipReason.NOT_FOUND) in named.skipped


def test_a_folder_that_cannot_be_read_is_in_skipped(session: CodeSession) -> None:
    command = "mkdir -p closed && touch closed/file open.txt && chmod 0 closed"
    result = session.run(Command(command))
    session.run(Command("chmod 700 closed"))
    assert [file.path for file in result.files] == ["open.txt"]
    assert [(file.path, file.reason) for file in result.skipped] == [("closed", SkipReason.UNREADABLE)]


def test_files_of_caches_are_returned_only_by_name(session: CodeSession) -> None:
    modules = [InputFile(f"caching/module_{number:02}.py", text=b"N = 1") for number in range(12)]
    command = (
        "python3 -I -S -m compileall -q caching && echo a,b > caching/result.csv"
        f" && for folder in {' '.join(CACHE_FOLDERS)}; do mkdir -p caching/$folder; touch caching/$folder/x; done"
    )
    result = session.run(Command(command), inputs=modules)
    assert ([file.path for file in result.files], result.skipped) == (["caching/result.csv"], ())
    everything = session.collect_files(Outputs(paths=(Pattern("caching/**"),), max_files=100))
    assert len(everything.files) == 13
    compiled = session.collect_files(Outputs(paths=(Pattern("caching/__pycache__/*.pyc"),), max_files=100))
    assert len(compiled.files) == 12


def test_numbered_files_are_selected_in_numeric_order(session: CodeSession) -> None:
    result = session.run(Command("for n in $(seq 1 30); do echo $n > part-$n.txt; done"), outputs=Outputs(max_files=9))
    assert [file.path for file in result.files] == [f"part-{number}.txt" for number in range(1, 10)]
    assert [file.path for file in result.skipped] == [f"part-{number}.txt" for number in range(10, 31)]


def test_files_of_tools_do_not_displace_the_results(session: CodeSession) -> None:
    command = (
        "mkdir -p project/.venv project/node_modules/left; git init -q project; cd project;"
        " for n in $(seq 20); do echo $n > .venv/$n; echo $n > node_modules/left/$n.js; done; echo 1 > result.csv"
    )
    result = session.run(Command(command))
    assert result.files[0].path == "project/result.csv"
    assert len(result.files) == 10
    assert {"project/.git/HEAD", "project/node_modules/left/20.js"} <= {
        file.path for file in (*result.files, *result.skipped)
    }
    session.run(Command("rm -rf project"))


def test_files_of_a_moved_folder_are_new(session: CodeSession) -> None:
    command = "mkdir -p before/below .cache/hidden && touch before/a before/below/b .cache/hidden/c"
    session.run(Command(command))
    assert session.run(Command("touch before/d")).files[0].path == "before/d"
    moved = session.run(Command("mv before after && mv .cache/hidden shown"))
    assert [file.path for file in moved.files] == ["after/a", "after/below/b", "after/d", "shown/c"]
    assert session.run(Command("rm -r after shown")).files == ()


def test_content_is_exact_at_the_limit_of_the_listing(session: CodeSession) -> None:
    """The output of a command has CRLF line ends, and content has any bytes."""
    block = bytes(range(256)) + b"\r\n\n\r\x1b[0m"
    code = f"block = {block!r}\nopen('exact.bin', 'wb').write((block * 20_000)[:3 * 1024 * 1024])"
    (file,) = session.run(Code(code)).files
    assert file.data == (block * 20_000)[: 3 * 1024 * 1024]


def test_a_file_with_holes_is_skipped_by_its_size(session: CodeSession) -> None:
    code = "open('holes', 'wb').truncate(2**62); open('dense', 'wb').write(b'1')"
    result = session.run(Code(code, clear_context=True))
    assert [file.path for file in result.files] == ["dense"]
    assert result.skipped == (SkippedFile("holes", 2**53, SkipReason.TOO_MANY_BYTES),)
    session.client.remove_files(["holes"])


def test_a_name_that_cannot_be_returned_does_not_use_up_the_limits(session: CodeSession) -> None:
    names = [b"a\n", b"b" * 200 + b"/" + b"c" * 200, b"d", b"e\xff", b"f", b"g"]
    code = (
        f"import os\nfor name in {names}:\n"
        "    os.makedirs(os.path.dirname(name) or b'.', exist_ok=True)\n    open(name, 'wb').write(name[:1])"
    )
    result = session.run(Code(code, clear_context=True), outputs=Outputs(max_files=2, max_bytes=2))
    assert [(file.path, file.data) for file in result.files] == [("d", b"d"), ("f", b"f")]
    assert [file.reason for file in result.skipped] == [
        SkipReason.CONTROL_CHARACTERS,
        SkipReason.PATH_TOO_LONG,
        SkipReason.UNREADABLE,
        SkipReason.TOO_MANY_FILES,
    ]
