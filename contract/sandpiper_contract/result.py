"""What a run answers: what the program printed and left behind. A program that fails is a result too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class OutputFile:
    """A file that the program made or changed, now in S3. `size` is in bytes."""

    path: str
    content_type: str
    size: int
    sha256: str
    s3_uri: str

    def to_json(self) -> dict[str, object]:
        """The file as the result carries it; `name` is the last part of the path."""
        return {
            "path": self.path,
            "name": self.path.rpartition("/")[2],
            "contentType": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
            "s3Uri": self.s3_uri,
        }


class SkipReason(StrEnum):
    """Why a file that the program left is not in `files`."""

    TOO_MANY_FILES = "more files than outputs.maxFiles"
    TOO_MANY_BYTES = "more bytes in all than outputs.maxBytes"
    NOT_REGULAR = "not a regular file"
    UNREADABLE = "it could not be read"
    CHANGED = "it changed while it was read"
    TOO_LARGE = "larger than one answer of the service carries"
    NOT_STORED = "S3 did not take it"
    NOT_LISTED = "the files could not be listed"


@dataclass(frozen=True)
class SkippedFile:
    """A file that the program left and that was not kept. `size` is in bytes. `.` stands for all of them."""

    path: str
    size: int
    reason: SkipReason

    def to_json(self) -> dict[str, object]:
        """The file as the result carries it."""
        return {"path": self.path, "size": self.size, "reason": self.reason.value}


@dataclass(frozen=True)
class RunResult:
    """What one program printed, how it ended and which files it left.

    `execution_time_ms` is what the service measured, in milliseconds. A stream too long for a state is cut in
    the middle and lies whole in S3, at `stdout_uri` or `stderr_uri`; lists too long for one are at `manifest_uri`.
    """

    stdout: str
    stderr: str
    exit_code: int
    execution_time_ms: float
    files: tuple[OutputFile, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    stdout_uri: str | None = None
    stderr_uri: str | None = None
    manifest_uri: str | None = None

    def to_json(self) -> dict[str, object]:
        """The result as Step Functions carries it."""
        addresses = {"stdoutUri": self.stdout_uri, "stderrUri": self.stderr_uri, "manifestUri": self.manifest_uri}
        return {
            "stdout": self.stdout,
            "stderr": self.stderr,
            "exitCode": self.exit_code,
            "executionTimeMs": self.execution_time_ms,
            "files": [file.to_json() for file in self.files],
            "skipped": [file.to_json() for file in self.skipped],
            **{name: uri for name, uri in addresses.items() if uri is not None},
        }
