"""Reads a program from a file of this machine or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from sandpiper.errors import CliError
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.program_source import decode_program
from sandpiper_contract.requests import LANGUAGES

SUFFIXES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".ts": "typescript"}
"""Languages by the suffix of the file."""
STANDARD_INPUT = "-"


def language_of(file: str) -> str:
    """Returns the language by the suffix of the file; Python for standard input. Raises CliError."""
    if Path(file).is_dir():
        raise CliError(f"{file}: is a folder; allowed: a program's file. To send a folder of files, use --input")
    language = SUFFIXES.get(Path(file).suffix.lower()) if file != STANDARD_INPUT else SUFFIXES[".py"]
    if language is None:
        suffixes = " | ".join(SUFFIXES)
        raise CliError(f"{file}: the language is unknown; allowed: {suffixes}, or --language {' | '.join(LANGUAGES)}")
    return language


def read_program(file: str, language: str) -> str:
    """Returns the code of a program.

    Args:
        file: the path of the file, or `-` for standard input.
        language: the language of the program.

    Raises:
        CliError: The file cannot be read, or has no program.
    """
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        code = decode_program(name, data, language)
    except OSError as error:
        raise CliError(f"{name}: {error.strerror}") from None
    except InvalidRequest as error:
        raise CliError(str(error)) from None
    if not code.strip():
        raise CliError(f"{name}: the program is empty; allowed: a program")
    return code
