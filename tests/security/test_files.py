"""File tools resist links and special files that code leaves in its working directory, and refuse paths out of it."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.languages import PYTHON
from tests.support.system_calls import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.hostile_session import Attacker
    from tests.support.sandbox_host import Host

HOME = "/opt/amazon/genesis1p-tools/var"
ALLOWED = {
    "a file": attempt("write", "real"),
    "a link to it": attempt("symbolic_link", "real", "good"),
    "a hard link to it": attempt("hard_link", "real", "twice"),
}
TRAPS = {
    "a link out": attempt("symbolic_link", "/etc/passwd", "out"),
    "a link to a file that does not exist": attempt("symbolic_link", "/tmp/planted", "later"),  # noqa: S108  in the sandbox
    "an absolute link into the directory": attempt("symbolic_link", f"{HOME}/real", "absolute"),
    "a link to an environment": attempt("symbolic_link", "/proc/self/environ", "self"),
    "a link to process 1's files": attempt("symbolic_link", "/proc/1/root", "root"),
    "a link to a descriptor": attempt("symbolic_link", "/proc/self/fd/0", "descriptor"),
    "a link up": attempt("symbolic_link", "../../../..", "up"),
    "a link up and down": attempt("symbolic_link", "../var/real", "round"),
    "a link to a folder": attempt("symbolic_link", "/tmp", "folder"),  # noqa: S108
    "a link to a device": attempt("symbolic_link", "/dev/zero", "zeros"),
    "a link to itself": attempt("symbolic_link", "loop", "loop"),
    "a FIFO": attempt("fifo", "fifo"),
}
AS_FILES = ("out", "later", "absolute", "self", "descriptor", "round", "zeros", "loop", "fifo", "root/etc/passwd")
THROUGH_DIRECTORIES = ("up/etc/passwd", "folder/x", "root/tmp/x")


def refused(result: dict[str, Any]) -> bool:
    """Returns whether a tool failed and returned no file."""
    return result["isError"] and "resource" not in result["content"][0]


def test_file_tools_do_not_follow_links_out_of_the_working_directory(attacker: Attacker) -> None:
    created = PYTHON.attempt_all(attacker, ALLOWED | TRAPS)
    assert created == dict.fromkeys(created, "ok")
    for path in ("real", "good", "twice"):
        (block,) = attacker.invoke("readFiles", paths=[path])["content"]
        assert block["resource"]["text"] == "x"
        assert not attacker.invoke("writeFiles", content=[{"path": path, "text": "x"}])["isError"]
    for path in (*AS_FILES, *THROUGH_DIRECTORIES):
        assert refused(attacker.invoke("readFiles", paths=[path])), path
        assert refused(attacker.invoke("writeFiles", content=[{"path": path, "text": "y"}])), path
    for path in ("up", "folder", "root", "root/etc"):
        assert refused(attacker.invoke("listFiles", path=path)), path
        assert refused(attacker.invoke("listFiles", directoryPath=path)), path
    assert attacker.shell("echo -n kept >/tmp/kept")["exitCode"] == 0
    assert refused(attacker.invoke("removeFiles", paths=["folder/kept"]))
    reads = {name: attempt("read", f"/tmp/{name}") for name in ("planted", "x", "kept")}  # noqa: S108
    outcomes = PYTHON.attempt_all(attacker, reads)
    assert outcomes == {"planted": "ENOENT", "x": "ENOENT", "kept": "kept"}
    links = [path for path in AS_FILES if "/" not in path]
    removed = attacker.invoke(
        "removeFiles", paths=[*links, "up", "folder", "root"]
    )  # removes the links, not their targets
    assert not removed["isError"]
    assert "genesis1ptools" in attacker.python("print(open('/etc/passwd').read())")["stdout"]


DEVICES = {"a device": attempt("write", "/dev/null"), "a FIFO": attempt("fifo", "mine")}
OUTSIDE = {
    path: attempt("hard_link", path, f"hard{number}")
    for number, path in enumerate(("/etc/passwd", "/usr/bin/env", "/proc/self/environ", "/dev/null", "/proc/1/cmdline"))
}


def test_files_outside_the_working_directory_cannot_be_hard_linked(attacker: Attacker) -> None:
    outcomes = PYTHON.attempt_all(attacker, ALLOWED | DEVICES | OUTSIDE)
    assert outcomes == dict.fromkeys(ALLOWED | DEVICES, "ok") | dict.fromkeys(OUTSIDE, "EXDEV")


PATHS_OUTSIDE = ("/etc/passwd", "/", "..", "../x", "a/../../x", "./../x", "a/..", "/opt/../etc/passwd", "//etc/passwd")
UNUSUAL_NAMES = ("~/.bashrc", "file:///etc/passwd", "%2e%2e/x", "..\\x", "...", "$HOME/x", "a\nb", "\x1b[2J", "e\u0301")
"""Valid file names without a special meaning."""


@pytest.mark.parametrize("path", PATHS_OUTSIDE)
def test_every_file_tool_refuses_a_path_out_of_the_working_directory(shared_attacker: Attacker, path: str) -> None:
    invoke = shared_attacker.invoke
    for result in (
        invoke("readFiles", paths=["package.json", path]),
        invoke("writeFiles", content=[{"path": "written", "text": "x"}, {"path": path, "text": "x"}]),
        invoke("listFiles", path=path),
        invoke("listFiles", directoryPath=path),
        invoke("removeFiles", paths=["package.json", path]),
    ):
        assert refused(result)
        assert "path traversal" in result["content"][0]["text"]
    names = [block["name"] for block in invoke("listFiles", path="")["content"]]
    assert "package.json" in names  # the refused calls changed nothing
    assert "written" not in names


def test_file_tools_accept_unusual_names(attacker: Attacker) -> None:
    content = [{"path": path, "text": "mine"} for path in UNUSUAL_NAMES]
    assert not attacker.invoke("writeFiles", content=content)["isError"]
    blocks = attacker.invoke("readFiles", paths=list(UNUSUAL_NAMES))["content"]
    assert [block["resource"]["text"] for block in blocks] == ["mine"] * len(UNUSUAL_NAMES)
    assert not attacker.invoke("removeFiles", paths=list(UNUSUAL_NAMES))["isError"]


SWAP_DIRECTORY_AND_LINK = """
import shutil
def swap():
    os.symlink('/tmp', 'swap')
    os.unlink('swap')
    os.mkdir('swap')
