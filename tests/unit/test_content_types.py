"""The content type depends only on the file's name."""

from __future__ import annotations

import pytest

from code_runner.files.content_types import content_type


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("chart.png", "image/png"),
        ("a/b/REPORT.CSV", "text/csv"),
        ("report.csv.gz", "application/gzip"),
        ("book.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("notes.txt", "text/plain"),
        ("data:text/html,x", "application/octet-stream"),
        ("data:日/x,y", "application/octet-stream"),
        ("folder.png/x", "application/octet-stream"),
        (".png", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_content_type_follows_from_the_file_name(path: str, type_: str) -> None:
    assert content_type(path) == type_
