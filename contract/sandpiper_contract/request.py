"""What a run is asked for: code, where it runs, for how long, with which files, and how much may come back."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Literal

from sandpiper_contract.fields import Fields, refuse

Language = Literal["python", "javascript", "typescript"]

LANGUAGES: tuple[Language, ...] = ("python", "javascript", "typescript")
SESSION_TIMEOUT_SECONDS = (60, 28_800)
"""The workflow connector's limits; the service itself takes 1 to 28,800."""
DEFAULT_SESSION_TIMEOUT_SECONDS = 300
DEFAULT_MAX_FILES = 10
DEFAULT_MAX_BYTES = 10 * 1024 * 1024
MOST_FILES = 1_000
MOST_BYTES = 100 * 1024 * 1024
MOST_INPUTS = 100
MOST_PATH_CHARACTERS = 255

_S3_URI = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)")


@dataclass(frozen=True)
class S3Object:
    """An object's address."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as people write it."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, place: str, value: object) -> S3Object:
        """Reads `s3://BUCKET/KEY`; raises InvalidRequest naming `place`."""
        match = _S3_URI.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise refuse(place, value, "s3://BUCKET/KEY")
        return cls(match[1], match[2])


@dataclass(frozen=True)
class InputFile:
    """A file that lies in the working directory before the code runs: its bytes, or where in S3 they are."""

    path: str
    content: bytes | S3Object


@dataclass(frozen=True)
class OutputLimits:
    """How much of what the code leaves comes back; the rest is named in `skipped`."""

    max_files: int = DEFAULT_MAX_FILES
    max_bytes: int = DEFAULT_MAX_BYTES


@dataclass(frozen=True)
class RunRequest:
    """One program to run once. `interpreter` is a key of the tenant's own list; None is the tenant's first."""

    code: str
    language: Language = "python"
    interpreter: str | None = None
    session_timeout_seconds: int = DEFAULT_SESSION_TIMEOUT_SECONDS
    inputs: tuple[InputFile, ...] = ()
    outputs: OutputLimits = field(default_factory=OutputLimits)

    @classmethod
    def from_json(cls, raw: object) -> RunRequest:
        """Reads a request as Step Functions carries it; raises InvalidRequest for the first thing that is wrong."""
        fields = Fields(raw, "request")
        code = fields.text("code")
        if not code.strip():
            raise refuse("code", code, "code that is more than white space")
        language: Language = fields.choice("language", LANGUAGES, "python")  # type: ignore[assignment]
        interpreter = fields.text("interpreter") if fields.has("interpreter") else None
        timeout = fields.whole_number(
            "sessionTimeoutSeconds", *SESSION_TIMEOUT_SECONDS, DEFAULT_SESSION_TIMEOUT_SECONDS, "seconds"
        )
        inputs = tuple(_input_file(place, entry) for place, entry in fields.items("inputs", MOST_INPUTS))
        outputs = _output_limits(fields.take("outputs", {}))
        fields.close()
        _refuse_repeated(inputs)
        return cls(code, language, interpreter, timeout, inputs, outputs)


def _output_limits(raw: object) -> OutputLimits:
    fields = Fields(raw, "outputs")
    limits = OutputLimits(
        max_files=fields.whole_number("maxFiles", 0, MOST_FILES, DEFAULT_MAX_FILES, "files"),
        max_bytes=fields.whole_number("maxBytes", 0, MOST_BYTES, DEFAULT_MAX_BYTES, "bytes"),
    )
    fields.close()
    return limits


def _input_file(place: str, raw: object) -> InputFile:
    fields = Fields(raw, place)
    path = relative_path(fields.place("path"), fields.take("path"))
    given = [name for name in ("text", "base64", "s3Uri") if fields.has(name)]
    if len(given) != 1:
        raise refuse(place, given, "exactly one of text, base64, s3Uri")
    value = fields.take(given[0])
    at = fields.place(given[0])
    fields.close()
    return InputFile(path, _CONTENT[given[0]](at, value))


def _from_text(place: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise refuse(place, value, "a string")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise refuse(place, value, "text that UTF-8 can hold") from None


def _from_base64(place: str, value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise refuse(place, value, "base64") from None


_CONTENT = {"text": _from_text, "base64": _from_base64, "s3Uri": S3Object.parse}


def relative_path(place: str, value: object) -> str:
    """A path under the working directory, as the service's file tools take it; raises InvalidRequest naming `place`."""
    allowed = f"a relative path without '..', at most {MOST_PATH_CHARACTERS} characters"
    if not isinstance(value, str) or not 0 < len(value) <= MOST_PATH_CHARACTERS:
        raise refuse(place, value, allowed)
    if value.startswith("/") or not value.isprintable() or any(part in ("", ".", "..") for part in value.split("/")):
        raise refuse(place, value, allowed)
    return value


def _refuse_repeated(inputs: tuple[InputFile, ...]) -> None:
    seen: set[str] = set()
    for index, file in enumerate(inputs):
        if file.path in seen:
            raise refuse(f"inputs[{index}].path", file.path, "each path once")
        seen.add(file.path)
