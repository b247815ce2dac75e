"""Typed responses of the tools of a Code Interpreter session, parsed from the service's events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import unquote

from sandpiper_contract.errors import InvalidRequest, ServiceFault
from sandpiper_contract.results import EXIT_CODE, MILLISECONDS, RUNNING_STATUSES, TASK_STATUSES, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Outcome:
    """Output and exit code of code or of a command.

    Attributes:
        stdout: Standard output.
        stderr: Standard error.
        exit_code: 0 for success.
        seconds: Execution time in seconds, as measured by the service.
        content: The content blocks of the response: text, and images and tables that the code displayed.
    """

    stdout: str
    stderr: str
    exit_code: int
    seconds: float
    content: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Task:
    """A started command and its output so far. `exit_code` and `seconds` are set once it has ended."""

    task_id: str
    status: TaskStatus
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    seconds: float | None = None

    @property
    def running(self) -> bool:
        """Whether the command has not ended."""
        return self.status in RUNNING_STATUSES


@dataclass(frozen=True)
class ListedFile:
    """An entry of a folder; the service does not report sizes."""

    name: str
    kind: Literal["file", "folder"]


@dataclass(frozen=True)
class ToolResult:
    """The result of one tool, merged from the events of its response."""

    content: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    structured: dict[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False

    @classmethod
    def from_events(cls, results: Iterator[Any]) -> ToolResult:
        """Merges all results: the service sends one today, and its model allows more."""
        content: list[dict[str, Any]] = []
        structured: dict[str, Any] = {}
        is_error = False
        for result in results:
            content += result.get("content", [])
            is_error = is_error or result.get("isError", False)
            for name, value in result.get("structuredContent", {}).items():
                appended = name in ("stdout", "stderr") and name in structured
                structured[name] = structured[name] + value if appended else value
        return cls(content, structured, is_error)

    @property
    def text(self) -> str:
        """The first text block: the message, when the tool returned an error."""
        return next((str(block["text"]) for block in self.content if "text" in block), "")

    def outcome(self) -> Outcome | None:
        """Returns the outcome of executeCode or executeCommand, or None if the result has another form."""
        values = self.structured
        try:
            return Outcome(
                stdout=str(values["stdout"]),
                stderr=str(values["stderr"]),
                exit_code=_exit_code(values["exitCode"]),
                seconds=_seconds(values["executionTime"]),
                content=tuple(self.content),
            )
        except (KeyError, TypeError, ValueError, InvalidRequest):
            return None

    def task(self, action: str, task_id: str) -> Task:
        """Returns the state of a started command.

        Raises:
            InvalidRequest: The tool returned an error.
            ServiceFault: The result is not the state of a command.
        """
        values = self.structured
        if "taskStatus" not in values and self.is_error:
            raise InvalidRequest(f"{action}: {self.text or 'the service rejected it'}")
        if values.get("taskStatus") not in TASK_STATUSES:
            raise ServiceFault(f"{action}: the response has no task status")
        exit_code, seconds = values.get("exitCode"), values.get("executionTime")
        try:
            return Task(
                task_id,
                cast("TaskStatus", values["taskStatus"]),
                str(values.get("stdout", "")),
                str(values.get("stderr", "")),
                None if exit_code is None else _exit_code(exit_code),
                None if seconds is None else _seconds(seconds),
            )
        except (TypeError, ValueError, InvalidRequest) as error:
            raise ServiceFault(f"{action}: the response is not a task: {error}") from error

    def file_contents(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yields each requested path with its content; text is encoded, so that all contents are bytes."""
        requested = set(paths)
        for block in self.content:
            resource = block.get("resource")
            if resource is None:
                continue
            path = str(resource.get("uri", "")).removeprefix("file:///")
            if path not in requested:
                path = unquote(path)
            if path in requested:
                yield path, resource["blob"] if "blob" in resource else str(resource.get("text", "")).encode()

    def listed_files(self) -> list[ListedFile]:
        """Returns the entries that listFiles found."""
        return [
            ListedFile(str(block.get("name", "")), "folder" if block.get("description") == "Directory" else "file")
            for block in self.content
            if block.get("type") == "resource_link"
        ]


def _exit_code(value: object) -> int:
    return EXIT_CODE.parse("exitCode", value)


def _seconds(value: Any) -> float:
    return MILLISECONDS.parse("executionTime", float(value) * 1000) / 1000
