"""What code leaves in its folder for the file tools to trip over, and what paths they refuse whoever asks."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.security.conftest import one_user
from tests.security.speakers import attempt

if TYPE_CHECKING:
    from tests.security.conftest import Attacker, Host
    from tests.security.speakers import Speaker

pytestmark = one_user

HOME = "/opt/amazon/genesis1p-tools/var"
INSIDE = {
    "a file": attempt("write", "real"),
    "a link to it": attempt("symbolic_link", "real", "good"),
    "a hard link to it": attempt("hard_link", "real", "twice"),
}
TRAPS = {
    "a link out": attempt("symbolic_link", "/etc/passwd", "out"),
    "a link to where the host would write": attempt("symbolic_link", "/tmp/planted", "later"),  # noqa: S108  the sandbox's own
    "an absolute link that leads back": attempt("symbolic_link", f"{HOME}/real", "absolute"),
    "a link to an environment": attempt("symbolic_link", "/proc/self/environ", "self"),
    "a link to process 1's files": attempt("symbolic_link", "/proc/1/root", "root"),
    "a link to a descriptor": attempt("symbolic_link", "/proc/self/fd/0", "descriptor"),
    "a link up": attempt("symbolic_link", "../../../..", "up"),
    "a link up and down again": attempt("symbolic_link", "../var/real", "round"),
    "a link to a folder": attempt("symbolic_link", "/tmp", "folder"),  # noqa: S108
    "a link to a device": attempt("symbolic_link", "/dev/zero", "zeros"),
    "a link to itself": attempt("symbolic_link", "loop", "loop"),
    "a FIFO": attempt("fifo", "fifo"),
}
AS_FILES = ("out", "later", "absolute", "self", "descriptor", "round", "zeros", "loop", "fifo", "root/etc/passwd")
THROUGH_FOLDERS = ("up/etc/passwd", "folder/x", "root/tmp/x")


def refused(answer: dict[str, Any]) -> bool:
    """Whether a tool did not do what it was asked."""
    return answer["isError"] and "resource" not in answer["content"][0]


def test_what_leads_out_of_the_working_directory_is_not_followed(attacker: Attacker, speaker: Speaker) -> None:
    planted = speaker.tries(attacker, INSIDE | TRAPS)
    assert planted == dict.fromkeys(planted, "ok")  # all of it can be left there
    for path in ("real", "good", "twice"):
        (block,) = attacker.invoke("readFiles", paths=[path])["content"]
        assert block["resource"]["text"] == "x"
        assert not attacker.invoke("writeFiles", content=[{"path": path, "text": "x"}])["isError"]
    for path in (*AS_FILES, *THROUGH_FOLDERS):
        assert refused(attacker.invoke("readFiles", paths=[path])), path
        assert refused(attacker.invoke("writeFiles", content=[{"path": path, "text": "y"}])), path
    for path in ("up", "folder", "root", "root/etc"):
        assert refused(attacker.invoke("listFiles", path=path)), path
        assert refused(attacker.invoke("listFiles", directoryPath=path)), path
    assert attacker.shell("echo -n kept >/tmp/kept")["exitCode"] == 0
    assert refused(attacker.invoke("removeFiles", paths=["folder/kept"]))
    left = speaker.tries(attacker, {name: attempt("read", f"/tmp/{name}") for name in ("planted", "x", "kept")})  # noqa: S108
    assert left == {"planted": "ENOENT", "x": "ENOENT", "kept": "kept"}
    links = [path for path in AS_FILES if "/" not in path]
    removed = attacker.invoke("removeFiles", paths=[*links, "up", "folder", "root"])  # and not what they lead to
    assert not removed["isError"]
    assert "genesis1ptools" in attacker.python("print(open('/etc/passwd').read())")["stdout"]


DEVICES = {"a device": attempt("write", "/dev/null"), "one's own": attempt("fifo", "mine")}
OUTSIDE = {
    path: attempt("hard_link", path, f"hard{number}")
    for number, path in enumerate(("/etc/passwd", "/usr/bin/env", "/proc/self/environ", "/dev/null", "/proc/1/cmdline"))
}


def test_nothing_of_the_sandbox_can_be_linked_in(attacker: Attacker, speaker: Speaker) -> None:
    answers = speaker.tries(attacker, INSIDE | DEVICES | OUTSIDE)
    assert answers == dict.fromkeys(INSIDE | DEVICES, "ok") | dict.fromkeys(OUTSIDE, "EXDEV")


LEADS_OUT = ("/etc/passwd", "/", "..", "../x", "a/../../x", "./../x", "a/..", "/opt/../etc/passwd", "//etc/passwd")
LITERALS = ("~/.bashrc", "file:///etc/passwd", "%2e%2e/x", "..\\x", "...", "$HOME/x", "a\nb", "\x1b[2J", "e\u0301")
"""Names like others, if unusual ones: they mean nothing else."""


@pytest.mark.parametrize("path", LEADS_OUT)
def test_paths_that_lead_out_are_refused_by_every_tool(attacker: Attacker, path: str) -> None:
    for answer in (
        attacker.invoke("readFiles", paths=["package.json", path]),
        attacker.invoke("writeFiles", content=[{"path": "made", "text": "x"}, {"path": path, "text": "x"}]),
        attacker.invoke("listFiles", path=path),
        attacker.invoke("listFiles", directoryPath=path),
        attacker.invoke("removeFiles", paths=["package.json", path]),
    ):
        assert refused(answer)
        assert "path traversal" in answer["content"][0]["text"]
    names = [block["name"] for block in attacker.invoke("listFiles", path="")["content"]]
    assert "package.json" in names  # nothing was done before
    assert "made" not in names


def test_names_that_only_look_like_it_are_names(attacker: Attacker) -> None:
    content = [{"path": path, "text": "mine"} for path in LITERALS]
    assert not attacker.invoke("writeFiles", content=content)["isError"]
    blocks = attacker.invoke("readFiles", paths=list(LITERALS))["content"]
    assert [block["resource"]["text"] for block in blocks] == ["mine"] * len(LITERALS)
    assert not attacker.invoke("removeFiles", paths=list(LITERALS))["isError"]


SWAPPING = {
    "python": """
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
        except OSError:  # the file tool has made the folder
            pass
        shutil.rmtree('swap', ignore_errors=True)
    os._exit(0)""",
    "shell": """
