"""Programs are decoded as their languages read a source file, and written so that they are read back."""

from __future__ import annotations

import pytest

from code_runner.agentcore.programs import Code, as_command
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.program_source import decode_program


@pytest.mark.parametrize("language", ["python", "javascript", "typescript"])
def test_a_byte_order_mark_is_no_part_of_a_program(language: str) -> None:
    assert decode_program("codeS3Uri", b"\xef\xbb\xbfprint(1)", language) == "print(1)"


def test_a_byte_order_mark_in_code_is_removed() -> None:
    assert Code("\ufeffprint(1)").text == "print(1)"


def test_python_programs_have_the_declared_encoding() -> None:
    data = "# -*- coding: latin-1 -*-\nprint('é')\n".encode("latin-1")
    text = decode_program("codeS3Uri", data, "python")
    assert "é" in text
    _, (file,) = as_command(Code(text))
    assert file.data == data


def test_javascript_is_utf_8_whatever_a_comment_says() -> None:
    text = "// coding: latin-1\nconsole.log('é')"
    assert decode_program("codeS3Uri", text.encode(), "javascript") == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"print('\xe9')", r"^codeS3Uri: not UTF-8 at byte 7; allowed: a program in UTF-8$"),
        (b"# coding: utf-8\nprint('\xe9')", r"^codeS3Uri: not UTF-8 at byte 23; "),
        (b"# coding: klingon\n", r"^codeS3Uri: unknown encoding: klingon; "),
        (b"\xef\xbb\xbf# coding: latin-1\n", r"^codeS3Uri: encoding problem: .*; "),
    ],
)
def test_a_program_in_another_encoding_is_rejected(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        decode_program("codeS3Uri", data, "python")
