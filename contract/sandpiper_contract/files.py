"""Files that a run is given and files that it leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Protocol

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import (
    AnyString,
    Base64,
    Boolean,
    EnumMember,
    Integer,
    ListOf,
    RelativePath,
    S3Folder,
    S3Object,
    S3Uri,
    Text,
    Utf8,
    require_instance,
    truncate,
)
from sandpiper_contract.records import Record, record
from sandpiper_contract.rules import ExactlyOne

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_MAX_FILES = 10
DEFAULT_MAX_BYTES = 10 * 1024 * 1024
MAX_FILES = 1_000
MAX_FILE_BYTES = 5 * 1024**3
"""The service's limit for a file in S3, and S3's for one copy."""
MAX_INPUTS = 100
MAX_PATTERNS = 100
MAX_PATTERN_CHARACTERS = 255
LINK_SECONDS = (60, 43_200)
"""A link ends with the credentials that signed it: at the latest after the 12 hours that a role's may live."""
SERVICE_FILES: tuple[str, ...] = (
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


@record
class InputFile(Record):
    """A file that lies in the working directory before the code runs: its content, or where in S3 it is."""

    RULES = (ExactlyOne(("text", "base64", "s3_uri", "s3_prefix")),)

    path: Annotated[
        str, RelativePath(), "Path relative to the working directory; for a prefix, the destination folder."
    ]
    text: Annotated[bytes | None, Utf8(), "The content as text."] = None
    base64: Annotated[bytes | None, Base64(), "The content in base64."] = None
    s3_uri: Annotated[S3Object | None, S3Uri(), "The object that holds the content."] = None
    s3_prefix: Annotated[S3Object | None, S3Folder(), "A folder in S3, copied with its subfolders below `path`."] = None

    @property
    def data(self) -> bytes | None:
        """The content, where it came with the request."""
        return self.text if self.text is not None else self.base64

    @classmethod
    def from_bytes(cls, path: str, data: bytes) -> InputFile:
        """A file with these bytes."""
        return cls(path, base64=data)


@dataclass(frozen=True)
class Pattern:
    """A glob: `*` and `?` stay within a folder, `**/` is any folders or none, `[…]` or `[!…]` one of some characters.

    Names that begin with a dot are like any other.
    """

    glob: str

    @property
    def is_literal(self) -> bool:
        """Whether it can match one path alone, which is then missed when it is not there."""
        return self.regex() == re.escape(self.glob)

    def regex(self) -> str:
        """The same as a regular expression for a whole path, for Python from 3.10 on, with DOTALL."""
        *folders, last = self.glob.split("/")
        steps = [step for step, before in zip(folders, ["", *folders], strict=False) if not step == before == "**"]
        above = "".join("(?:[^/]+/)*" if step == "**" else f"{_segment(step)}/" for step in steps)
        return above + (".+" if last == "**" else _segment(last))


_PARTS = re.compile(r"\*+|\?|\[(?:(?P<not>!)|(?!!))(?P<set>.[^]]*)]|.", re.DOTALL)
_RANGES = re.compile(r"(.)-(.)|(.)", re.DOTALL)


def _segment(glob: str) -> str:
    """One part of a path, as fnmatch has it."""
    return "".join(map(_translated, _PARTS.finditer(glob)))


def _translated(part: re.Match[str]) -> str:
    if part["set"] is None:
        return {"*": "[^/]*", "?": "[^/]"}.get(part[0][0], re.escape(part[0]))
    ranges = [(first or one, last or one) for first, last, one in _RANGES.findall(part["set"])]
    inside = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in ranges if first <= last)
    if part["not"]:
        return f"[^/{inside}]"
    return f"[{inside}]" if inside else "(?!)"


class Glob:
    """A pattern of paths under the working directory."""

    def parse(self, location: str, value: object) -> Pattern:
        """As Kind has it."""
        return Pattern(RelativePath().parse(location, value))

    def validate(self, location: str, value: object) -> Pattern:
        """As Kind has it."""
        return self.parse(location, require_instance(location, value, Pattern).glob)

    def serialize(self, value: Pattern) -> object:
        """As Kind has it."""
        return value.glob

    def schema(self) -> dict[str, object]:
        """As Kind has it."""
        return RelativePath().schema()


