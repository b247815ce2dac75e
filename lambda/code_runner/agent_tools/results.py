"""Results of the tools in `code_runner.agent_tools.tools`: typed values whose JSON is short enough for a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sandpiper_contract.errors import ERRORS, RunError
from sandpiper_contract.field_types import MAX_NUMBER, AnyString, Base64, Boolean, Choice, Integer, ListOf, Number, Text
from sandpiper_contract.files import MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.records import Nested, Record
from sandpiper_contract.results import MAX_SKIPPED
from sandpiper_contract.truncation import truncate_middle

SHOWN_CHARACTERS = 40_000
"""Of stdout and of stderr in JSON, about 10,000 tokens; the value itself has them whole."""


@dataclass(frozen=True, kw_only=True)
class Answer(Record):
    """What every answer may have beside its own."""

    notice: Annotated[str | None, AnyString(), "Information about the session, such as that it is new."] = None

    @property
    def ok(self) -> bool:
        """Whether the tool did what it was asked; a program that ended with an error is an answer, too."""
        return not isinstance(self, Failed)


@dataclass(frozen=True, kw_only=True)
class Failed(Answer):
    """The tool did not do what it was asked."""

    error: Annotated[str, Choice(tuple(ERRORS)), "The contract's name for what happened."]
    message: Annotated[str, AnyString(), "What, where, what is allowed, what to do."]
    retryable: Annotated[bool, Boolean(), "Whether the same call may be made again as it is."]

    @classmethod
    def of(cls, error: RunError) -> Failed:
        """The answer for one of the contract's errors."""
        return cls(error=type(error).__name__, message=str(error), retryable=error.retryable)


_Path = Annotated[str, AnyString(), "Relative to the sandbox's working directory."]
_Address = Annotated[str, Text(), "Its address in the workspace, which workspace_read takes."]
_ContentType = Annotated[str, Text(), "By the file's name; application/octet-stream when it tells nothing."]
_Size = Annotated[int, Integer(0, MAX_FILE_BYTES, "bytes"), "In bytes."]
_Sha256 = Annotated[str, Text(), "Of the content, in hexadecimal."]
_InText = Annotated[str | None, AnyString(), "The content, where it is text."]
_InBase64 = Annotated[bytes | None, Base64(), "The content in base64, where it is not."]


@dataclass(frozen=True, kw_only=True)
class SavedFile(Record):
    """A file of the sandbox that lies in the workspace now."""

    path: _Address
    source: _Path
    content_type: _ContentType
    size: _Size
    sha256: _Sha256
    version_id: Annotated[str | None, Text(), "Of the object in S3; versions before it are kept."] = None


@dataclass(frozen=True, kw_only=True)
class UnsavedFile(Record):
    """A file that was to be saved and is not."""

    path: Annotated[str, AnyString(), "Relative to the sandbox's working directory; `.` stands for all of them."]
    reason: Annotated[str, AnyString(), "Why, and what to do."]


_Saved = Annotated[tuple[SavedFile, ...], ListOf(Nested(SavedFile), MAX_FILES), "What lies in the workspace now."]
_NotSaved = Annotated[tuple[UnsavedFile, ...], ListOf(Nested(UnsavedFile), MAX_SKIPPED), "What does not, and why."]


@dataclass(frozen=True, kw_only=True)
class Ran(Answer):
    """What code or a command printed and how it ended."""

    stdout: Annotated[str, AnyString(), "What it printed; in JSON cut in the middle when it is long."]
    stderr: Annotated[str, AnyString(), "What it printed as errors, cut likewise."]
    exit_code: Annotated[int, Integer(-(2**31), 2**32, "exit code"), "0 means success."]
    execution_time_ms: Annotated[float, Number("ms"), "As the service measured it, in milliseconds."]
    saved: _Saved = ()
    not_saved: _NotSaved = ()
    hint: Annotated[str | None, AnyString(), "What may help, where the reason of a failure is known."] = None

    def to_json(self) -> dict[str, object]:
        """As JSON carries it, long output cut in the middle."""
        return {**super().to_json(), "stdout": shown(self.stdout), "stderr": shown(self.stderr)}


@dataclass(frozen=True, kw_only=True)
class Pushed(Answer):
    """Which files of the sandbox lie in the workspace now."""

    saved: _Saved
    not_saved: _NotSaved


@dataclass(frozen=True, kw_only=True)
class ReadFile(Record):
    """A file whole."""

    path: Annotated[str, AnyString(), "As it was asked for."]
    content_type: _ContentType
    size: _Size
    sha256: _Sha256
    text: _InText = None
    base64: _InBase64 = None


@dataclass(frozen=True, kw_only=True)
class FilesRead(Answer):
    """Files of the sandbox."""

    files: Annotated[tuple[ReadFile, ...], ListOf(Nested(ReadFile), MAX_FILES), "What was read."]
    not_read: Annotated[tuple[UnsavedFile, ...], ListOf(Nested(UnsavedFile), MAX_FILES), "What was not, and why."] = ()


@dataclass(frozen=True, kw_only=True)
class Changed(Answer):
    """Files of the sandbox that were written or removed."""

    operation: Annotated[str, Choice(("write", "remove")), "What was done."]
    paths: Annotated[tuple[str, ...], ListOf(AnyString(), MAX_FILES), "With which files."]


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """A name in a folder."""

    path: _Path
    kind: Annotated[str, Choice(("file", "folder")), "What it is."]


@dataclass(frozen=True, kw_only=True)
class Listed(Answer):
    """What lies in folders of the sandbox, the service's own files among it."""

    entries: Annotated[tuple[Entry, ...], ListOf(Nested(Entry), MAX_NUMBER), "By folder, as they were asked for."]


@dataclass(frozen=True, kw_only=True)
class WorkspaceFile(ReadFile, Answer):
    """A file of the workspace, whole; `path` is its address there."""


@dataclass(frozen=True, kw_only=True)
class WorkspaceEntry(Record):
    """A file of the workspace."""

    path: _Address
    size: Annotated[int, Integer(0, MAX_NUMBER, "bytes"), "In bytes."]
    modified: Annotated[str, Text(), "When it was saved, in ISO 8601."]


@dataclass(frozen=True, kw_only=True)
class WorkspaceListing(Answer):
    """What lies in the workspace."""

    files: Annotated[tuple[WorkspaceEntry, ...], ListOf(Nested(WorkspaceEntry), MAX_FILES), "By name, at most 1,000."]
    more: Annotated[bool, Boolean(), "Whether there are files beyond them."] = False


def shown(text: str) -> str:
    """As much of what was printed as a model should read: its head and its tail."""
    if len(text) <= SHOWN_CHARACTERS:
        return text
    half = SHOWN_CHARACTERS // 2
    return truncate_middle(text, half, "to see them, write the output to a file and read a part of it")


def content(data: bytes) -> tuple[str | None, bytes | None]:
    """The bytes as text, or as they are: text is what UTF-8 gives back exactly and what has no zero byte."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None, data
    return (None, data) if "\0" in text else (text, None)
