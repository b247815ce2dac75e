"""Results of the agent tools: typed values whose JSON is short enough for a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sandpiper_contract.errors import ERRORS, RunError
from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Base64, Boolean, Choice, Integer, ListOf, Number, Text
from sandpiper_contract.files import MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.records import Nested, Record
from sandpiper_contract.results import MAX_SKIPPED
from sandpiper_contract.truncation import truncate_middle

MAX_SHOWN_CHARACTERS = 40_000
"""Maximum length of stdout and of stderr in JSON, about 10,000 tokens. The Python value is complete."""


@dataclass(frozen=True, kw_only=True)
class ToolResult(Record):
    """Base class of the results."""

    notice: Annotated[str | None, AnyString(), "Information about the session, such as that it is new."] = None

    @property
    def ok(self) -> bool:
        """Whether the tool call succeeded. A program that ended with an error is a successful call."""
        return not isinstance(self, Failed)


@dataclass(frozen=True, kw_only=True)
class Failed(ToolResult):
    """The tool call failed."""

    error: Annotated[str, Choice(tuple(ERRORS)), "The name of the error in the contract."]
    message: Annotated[str, AnyString(), "The problem, its location, the allowed values and the remedy."]
    retryable: Annotated[bool, Boolean(), "Whether the same call can be repeated unchanged."]

    @classmethod
    def from_error(cls, error: RunError) -> Failed:
        """Returns the result for an error of the contract."""
        return cls(error=type(error).__name__, message=str(error), retryable=error.retryable)


_Path = Annotated[str, AnyString(), "Path relative to the sandbox's working directory."]
_Address = Annotated[str, Text(), "Path in the workspace, for workspace_read."]
_ContentType = Annotated[str, Text(), "From the file name extension; application/octet-stream if unknown."]
_Size = Annotated[int, Integer(0, MAX_FILE_BYTES, "bytes"), "Size in bytes."]
_Sha256 = Annotated[str, Text(), "SHA-256 of the content, in hexadecimal."]
_InText = Annotated[str | None, AnyString(), "The content, if it is text."]
_InBase64 = Annotated[bytes | None, Base64(), "The content in base64, if it is not text."]


@dataclass(frozen=True, kw_only=True)
class SavedFile(Record):
    """A file that was saved to the workspace."""

    path: _Address
    source: _Path
    content_type: _ContentType
    size: _Size
    sha256: _Sha256
    version_id: Annotated[str | None, Text(), "Version of the object in S3. Earlier versions are kept."] = None


@dataclass(frozen=True, kw_only=True)
class UnsavedFile(Record):
    """A file that was requested and could not be saved or read."""

    path: Annotated[str, AnyString(), "Relative to the sandbox's working directory; `.` stands for all files."]
    reason: Annotated[str, AnyString(), "The reason and the remedy."]


_Saved = Annotated[
    tuple[SavedFile, ...], ListOf(Nested(SavedFile), MAX_FILES), "The files that were saved to the workspace."
]
_NotSaved = Annotated[
    tuple[UnsavedFile, ...],
    ListOf(Nested(UnsavedFile), MAX_SKIPPED),
    "The files that were not saved, with the reasons.",
]


@dataclass(frozen=True, kw_only=True)
class ExecutionResult(ToolResult):
    """The output and exit code of code or a command."""

    stdout: Annotated[str, AnyString(), "Output to stdout. In JSON, long output is truncated in the middle."]
    stderr: Annotated[str, AnyString(), "Output to stderr. In JSON, long output is truncated in the middle."]
    exit_code: Annotated[int, Integer(-(2**31), 2**32, "exit code"), "0 means success."]
    execution_time_ms: Annotated[float, Number("ms"), "Execution time as measured by the service, in milliseconds."]
    timed_out: Annotated[bool, Boolean(), "Whether it was ended because it ran longer than its timeout."] = False
    saved: _Saved = ()
    not_saved: _NotSaved = ()
    hint: Annotated[str | None, AnyString(), "A hint, if the cause of a failure is known."] = None

    def to_json(self) -> dict[str, object]:
        """Returns the result as a JSON object, with long output truncated in the middle."""
        return {**super().to_json(), "stdout": shorten(self.stdout), "stderr": shorten(self.stderr)}


@dataclass(frozen=True, kw_only=True)
class FilesPushed(ToolResult):
    """The files of the sandbox that were saved to the workspace."""

    saved: _Saved
    not_saved: _NotSaved


@dataclass(frozen=True, kw_only=True)
class ReadFile(Record):
    """A file with its complete content."""

    path: Annotated[str, AnyString(), "Path as in the request."]
    content_type: _ContentType
    size: _Size
    sha256: _Sha256
    text: _InText = None
    base64: _InBase64 = None


@dataclass(frozen=True, kw_only=True)
class FilesRead(ToolResult):
    """Files of the sandbox."""

    files: Annotated[tuple[ReadFile, ...], ListOf(Nested(ReadFile), MAX_FILES), "The files that were read."]
    not_read: Annotated[
        tuple[UnsavedFile, ...],
        ListOf(Nested(UnsavedFile), MAX_FILES),
        "The files that were not read, with the reasons.",
    ] = ()


@dataclass(frozen=True, kw_only=True)
class FilesChanged(ToolResult):
    """Files of the sandbox that were written or removed."""

    operation: Annotated[str, Choice(("write", "remove")), "The operation."]
    paths: Annotated[tuple[str, ...], ListOf(AnyString(), MAX_FILES), "The paths of the files."]


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """An entry of a folder."""

    path: _Path
    kind: Annotated[str, Choice(("file", "folder")), "The type of the entry."]


@dataclass(frozen=True, kw_only=True)
class FilesListed(ToolResult):
    """The entries of folders of the sandbox, including the service's own files."""

    entries: Annotated[
        tuple[Entry, ...], ListOf(Nested(Entry), MAX_NUMBER), "The entries, in the order of the requested folders."
    ]


@dataclass(frozen=True, kw_only=True)
class WorkspaceFile(ReadFile, ToolResult):
    """A file of the workspace with its complete content. `path` is its path in the workspace."""


@dataclass(frozen=True, kw_only=True)
class WorkspaceEntry(Record):
    """A file of the workspace."""

    path: _Address
    size: Annotated[int, Integer(0, MAX_NUMBER, "bytes"), "Size in bytes."]
    modified: Annotated[str, Text(), "When the file was saved, in ISO 8601."]


@dataclass(frozen=True, kw_only=True)
class WorkspaceListing(ToolResult):
    """The files of the workspace."""

    files: Annotated[
        tuple[WorkspaceEntry, ...], ListOf(Nested(WorkspaceEntry), MAX_FILES), "The files by name, at most 1,000."
    ]
    more: Annotated[bool, Boolean(), "Whether there are more files."] = False


def shorten(text: str) -> str:
    """Returns the head and the tail of a long output."""
    if len(text) <= MAX_SHOWN_CHARACTERS:
        return text
    half = MAX_SHOWN_CHARACTERS // 2
    return truncate_middle(text, half, "to see them, write the output to a file and read a part of it")


def content(data: bytes) -> tuple[str | None, bytes | None]:
    """Returns the content as (text, None), or as (None, bytes) if it is not UTF-8 or has a null byte."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None, data
    return (None, data) if "\0" in text else (text, None)