@record
class Outputs(Record):
    """Which of the files that the code leaves come back; each other one is named in `skipped`."""

    paths: Annotated[
        tuple[Pattern, ...] | None,
        ListOf(Glob(), MAX_PATTERNS),
        "Names and globs to bring back, changed or not. Without it, whatever is new or changed; [] looks for nothing.",
    ] = None
    max_files: Annotated[int, Integer(0, MAX_FILES, "files"), "How many files come back at most."] = DEFAULT_MAX_FILES
    max_bytes: Annotated[int, Integer(0, MAX_FILE_BYTES, "bytes"), "How many bytes come back at most, in all."] = (
        DEFAULT_MAX_BYTES
    )
    figures: Annotated[bool, Boolean(), "Save open or shown matplotlib figures as figure-1.png, figure-2.png, …"] = (
        False
    )
    link_seconds: Annotated[
        int | None,
        Integer(*LINK_SECONDS, "seconds"),
        "Add a link to each file that anybody may download it by, for so long. Histories keep links.",
    ] = None

    @property
    def collects_files(self) -> bool:
        """Whether there is anything to look for."""
        return self.paths != () or self.figures


class SkipReason(StrEnum):
    """Why a file that the program left is not in `files`."""

    TOO_MANY_FILES = "more files than outputs.maxFiles"
    TOO_MANY_BYTES = "more bytes in all than outputs.maxBytes"
    NOT_REGULAR = "not a regular file"
    NOT_FOUND = "no such file"
    NOT_CHOSEN = "not among outputs.paths"
    UNREADABLE = "it could not be read"
    PATH_TOO_LONG = "its path is longer than 255 characters"
    CONTROL_CHARACTERS = "its path has control characters"
    CHANGED = "it changed while it was read"
    TOO_LARGE = "larger than can be carried without an execution role"
    NOT_STORED = "S3 did not take it, and it is too large for the result"
    NOT_LISTED = "the files could not be listed"
    NO_FIGURES = "the figures could not be kept"


@record
class OutputFile(Record):
    """A file that the program made or changed: in S3, or here in base64 when there is no S3."""

    path: Annotated[str, RelativePath(), "Relative to the working directory."]
    name: Annotated[str, RelativePath(), "The last part of the path."]
    content_type: Annotated[str, Text(), "By the file's name; application/octet-stream when it tells nothing."]
    size: Annotated[int, Integer(0, MAX_FILE_BYTES, "bytes"), "In bytes."]
    sha256: Annotated[str, Text(), "Of the content, in hexadecimal."]
    s3_uri: Annotated[S3Object | None, S3Uri(), "Where the content is."] = None
    link: Annotated[str | None, Text(), "A link to download it by, where the request asked for one."] = None
    base64: Annotated[bytes | None, Base64(), "The content, without a bucket or when S3 did not take it."] = None

    @property
    def data(self) -> bytes | None:
        """The content, where it came with the result."""
        return self.base64


@record
class SkippedFile(Record):
    """A file that the program left and that was not kept. The path `.` stands for all of them."""

    path: Annotated[str, AnyString(), "Relative to the working directory."]
    size: Annotated[int, Integer(0, 2**63, "bytes"), "In bytes."]
    reason: Annotated[SkipReason, EnumMember(SkipReason), "Why."]


def check_input_paths(inputs: tuple[InputFile, ...]) -> None:
    """Two inputs at one place, one where another needs a folder, and what the service itself keeps there."""
    check_distinct_paths((f"inputs[{index}].path", file.path) for index, file in enumerate(inputs))


def check_distinct_paths(files: Iterable[tuple[str, str]]) -> None:
    """The same for any files, as pairs of where the request names each and its path. Raises InvalidRequest."""
    taken, folders = set[str](), set[str]()
    for location, path in files:
        location, parts = f"{location} is {truncate(repr(path))}", path.split("/")
        if parts[0] in SERVICE_FILES:
            own = ", ".join(SERVICE_FILES)
            raise InvalidRequest(f"{location}; allowed: a path outside of what the service keeps: {own}")
        above = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if path in taken or path in folders or above & taken:
            raise InvalidRequest(f"{location}; allowed: each path once, and no file where another needs a folder")
        taken.add(path)
        folders |= above


class DistinctInputPaths:
    """The rule that inputs do not collide. JSON Schema cannot say it."""

    def check(self, record: HasInputs) -> None:
        """As Rule has it."""
        check_input_paths(record.inputs)

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - as Rule has it
        """As Rule has it."""
        return {}


class HasInputs(Protocol):
    """A request with files."""

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """As they lie in the working directory."""
        ...


DISTINCT_INPUT_PATHS = DistinctInputPaths()
DEFAULT_OUTPUTS = Outputs()
NO_OUTPUTS = Outputs(paths=())
"""Look for no files."""