if not os.fork():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            swap()
        except OSError:  # the file tool has created the directory
            pass
        shutil.rmtree('swap', ignore_errors=True)
    os._exit(0)"""


def test_writing_never_follows_a_link_that_replaces_a_directory(attacker: Attacker) -> None:
    PYTHON.run(attacker, SWAP_DIRECTORY_AND_LINK)
    outcomes: set[str] = set()
    deadline = time.monotonic() + 60
    for number in itertools.count():
        if (number >= 150 and len(outcomes) > 1) or time.monotonic() > deadline:
            break
        content = [{"path": f"swap/raced{number}", "text": "x"}]
        result = attacker.invoke("writeFiles", content=content)
        outcomes.add(result["content"][0]["text"].partition("'")[0] if result["isError"] else "written")
    assert len(outcomes) >= 2, outcomes  # the control: the path was a directory and a link at different times
    assert attacker.shell("ls /tmp | grep raced; true")["stdout"] == ""


def test_listing_contains_names_with_control_characters(attacker: Attacker) -> None:
    attacker.python("import os\nopen('plain', 'w')\nopen(b'\\xff\\n\\x1b[2J', 'w')\nopen('a\"}', 'w')")
    names = [block["name"] for block in attacker.invoke("listFiles", path="")["content"]]
    assert {"plain", 'a"}', "\ufffd\n\x1b[2J"} <= set(names)


LEASE = """
import fcntl
held = open('leased', 'w+')
fcntl.fcntl(held, 1024, fcntl.F_WRLCK)  # F_SETLEASE: opening the file waits for the holder
import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.flock(held, fcntl.LOCK_EX)"""


def test_lease_or_lock_on_a_file_does_not_block_file_tools(new_attacker: Callable[[], Attacker]) -> None:
    attacker = new_attacker()
    assert attacker.python(LEASE)["exitCode"] == 0
    assert "temporarily unavailable" in attacker.invoke("readFiles", paths=["leased"])["content"][0]["text"]
    assert attacker.invoke("writeFiles", content=[{"path": "leased", "text": "x"}])["isError"]
    assert attacker.python("held.close()")["exitCode"] == 0
    assert not attacker.invoke("readFiles", paths=["leased"])["isError"]


def test_many_long_names_and_deep_directories_are_listed(attacker: Attacker) -> None:
    created = attacker.python("""import os
os.mkdir('many')
for number in range(10_000): os.close(os.open(f'many/{number:0250d}', os.O_CREAT))
for _ in range(3000): os.mkdir('d'); os.chdir('d')
os.chdir('/opt/amazon/genesis1p-tools/var')""")
    assert created["exitCode"] == 0
    assert len(attacker.invoke("listFiles", path="many")["content"]) == 10_000
    assert [block["name"] for block in attacker.invoke("listFiles", path="/".join("d" * 2000))["content"]] == ["d"]
    assert "name too long" in attacker.invoke("listFiles", path="/".join("d" * 2999))["content"][0]["text"]
    assert attacker.is_responsive()


def test_file_larger_than_the_limit_is_not_read(attacker: Attacker) -> None:
    attacker.python("open('sparse', 'w').truncate(1 << 40); open('small', 'w').write('x')")
    result = attacker.invoke("readFiles", paths=["small", "sparse"])
    assert result["isError"]
    assert "too large" in result["content"][0]["text"]
    assert not attacker.invoke("readFiles", paths=["small"])["isError"]


def test_reading_many_files_does_not_fill_the_memory_of_the_emulator(attacker: Attacker, host: Host) -> None:
    Path(f"/proc/{host.process}/clear_refs").write_text("5")  # resets VmHWM (proc(5))
    attacker.python("open('sparse', 'w').truncate(60_000_000)")
    result = attacker.invoke("readFiles", paths=["sparse"] * 20)
    assert result["isError"]
    assert "too large together" in result["content"][0]["text"]
    peak = next(line for line in Path(f"/proc/{host.process}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < 600_000  # KiB, of 1,200,000 requested
