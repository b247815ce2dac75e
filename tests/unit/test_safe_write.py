"""Files of untrusted code are written into the output folder and nowhere else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from sandpiper.safe_write import write_file

if TYPE_CHECKING:
    from pathlib import Path

NEW, OLD = b"new", b"old"


def write(out: Path, path: str, *, overwrite: bool = False) -> bool:
    def fill(file: IO[bytes]) -> None:
        file.write(NEW)

    return write_file(out, path, hashlib.sha256(NEW).hexdigest(), fill, overwrite=overwrite)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the user next to the output folder."""
    file = tmp_path / "outside"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_written_into_its_subfolder(out: Path, overwrite: bool) -> None:
    assert write(out, "a/b/c.txt", overwrite=overwrite)
    assert (out / "a/b/c.txt").read_bytes() == NEW
    assert names(out) == {"a", "a/b", "a/b/c.txt"}
    assert (out / "a/b/c.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("overwrite", ["False", "True"])
def test_a_name_that_the_locale_cannot_encode_is_written_as_in_the_session(tmp_path: Path, overwrite: str) -> None:
    program = (
        "import pathlib, sys\nfrom sandpiper.safe_write import write_file\n"
        f"write_file(pathlib.Path(sys.argv[1]), '\\u4e2d/\\xfc.txt', '', lambda _: None, overwrite={overwrite})"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, tmp_path], env=environment, check=True)
    assert names(tmp_path) == {"中", "中/ü.txt"}


def test_an_existing_file_is_kept_without_overwrite(out: Path) -> None:
    out.mkdir()
    (out / "a").write_bytes(OLD)
    assert not write(out, "a")
    assert (out / "a").read_bytes() == OLD
    assert write(out, "a", overwrite=True)
    assert (out / "a").read_bytes() == NEW
    assert names(out) == {"a"}


def test_an_existing_file_with_the_same_content_is_kept(out: Path) -> None:
    assert write(out, "a")
    before = (out / "a").stat()
    assert write(out, "a")
    assert (out / "a").stat() == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("target", ["outside", "missing"])
def test_a_link_is_not_followed(out: Path, outside: Path, target: str, overwrite: bool) -> None:
    out.mkdir()
    (out / "a").symlink_to(outside.with_name(target))
    assert write(out, "a", overwrite=overwrite) is overwrite
    assert outside.read_bytes() == OLD
    assert not outside.with_name("missing").exists()
    assert (out / "a").is_symlink() is not overwrite


def test_a_link_to_the_same_content_does_not_count_as_the_file(out: Path, outside: Path) -> None:
    out.mkdir()
    outside.write_bytes(NEW)
    (out / "a").symlink_to(outside)
    assert not write(out, "a")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_instead_of_a_folder_is_not_followed(out: Path, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "sub").symlink_to("../elsewhere")
    with pytest.raises(NotADirectoryError):
        write(out, "sub/a", overwrite=overwrite)
    assert names(tmp_path / "elsewhere") == set()


def test_a_hard_link_is_replaced_and_its_file_kept(out: Path, outside: Path) -> None:
    out.mkdir()
    os.link(outside, out / "a")
    assert write(out, "a", overwrite=True)
    assert outside.read_bytes() == OLD


def test_the_output_folder_itself_may_be_a_link(out: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    out.symlink_to("disk")
    assert write(out, "a")
    assert (tmp_path / "disk" / "a").read_bytes() == NEW


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interrupted_write_leaves_no_partial_file_and_keeps_the_old_one(out: Path, overwrite: bool) -> None:
    out.mkdir()
    (out / "old").write_bytes(OLD)

    def fails(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    for path in ("new", *(["old"] if overwrite else [])):
        with pytest.raises(KeyboardInterrupt):
            write_file(out, path, "", fails, overwrite=overwrite)
    assert names(out) == {"old"}
    assert (out / "old").read_bytes() == OLD
