"""The part of the host's /usr that a sandbox shows: programs and libraries, also of file systems mounted below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_agentcore.sandbox import system_directories
from local_agentcore.sandbox.layout import SHOWN_BELOW_USR, is_shown_below_usr

SHOWN = ("/usr", "/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/local", "/usr/local/lib/python3.11", "/usr/share/etc")
HIDDEN = ("/usr/src", "/usr/etc", "/usr/local/etc", "/usr/local/etc/npmrc", "/usr/local/python/3.12", "/usr/games/x")
OUTSIDE = ("/", "/etc", "/usrx", "/opt/usr/bin")


@pytest.mark.parametrize("path", [*SHOWN, *HIDDEN, *OUTSIDE])
def test_only_programs_and_libraries_are_shown(path: str) -> None:
    assert is_shown_below_usr(Path(path)) == (path in SHOWN)


def test_file_systems_mounted_below_usr_are_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usr = tmp_path / "usr"
    for name in ("local", "lib/with space", "src/linux", "lib/other"):
        (usr / name).mkdir(parents=True)
    (usr / "lib/file.so").touch()
    points = [usr / "lib/with space", usr / "src/linux", usr / "local", usr / "lib/file.so", tmp_path / "elsewhere"]
    mounts = tmp_path / "mountinfo"
    lines = (f"1 2 0:3 / {str(point).replace(' ', chr(92) + '040')} ro - tmpfs none rw\n" for point in points)
    mounts.write_text("".join(lines))
    monkeypatch.setattr(system_directories, "MOUNTS", mounts)
    monkeypatch.setattr(system_directories, "USR", usr)
    monkeypatch.setattr("local_agentcore.sandbox.layout.USR", usr)
    monkeypatch.setattr(system_directories, "ROOT_DIRECTORIES", ())
    assert [(source.path, source.shown) for source in system_directories.system_directories()] == [
        (str(usr), {".": SHOWN_BELOW_USR[""], "local": SHOWN_BELOW_USR["local"]}),
        (str(usr / "lib/with space"), {}),
        (str(usr / "local"), {".": SHOWN_BELOW_USR["local"]}),
    ]
