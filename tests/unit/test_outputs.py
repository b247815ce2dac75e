"""Selection of output files, parsing of listings and truncation of results."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from code_runner.files.discovery import FileKind, FoundFile, parse_listing
from code_runner.files.outputs import CollectedOutputs, select_files
from code_runner.files.presigned_urls import shortened
from code_runner.files.storage import inline_file
from code_runner.result_truncation import truncate_result
from code_runner.sandbox_scripts.list_files import natural_key, read
from sandpiper_contract.errors import ServiceFault
from sandpiper_contract.files import RESULT_BYTES, Outputs, SkippedFile, SkipReason
from sandpiper_contract.results import RunResult
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from pathlib import Path

STATE_BYTES = 256 * 1024
SHA256 = hashlib.sha256(b"a").hexdigest()


def file(path: str, size: int = 1) -> FoundFile:
    return FoundFile(path, size, SHA256, FileKind.FILE)


class Artifacts(dict[str, str]):
    """Stored texts by name."""

    def put(self, name: str, text: str) -> S3Object:
        self[name] = text
        return S3Object("bucket", name)


def test_the_eleventh_file_is_skipped_by_name() -> None:
    collected = CollectedOutputs()
    chosen = select_files([file(f"{n:02}") for n in range(11)], Outputs(), collected)
    assert [f.path for f in chosen] == [f"{n:02}" for n in range(10)]
    assert collected.skipped == [SkippedFile("10", 1, SkipReason.TOO_MANY_FILES)]


def test_a_file_that_is_too_large_is_skipped_and_a_later_smaller_one_selected() -> None:
    collected = CollectedOutputs()
    chosen = select_files([file("a", 9), file("b", 2), file("c", 1)], Outputs(max_bytes=10), collected)
    assert [f.path for f in chosen] == ["a", "c"]
    assert collected.skipped == [SkippedFile("b", 2, SkipReason.TOO_MANY_BYTES)]


@pytest.mark.parametrize(
    "forged",
    [
        {"clock": 2**60, "files": []},
        {"clock": -1, "files": []},
        {"clock": 1, "files": [["a", 2**60, None, "file", None]]},
        {"clock": 1, "files": [["a", -1, None, "file", None]]},
        {"clock": 1, "files": [["a", 1, None, "folder", None]]},
        {"clock": 1, "files": [["a", 1, None, "file", "no base64"]]},
        {"clock": 1, "files": [["a", 1, None, "file"]]},
        {"clock": 1, "files": [["a", 1, "no digest", "file", None]]},
        {"clock": 1, "files": [["a", 1, SHA256[1:], "file", None]]},
        {"clock": 1, "files": [["a", 1, SHA256 + "\n", "file", None]]},
        {"clock": 1, "files": [["a", 1, "\u0661" * 64, "file", None]]},
        {"clock": 1, "files": "a"},
    ],
)
def test_a_forged_listing_is_rejected(forged: object) -> None:
    """A value outside the contract would make the stored result unreadable for retries."""
    assert parse_listing({"clock": 1, "files": [["a", 1, SHA256, "file", None]]}).files == (file("a"),)
    with pytest.raises(ServiceFault):
        parse_listing(forged)


def test_a_file_whose_digest_is_missing_in_a_forged_listing_is_skipped() -> None:
    collected = CollectedOutputs()
    listed = parse_listing({"clock": 1, "files": [["a", 1, None, "file", None], ["b", 1, SHA256, "file", None]]})
    assert select_files(listed.files, Outputs(), collected) == [file("b")]
    assert collected.skipped == [SkippedFile("a", 1, SkipReason.UNREADABLE)]


def test_a_file_that_changes_while_it_is_listed_is_not_read_without_end(tmp_path: Path) -> None:
    regular, pipe, link = tmp_path / "regular", tmp_path / "pipe", tmp_path / "link"
    regular.write_bytes(b"ab" * 1_000_000)
    os.mkfifo(pipe)
    link.symlink_to(regular)
    whole = hashlib.sha256(regular.read_bytes()).hexdigest()
    assert read(str(regular), 2_000_000) == (whole, None)
    assert read(str(regular), 2_000_000, keep=True) == (whole, regular.read_bytes())
    assert read(str(regular), 1, keep=True) == (hashlib.sha256(b"ab").hexdigest(), None)
    assert read(str(regular), 3_000_000, keep=True) == (whole, None)
    for path in ("/dev/zero", str(pipe), str(link), str(tmp_path)):
        with pytest.raises(OSError):
            read(path, 1)


def test_numbered_names_are_in_numeric_order() -> None:
    names = [
        *(f"figure-{n}.png" for n in range(1, 31)),
        "part-007",
        "part-7",
        "part-08",
        "x2y10",
        "x10y2",
        "²",
        "a",
        "",
    ]
    ordered = ["", "a", *(f"figure-{n}.png" for n in range(1, 31)), "part-007", "part-7", "part-08", "x2y10", "x10y2"]
    assert sorted(names, key=lambda name: (natural_key(name), name)) == [*ordered, "²"]


def test_urls_are_shortened_without_a_loss() -> None:
    urls = [f"https://b.s3.eu-west-1.amazonaws.com/t/{n}%20x?X-Date=1{n // 2}&X-Signature={n:064x}" for n in range(4)]
    short = shortened(urls)
    assert len(short["queries"]) == 2
    assert [short["base"] + tail + short["queries"][query] + sign for tail, query, sign in short["urls"]] == urls


def test_a_small_result_is_unchanged() -> None:
    result, artifacts = RunResult("out", "err", 0, 1.0), Artifacts()
    assert truncate_result(result, artifacts.put) == result
    assert not artifacts


@pytest.mark.parametrize(
    "text", ["я" * 30_000, "я" * 32_768, "a" * 65_536, "a\n" * 32_768, '"' * 65_536], ids=lambda text: text[:2]
)
def test_a_stream_of_64_kib_is_unchanged(text: str) -> None:
    artifacts = Artifacts()
    assert truncate_result(RunResult(text, "", 0, 1.0), artifacts.put).stdout == text
    assert not artifacts


@pytest.mark.parametrize("character", ["a", "я", "🙂", '"', "\n", "\r\n"])
def test_a_long_stream_keeps_64_kib_in_utf_8(character: str) -> None:
    result = truncate_result(RunResult(character * 70_000, "", 0, 1.0), Artifacts().put)
    assert 65_000 < len(result.stdout.encode()) <= 65_536


@pytest.mark.parametrize("character", ["a", "я", "🙂", "\n", "\x00"])
def test_two_long_streams_keep_as_much_as_fits(character: str) -> None:
    text, artifacts = character * 70_000, Artifacts()
    result = truncate_result(RunResult(text, text, 0, 1.0), artifacts.put)
    response = len(json.dumps(result.to_json(), ensure_ascii=False).encode())
    size = len(result.stdout.encode())
    assert response <= 225 * 1024
    assert 65_000 < size <= 65_536 or response > 223 * 1024
    assert len(result.stderr) == len(result.stdout)
    assert set(artifacts) == {"stdout.txt", "stderr.txt"}


@pytest.mark.parametrize("text", ["a" * 30_000, '"' * 30_000, "a" * 200_000])
def test_a_short_stream_leaves_its_room_to_the_other(text: str) -> None:
    result = truncate_result(RunResult(text, "\n" * 65_536, 0, 1.0), Artifacts().put)
    assert result.stderr == "\n" * 65_536
    assert result.stderr_uri is None


def test_two_streams_that_are_longer_as_json_fit_into_a_state() -> None:
    text, artifacts = "\n" * 65_536, Artifacts()
    result = truncate_result(RunResult(text, text, 0, 1.0), artifacts.put)
    assert len(json.dumps(result.to_json(), ensure_ascii=False).encode()) < STATE_BYTES - 16 * 1024
    assert result.stdout_uri == S3Object("bucket", "stdout.txt")


def test_a_long_stdout_is_truncated_in_the_middle_and_stored_complete_in_s3() -> None:
    text, artifacts = "first line\n" + "é\n" * 1_000_000 + "last line", Artifacts()
    result = truncate_result(RunResult(text, "", 0, 1.0), artifacts.put)
    assert artifacts == {"stdout.txt": text}
    assert result.stdout.startswith("first line")
    assert result.stdout.endswith("last line")
    assert result.stdout_uri == S3Object("bucket", "stdout.txt")
    assert len(json.dumps(result.to_json())) < STATE_BYTES


def test_ten_thousand_skipped_files_are_listed_in_a_manifest() -> None:
    skipped = tuple(SkippedFile(f"folder/file-{n}", n, SkipReason.TOO_MANY_FILES) for n in range(10_000))
    artifacts = Artifacts()
    result = truncate_result(RunResult("", "", 0, 1.0, skipped=skipped), artifacts.put)
    assert len(json.dumps(result.to_json())) < STATE_BYTES
    assert len(json.loads(artifacts["manifest.json"])["skipped"]) == 10_000
    assert result.manifest_uri == S3Object("bucket", "manifest.json")


def test_files_that_fit_neither_in_s3_nor_in_the_result_are_counted() -> None:
    files = tuple(inline_file(f"file-{n:03}", b"1" * 60, "0" * 64) for n in range(1_000))
    complete = RunResult("a" * 200_000, "b" * 200_000, 0, 1.0, files=files)
    result = truncate_result(complete, lambda _name, _text: None)
    assert len(json.dumps(result.to_json())) < STATE_BYTES
    assert 0 < len(result.files) < 1_000
    row = SkippedFile(f"(and {1_000 - len(result.files)} more)", 0, SkipReason.NOT_STORED)
    assert result.skipped == (row,)


def test_a_result_of_a_session_step_has_at_most_the_requested_size() -> None:
    skipped = tuple(SkippedFile(f"folder/file-{n}", n, SkipReason.TOO_MANY_FILES) for n in range(100))
    complete, artifacts = RunResult("first" + "a" * 9_000, '"' * 9_000 + "last", 0, 1.0, skipped=skipped), Artifacts()
    result = truncate_result(complete, artifacts.put, RESULT_BYTES[0])
    assert 3_500 < len(json.dumps(result.to_json())) < RESULT_BYTES[0] + 500
    assert result.stdout.startswith("first")
    assert result.stderr.endswith("last")
    assert artifacts.keys() == {"stdout.txt", "stderr.txt", "manifest.json"}


def test_a_stream_that_s3_did_not_store_is_truncated_with_a_note() -> None:
    result = truncate_result(RunResult("a" * 200_000, "", 0, 1.0), lambda _name, _text: None)
    assert len(json.dumps(result.to_json())) < STATE_BYTES
    assert "S3 did not store the complete text" in result.stdout
    assert result.stdout_uri is None
