"""Decodes programs as their languages read a source file, wherever a program comes from.

Python reads the encoding from a byte order mark or from a comment (PEP 263), and UTF-8 is the default. JavaScript and
TypeScript are UTF-8. A byte order mark is not part of the program.
"""

from __future__ import annotations

import io

from sandpiper_contract.errors import InvalidRequest

BYTE_ORDER_MARK = "\ufeff"
COMMENT = "# coding: "
"""The beginning of the comment that declares an encoding."""


def decode_program(location: str, data: bytes, language: str) -> str:
    r"""Returns the text of a source file.

    Args:
        location: The field or the file, for the error message.
        data: The content of the file.
        language: `python`, `javascript` or `typescript`.

    Raises:
        InvalidRequest: The content is not in its encoding, or a comment declares an unknown encoding.

    Example:
        >>> decode_program("codeS3Uri", b"\xef\xbb\xbfprint(1)", "python")
        'print(1)'
    """
    try:
        return without_mark(data.decode(declared_encoding(data) if language == "python" else "utf-8"))
    except UnicodeDecodeError as error:
        encoding = "UTF-8" if error.encoding in ("utf-8", "utf8") else error.encoding
        raise InvalidRequest(f"{location}: not {encoding} at byte {error.start}; allowed: a program in UTF-8") from None
    except UnicodeError as error:  # of encodings such as idna, which report no position
        raise InvalidRequest(f"{location}: {error}; allowed: a program in UTF-8") from None
    except SyntaxError as error:
        raise InvalidRequest(f"{location}: {error.msg}; allowed: a program in UTF-8") from None


def encode_program(text: str, language: str) -> bytes:
    """Returns the content of a source file that its language reads as this text.

    A Python program with a comment for another encoding is written in that encoding, as in the file that it came from.
    """
    data = text.encode()
    if language != "python":
        return data
    try:
        encoding = declared_encoding(data)
        return data if _is_read_as(text, data, encoding) else text.encode(encoding)
    except (SyntaxError, UnicodeError):  # Python reports the comment
        return data


def _is_read_as(text: str, data: bytes, encoding: str) -> bool:
    try:
        return data.decode(encoding) == text
    except UnicodeError:
        return False


def without_mark(text: str) -> str:
    """Returns a program without the byte order mark that its file may begin with."""
    return text.removeprefix(BYTE_ORDER_MARK)


def declared_encoding(data: bytes) -> str:
    """Returns the encoding in which Python reads a source file.

    Raises:
        SyntaxError: The encoding is unknown, or does not encode a comment in ASCII, such as UTF-16 or rot13.
    """
    if b"coding" not in data[:1024]:
        return "utf-8"  # without the import below, which slows cold starts
    import tokenize

    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        if "invalid or missing encoding declaration" in str(error):
            return "utf-8"  # the content is not UTF-8, which decoding reports with the position
        raise
    try:
        is_readable = COMMENT.encode().decode(encoding) == COMMENT
    except (LookupError, UnicodeError):  # LookupError: an encoding of bytes or of text only, such as hex
        is_readable = False
    if not is_readable:
        raise SyntaxError(f"encoding problem: {encoding}")  # as Python
    return encoding
