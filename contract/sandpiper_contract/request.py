"""What a run is asked for: code, where it runs, for how long, with which files, and how much may come back."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Literal, cast

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.fields import Fields, refuse, refuse_unseen

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
FIELDS = ("code", "language", "interpreter", "sessionTimeoutSeconds", "inputs", "outputs")
SERVICE_OWN: tuple[str, ...] = (
    ".ipython",
    "log",
    "node_modules",
    "nodejs-js-execution",
    "nodejs-ts-execution",
    "package-lock.json",
    "package.json",
    "run",
)
"""What a fresh session's working directory already holds; seen on the service in 2026-03 and 2026-08."""

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
        match = _S3_URI.fullmatch(value) if isinstance(value, str) and value.isprintable() else None
        if match is None:
            raise refuse(place, value, "s3://BUCKET/KEY in printable characters")
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
        fields = Fields(raw, "request", FIELDS)
        code = fields.text("code")
        language: Language = fields.choice("language", LANGUAGES, "python")  # type: ignore[assignment]
        interpreter = fields.text("interpreter") if fields.has("interpreter") else None
        timeout = fields.whole_number(
            "sessionTimeoutSeconds", *SESSION_TIMEOUT_SECONDS, DEFAULT_SESSION_TIMEOUT_SECONDS, "seconds"
        )
        inputs = tuple(_input_file(place, entry) for place, entry in fields.items("inputs", MOST_INPUTS))
        outputs = _output_limits(fields.take("outputs", {}))
        _refuse_collisions(inputs)
        return cls(code, language, interpreter, timeout, inputs, outputs)


def _output_limits(raw: object) -> OutputLimits:
    fields = Fields(raw, "outputs", ("maxFiles", "maxBytes"))
    return OutputLimits(
        max_files=fields.whole_number("maxFiles", 0, MOST_FILES, DEFAULT_MAX_FILES, "files"),
        max_bytes=fields.whole_number("maxBytes", 0, MOST_BYTES, DEFAULT_MAX_BYTES, "bytes"),
    )


def _input_file(place: str, raw: object) -> InputFile:
    fields = Fields(raw, place, ("path", *_CONTENT))
    path = relative_path(fields.place("path"), fields.take("path"))
    given = [name for name in _CONTENT if fields.has(name)]
    if len(given) != 1:
        has = " and ".join(given) or "none of them"
        raise InvalidRequest(f"{place} has {has}; allowed: exactly one of {', '.join(_CONTENT)}")
    return InputFile(path, _CONTENT[given[0]](fields.place(given[0]), fields.take(given[0])))


def _from_text(place: str, value: object) -> bytes:
    try:
        return cast("str", value).encode()
    except (AttributeError, UnicodeEncodeError):
        raise refuse_unseen(place, value, "a string that UTF-8 can hold") from None


def _from_base64(place: str, value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise refuse_unseen(place, value, "a string in base64") from None


_CONTENT = {"text": _from_text, "base64": _from_base64, "s3Uri": S3Object.parse}


def relative_path(place: str, value: object) -> str:
    """A path under the working directory, as the service's file tools take it; raises InvalidRequest naming `place`."""
    allowed = f"a relative path of at most {MOST_PATH_CHARACTERS} printable characters, without '..'"
    if not isinstance(value, str) or not 0 < len(value) <= MOST_PATH_CHARACTERS:
        raise refuse(place, value, allowed)
    if value.startswith("/") or not value.isprintable() or any(part in ("", ".", "..") for part in value.split("/")):
        raise refuse(place, value, allowed)
    return value


def _refuse_collisions(inputs: tuple[InputFile, ...]) -> None:
    """Two files at one place, a file where another needs a folder, and what the service itself keeps there."""
    taken = set(SERVICE_OWN)
    for index, file in enumerate(inputs):
        place, parts = f"inputs[{index}].path", file.path.split("/")
        if parts[0] in SERVICE_OWN:
            raise refuse(place, file.path, "a path outside of what the service keeps: " + ", ".join(SERVICE_OWN))
        above = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if file.path in taken or above & taken or any(other.startswith(f"{file.path}/") for other in taken):
            raise refuse(place, file.path, "each path once, and no file where another needs a folder")
        taken.add(file.path)
