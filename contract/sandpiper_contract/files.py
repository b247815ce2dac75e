"""Input and output files of runs."""

# ruff: noqa: D102 - Rule documents the methods of every rule
from __future__ import annotations

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
    Text,
    Utf8,
)
from sandpiper_contract.globs import Glob, Pattern
from sandpiper_contract.records import Record, record
from sandpiper_contract.rules import ExactlyOne
from sandpiper_contract.s3_objects import S3Folder, S3Object, S3Uri
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_MAX_FILES = 10
DEFAULT_MAX_BYTES = 10 * 1024 * 1024
MAX_FILES = 1_000
MAX_FILE_BYTES = 5 * 1024**3
"""5 GiB, the service's limit for a file in S3 and S3's limit for a single PUT.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
"""
MAX_INPUTS = 100
MAX_NAME_BYTES = 255
"""Linux's limit for the name of a file or folder: NAME_MAX in limits.h."""
MAX_PATTERNS = 100
MAX_PATTERN_CHARACTERS = 255
RESULT_BYTES = (4_096, 224 * 1024)
"""Minimum and maximum size of a result as JSON. The maximum leaves room for the rest of a workflow's state of 256
KiB."""
LINK_SECONDS = (60, 43_200)
"""Minimum and maximum. A link expires with the credentials that signed it: for a role, after at most 12 hours."""
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
"""The service's own files in the working directory of a new session, as observed in 2026-03 and 2026-08."""
CACHE_FOLDERS: tuple[str, ...] = (
    ".cache",
    ".ipynb_checkpoints",
    ".matplotlib",
    ".mypy_cache",
    ".npm",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
)
"""Folders that Python, its libraries and its tools create for themselves and create again when they are missing."""


@record
class InputFile(Record):
    """A file to write to the working directory before the code runs: its content, or its address in S3."""

    RULES = (ExactlyOne(("text", "base64", "s3_uri", "s3_prefix")),)

    path: Annotated[
        str, RelativePath(), "Path relative to the working directory; for a prefix, the destination folder."
    ]
    text: Annotated[bytes | None, Utf8(), "The content as text."] = None
    base64: Annotated[bytes | None, Base64(), "The content in base64."] = None
    s3_uri: Annotated[S3Object | None, S3Uri(), "The object that contains the content."] = None
    s3_prefix: Annotated[S3Object | None, S3Folder(), "A folder in S3 to copy, with its subfolders, to `path`."] = None

    @property
    def data(self) -> bytes | None:
        """The content, if the request contains it."""
        return self.text if self.text is not None else self.base64

    @classmethod
    def from_bytes(cls, path: str, data: bytes) -> InputFile:
        """Returns a file with this content.

        Example:
            >>> InputFile.from_bytes("in.csv", b"1,12000").to_json()["base64"]
            'MSwxMjAwMA=='
        """
        return cls(path, base64=data)


@record
class Outputs(Record):
    """Which files to return. All other files are listed in `skipped`."""

    paths: Annotated[
        tuple[Pattern, ...] | None,
        ListOf(Glob(), MAX_PATTERNS),
        "Paths and globs to return, whether changed or not. Default: all new and changed files. `[]` returns none. "
        "Files in cache folders such as `__pycache__` are returned only if a path or glob contains the folder's name.",
    ] = None
    max_files: Annotated[int, Integer(0, MAX_FILES, "files"), "Maximum number of files to return."] = DEFAULT_MAX_FILES
    max_bytes: Annotated[
        int, Integer(0, MAX_FILE_BYTES, "bytes"), "Maximum total size of the returned files in bytes."
    ] = DEFAULT_MAX_BYTES
    figures: Annotated[bool, Boolean(), "Save matplotlib figures as figure-1.png, figure-2.png, …"] = False
    link_seconds: Annotated[
        int | None,
        Integer(*LINK_SECONDS, "seconds"),
        "Add a download link to each file, valid for this time. Anyone with the link can download the file. Execution "
        "histories contain the link.",
    ] = None

    max_result_bytes: Annotated[
        int,
        Integer(*RESULT_BYTES, "bytes"),
        "Maximum size of the result as JSON, in bytes. Longer output and lists of files are truncated; the complete "
        "ones are stored in S3.",
    ] = RESULT_BYTES[1]

    @property
    def collects_files(self) -> bool:
        """Whether the request returns any files."""
        return self.paths != () or self.figures


