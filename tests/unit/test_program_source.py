"""Programs are decoded as their languages read a source file, and written so that they are read back."""

from __future__ import annotations

import pytest

from code_runner.agentcore.programs import Code, as_command
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.program_source import decode_program, encode_program


@pytest.mark.parametrize("language", ["python", "javascript", "typescript"])
def test_a_byte_order_mark_is_not_part_of_a_program(language: str) -> None:
    assert decode_program("codeS3Uri", b"\xef\xbb\xbfprint(1)", language) == "print(1)"


def test_a_byte_order_mark_in_code_is_removed() -> None:
    assert Code("\ufeffprint(1)").text == "print(1)"


def test_python_programs_have_the_declared_encoding() -> None:
    data = "# -*- coding: latin-1 -*-\nprint('é')\n".encode("latin-1")
    text = decode_program("codeS3Uri", data, "python")
    assert "é" in text
    _, (file,) = as_command(Code(text))
    assert file.data == data


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-7", "unicode_escape", "raw_unicode_escape"])
@pytest.mark.parametrize("program", ["print('\xe9')\r\n", "x = 1 + 1 # é", "x = '~\\\\'"])
def test_an_encoded_program_is_decoded_as_the_same_text(encoding: str, program: str) -> None:
    """A program that is too long for a request passes through S3."""
    text = f"#!python\n# coding: {encoding}\n{program}"
    assert decode_program("codeS3Uri", encode_program(text, "python"), "python") == text


@pytest.mark.parametrize("encoding", ["utf-16", "rot13", "unicode_escape", "utf-7"])
def test_a_started_program_is_written_as_text_that_python_reads_or_reports(encoding: str) -> None:
    """Python reports an encoding that it cannot read; the program is not an error of the session function."""
    text = f"# coding: {encoding}\nprint(1)\n"
    _, (file,) = as_command(Code(text))
    assert file.data == text.encode()


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
        (b"# coding: utf-16\nprint(1)\n", r"^codeS3Uri: encoding problem: utf-16; "),
        (b"# coding: utf-16-le\nprint(1)\n", r"^codeS3Uri: encoding problem: utf-16-le; "),
        (b"# coding: rot13\nprint(1)\n", r"^codeS3Uri: encoding problem: rot13; "),
        (b"# coding: hex\nprint(1)\n", r"^codeS3Uri: encoding problem: hex; "),
        (b"# coding: undefined\nprint(1)\n", r"^codeS3Uri: encoding problem: undefined; "),
        (b"# coding: idna\nprint('\xe9')\n", r"^codeS3Uri: .*; allowed: a program in UTF-8$"),
    ],
)
def test_a_program_in_another_encoding_is_rejected(data: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        decode_program("codeS3Uri", data, "python")