(end=$((SECONDS + 60)); while [ $SECONDS -lt $end ]; do
  ln -s /tmp swap; rm -rf swap; mkdir swap; rm -rf swap
done) >/dev/null 2>&1 &""",
    "deno": """
Deno.writeTextFileSync("/tmp/loop.js", `
const end = Date.now() + 60000;
const remove = () => Deno.removeSync("swap", { recursive: true });
const steps = [() => Deno.symlinkSync("/tmp", "swap"), remove, () => Deno.mkdirSync("swap"), remove];
while (Date.now() < end) for (const step of steps) try { step(); } catch { /* the file tool was there */ }`);
new Deno.Command("deno", { args: ["run", "-A", "/tmp/loop.js"], stdout: "null", stderr: "null" }).spawn().unref();
Deno.exit(0);""",
}


def test_a_link_that_comes_and_goes_is_never_followed(attacker: Attacker, speaker: Speaker) -> None:
    speaker.said(attacker, SWAPPING[speaker.name])
    outcomes: set[str] = set()
    until = time.monotonic() + 60
    for number in itertools.count():
        if (number >= 150 and len(outcomes) > 1) or time.monotonic() > until:
            break
        content = [{"path": f"swap/raced{number}", "text": "x"}]
        answer = attacker.invoke("writeFiles", content=content)
        outcomes.add(answer["content"][0]["text"].partition("'")[0] if answer["isError"] else "written")
    assert len(outcomes) >= 2, outcomes  # the path was sometimes one thing and sometimes another
    assert attacker.shell("ls /tmp | grep raced; true")["stdout"] == ""


def test_names_in_a_listing_cannot_break_it(attacker: Attacker) -> None:
    attacker.python("import os\nopen('plain', 'w')\nopen(b'\\xff\\n\\x1b[2J', 'w')\nopen('a\"}', 'w')")
    names = [block["name"] for block in attacker.invoke("listFiles", path="")["content"]]
    assert {"plain", 'a"}', "\ufffd\n\x1b[2J"} <= set(names)


LEASE = """
import fcntl
held = open('leased', 'w+')
fcntl.fcntl(held, 1024, fcntl.F_WRLCK)  # F_SETLEASE: whoever opens it waits for the holder
import signal; signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.flock(held, fcntl.LOCK_EX)"""


def test_a_lease_or_a_lock_on_a_file_holds_no_tool(attackers: Any) -> None:
    attacker = attackers()
    assert attacker.python(LEASE)["exitCode"] == 0
    assert "temporarily unavailable" in attacker.invoke("readFiles", paths=["leased"])["content"][0]["text"]
    assert attacker.invoke("writeFiles", content=[{"path": "leased", "text": "x"}])["isError"]
    assert attacker.python("held.close()")["exitCode"] == 0
    assert not attacker.invoke("readFiles", paths=["leased"])["isError"]


def test_many_long_names_and_deep_folders_are_listed(attacker: Attacker) -> None:
    made = attacker.python("""import os
os.mkdir('many')
for number in range(10_000): os.close(os.open(f'many/{number:0250d}', os.O_CREAT))
for _ in range(3000): os.mkdir('d'); os.chdir('d')
os.chdir('/opt/amazon/genesis1p-tools/var')""")
    assert made["exitCode"] == 0
    assert len(attacker.invoke("listFiles", path="many")["content"]) == 10_000
    assert [block["name"] for block in attacker.invoke("listFiles", path="/".join("d" * 2000))["content"]] == ["d"]
    assert "name too long" in attacker.invoke("listFiles", path="/".join("d" * 2999))["content"][0]["text"]
    assert attacker.lives()


def test_a_file_that_grows_as_it_is_read_is_cut_off(attacker: Attacker) -> None:
    attacker.python("open('sparse', 'w').truncate(1 << 40); open('small', 'w').write('x')")
    answer = attacker.invoke("readFiles", paths=["small", "sparse"])
    assert answer["isError"]
    assert "too large" in answer["content"][0]["text"]
    assert not attacker.invoke("readFiles", paths=["small"])["isError"]


def test_many_files_fill_no_memory_of_the_emulator(attacker: Attacker, host: Host) -> None:
    attacker.python("open('sparse', 'w').truncate(60_000_000)")  # as cheap as it is large
    answer = attacker.invoke("readFiles", paths=["sparse"] * 20)
    assert answer["isError"]
    assert "too large together" in answer["content"][0]["text"]
    peak = next(line for line in Path(f"/proc/{host.process}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < 600_000  # of 1,200,000 that were asked for
