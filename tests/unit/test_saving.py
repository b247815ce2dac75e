"""What code has left is written into a folder of this machine, and nowhere else."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING

import pytest

from sandpiper.saving import save

if TYPE_CHECKING:
    from pathlib import Path

NEW, OLD = b"new", b"old"


def saved(out: Path, path: str, *, overwrite: bool = False) -> bool:
    def fill(file: IO[bytes]) -> None:
        file.write(NEW)

    return save(out, path, hashlib.sha256(NEW).hexdigest(), fill, overwrite=overwrite)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the user's beside the folder."""
    file = tmp_path / "mine"
    file.write_bytes(OLD)
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_lies_in_its_subfolder(out: Path, overwrite: bool) -> None:
    assert saved(out, "a/b/c.txt", overwrite=overwrite)
    assert (out / "a/b/c.txt").read_bytes() == NEW
    assert names(out) == {"a", "a/b", "a/b/c.txt"}
    assert (out / "a/b/c.txt").stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_there_stays_unless_asked(out: Path) -> None:
    out.mkdir()
    (out / "a").write_bytes(OLD)
    assert not saved(out, "a")
    assert (out / "a").read_bytes() == OLD
    assert saved(out, "a", overwrite=True)
    assert (out / "a").read_bytes() == NEW
    assert names(out) == {"a"}


def test_a_file_of_this_content_is_there_already(out: Path) -> None:
    assert saved(out, "a")
    before = (out / "a").stat()
    assert saved(out, "a")
    assert (out / "a").stat() == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("target", ["mine", "nothing"])
def test_a_link_is_not_followed(out: Path, mine: Path, target: str, overwrite: bool) -> None:
    out.mkdir()
    (out / "a").symlink_to(mine.with_name(target))
    assert saved(out, "a", overwrite=overwrite) is overwrite
    assert mine.read_bytes() == OLD
    assert not mine.with_name("nothing").exists()
    assert (out / "a").is_symlink() is not overwrite


def test_a_link_to_the_same_content_is_no_file_that_is_there(out: Path, mine: Path) -> None:
    out.mkdir()
    mine.write_bytes(NEW)
    (out / "a").symlink_to(mine)
    assert not saved(out, "a")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_in_the_place_of_a_folder_is_not_followed(out: Path, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "sub").symlink_to("../elsewhere")
    with pytest.raises(NotADirectoryError):
        saved(out, "sub/a", overwrite=overwrite)
    assert names(tmp_path / "elsewhere") == set()


def test_another_name_of_a_file_is_not_written_through(out: Path, mine: Path) -> None:
    out.mkdir()
    os.link(mine, out / "a")
    assert saved(out, "a", overwrite=True)
    assert mine.read_bytes() == OLD


def test_the_folder_itself_may_be_a_link_of_the_users(out: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    out.symlink_to("disk")
    assert saved(out, "a")
    assert (tmp_path / "disk" / "a").read_bytes() == NEW


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_does_not_arrive_leaves_no_part_and_the_old_one(out: Path, overwrite: bool) -> None:
    out.mkdir()
    (out / "old").write_bytes(OLD)

    def fails(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    for path in ("new", *(["old"] if overwrite else [])):
        with pytest.raises(KeyboardInterrupt):
            save(out, path, "", fails, overwrite=overwrite)
    assert names(out) == {"old"}
    assert (out / "old").read_bytes() == OLD