class SkipReason(StrEnum):
    """Why a file that the program wrote is not in `files`."""

    TOO_MANY_FILES = "more files than outputs.maxFiles"
    TOO_MANY_BYTES = "more bytes in all than outputs.maxBytes"
    NOT_REGULAR = "not a regular file"
    NOT_FOUND = "no such file"
    NOT_REQUESTED = "not among outputs.paths"
    UNREADABLE = "it could not be read"
    PATH_TOO_LONG = "its path is longer than 255 characters"
    CONTROL_CHARACTERS = "its path has control characters"
    CHANGED = "it changed while it was read"
    TOO_LARGE = "larger than 100 MB, and the session could not send it to S3"
    NOT_STORED = "S3 did not take it, and it is too large for the result"
    NOT_LISTED = "the files could not be listed"
    NO_FIGURES = "the figure could not be saved"


@record
class OutputFile(Record):
    """A file that the program created or changed, stored in S3 or, without a bucket, included as base64."""

    path: Annotated[str, RelativePath(), "Relative to the working directory."]
    name: Annotated[str, RelativePath(), "The last part of the path."]
    content_type: Annotated[str, Text(), "From the file name extension; application/octet-stream if unknown."]
    size: Annotated[int, Integer(0, MAX_FILE_BYTES, "bytes"), "Size in bytes."]
    sha256: Annotated[str, Text(), "SHA-256 of the content, in hexadecimal."]
    s3_uri: Annotated[S3Object | None, S3Uri(), "The address of the content."] = None
    link: Annotated[str | None, Text(), "A download link, if requested."] = None
    base64: Annotated[bytes | None, Base64(), "The content, if there is no bucket or S3 did not store it."] = None

    @property
    def data(self) -> bytes | None:
        """The content, if the result contains it."""
        return self.base64


@record
class SkippedFile(Record):
    """A file that the program wrote and that was not returned. The path `.` stands for all files."""

    path: Annotated[str, AnyString(), "Relative to the working directory."]
    size: Annotated[int, Integer(0, 2**63, "bytes"), "Size in bytes."]
    reason: Annotated[SkipReason, EnumMember(SkipReason), "Why the file was skipped."]


def check_input_paths(inputs: tuple[InputFile, ...]) -> None:
    """Raises InvalidRequest if two inputs collide, or an input would overwrite the service's own files."""
    check_distinct_paths((f"inputs[{index}].path", file.path) for index, file in enumerate(inputs))


def check_distinct_paths(files: Iterable[tuple[str, str]]) -> None:
    """Raises InvalidRequest if two paths collide, a name in one is too long, or one belongs to the service's own files.

    Two paths collide if they are equal, or if one is a folder of the other.

    Args:
        files: Pairs of the location in the request and the path.

    Example:
        >>> check_distinct_paths([("inputs[0].path", "a"), ("inputs[1].path", "a/b")])
        InvalidRequest: inputs[1].path is 'a/b'; allowed: unique paths, none below another file
    """
    paths, folders = set[str](), set[str]()
    for location, path in files:
        problem, parts = f"{location} is {truncate(repr(path))}", path.split("/")
        if parts[0] in SERVICE_FILES:
            own = ", ".join(SERVICE_FILES)
            raise InvalidRequest(f"{problem}; allowed: a path outside the service's own files: {own}")
        if max(len(part.encode()) for part in parts) > MAX_NAME_BYTES:
            raise InvalidRequest(f"{problem}; allowed: names of at most {MAX_NAME_BYTES} bytes in UTF-8")
        parents = {"/".join(parts[:length]) for length in range(1, len(parts))}
        if path in paths or path in folders or parents & paths:
            raise InvalidRequest(f"{problem}; allowed: unique paths, none below another file")
        paths.add(path)
        folders |= parents


class DistinctInputPaths:
    """The rule that input paths do not collide. JSON Schema cannot express it."""

    def check(self, record: HasInputs) -> None:
        check_input_paths(record.inputs)

    def schema(self, record: type[Record]) -> dict[str, object]:  # noqa: ARG002 - signature of Rule
        return {}


class HasInputs(Protocol):
    """A request with input files."""

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """The files to write to the working directory."""
        ...


DISTINCT_INPUT_PATHS = DistinctInputPaths()
DEFAULT_OUTPUTS = Outputs()
NO_OUTPUTS = Outputs(paths=())
"""Return no files."""
