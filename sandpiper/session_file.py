"""Reads the steps of a session from a YAML file.

The file is the input of `run-session` as YAML. A step can also name a local program with `codeFile`, and an input a
local file with `file`. Their paths are relative to the folder of the YAML file.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, cast

from sandpiper.environment.yaml_document import DocumentType, parse_text, read_text
from sandpiper.errors import CliError
from sandpiper.local_inputs import MAX_REQUEST_BYTES, LocalFile, Uploads, request_size
from sandpiper.program_files import language_of, read_program
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.program_source import encode_program
from sandpiper_contract.records import fields_of
from sandpiper_contract.workflows import SessionRequest, Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.environment.source_positions import SourcePositions

CODE_FILE, INPUT_FILE = "codeFile", "file"
"""The fields that name local files."""
CONTENT = ("code", "codeS3Uri", "command", "inputs", "outputs")
"""A step has at least one of these fields."""
SESSION_FILE = DocumentType(
    "a mapping of " + ", ".join(each.name for each in fields_of(SessionRequest)),
    "write one as docs/tenant-workflows.md shows",
)
_LOCATION = re.compile(r"[^\s.:\[\]]+(\[\d+\])*(\.[^\s.:\[\]]+(\[\d+\])*)*")
_STEP_OF_LOCATION = re.compile(r"[^.\[\]]+|\[\d+\]")


@dataclass(frozen=True)
class SessionFile:
    """The steps of a session.

    Attributes:
        request: the input of `run-session`, with the programs and without the content of local inputs.
        inputs: the local files, by the number of the step and of the input.
    """

    request: dict[str, Any]
    inputs: dict[tuple[int, int], LocalFile] = field(default_factory=dict[tuple[int, int], LocalFile])

    def complete(
        self, session: boto3.Session, deployment: Deployment, progress: Callable[[str], None]
    ) -> dict[str, Any]:
        """Returns the request with its files. Uploads the files, and then the programs, if it is too large.

        Raises:
            CliError: A file cannot be read or uploaded.
        """
        encoded = sum(-(-file.size // 3) * 4 for file in self.inputs.values())
        if request_size(self.request) + encoded <= MAX_REQUEST_BYTES:
            return self._with_inputs(lambda file: {"base64": base64.b64encode(file.read()).decode()})
        uploads = Uploads(session, deployment, progress)
        complete = self._with_inputs(lambda file: {"s3Uri": uploads.put_file(file)})
        for number, step in enumerate(complete["steps"]):
            if "code" in step and request_size(complete) > MAX_REQUEST_BYTES:
                program = encode_program(step.pop("code"), step.get("language", "python"))
                step["codeS3Uri"] = uploads.put_program(program, f"program-{number}")
        return complete

    def _with_inputs(self, content: Callable[[LocalFile], dict[str, str]]) -> dict[str, Any]:
        steps = [{**step, "inputs": [*step["inputs"]]} if "inputs" in step else {**step} for step in self._steps]
        for (step, number), file in self.inputs.items():
            steps[step]["inputs"][number] = {"path": file.path, **content(file)}
        return {**self.request, "steps": steps}

    @property
    def _steps(self) -> list[dict[str, Any]]:
        return self.request["steps"]


def read_session_file(file: Path, **options: object) -> SessionFile:
    """Reads a YAML file with the steps of a session.

    Args:
        file: the file.
        **options: fields of the request that replace those of the file, such as `interpreter`.

    Raises:
        CliError: The file or a local file that it names cannot be read, or the file is no valid request. The message
            has the line.
    """
    document, positions = parse_text(file, read_text(file, SESSION_FILE), SESSION_FILE)
    reader = _Reader(file, positions)
    for key_path, first_line, line in positions.duplicate_keys:
        reader.fail(f"{key_path[-1]} duplicates line {first_line}; allowed: each key once", line)
    reader.require_text_keys((), document)
    if not isinstance(document, dict):
        reader.fail(f"the file is not a mapping; allowed: {SESSION_FILE.top_level}")
    return reader.session_of({**cast("dict[str, Any]", document), **options})


@dataclass
class _Reader:
    """Reads one file. Its errors have the line of the field that they are about."""

    file: Path
    positions: SourcePositions
    inputs: dict[tuple[int, int], LocalFile] = field(default_factory=dict[tuple[int, int], LocalFile])

    def session_of(self, document: dict[str, Any]) -> SessionFile:
        steps: object = document.get("steps")
        if isinstance(steps, list):
            document = {
                **document,
                "steps": [self._step(number, step) for number, step in enumerate(cast("list[object]", steps))],
            }
        try:
            SessionRequest.from_json(document)
        except InvalidRequest as error:
            self._fail_at(_with_local_fields(str(error)))
        return SessionFile(document, self.inputs)

    def require_text_keys(self, key_path: tuple[str | int, ...], value: object) -> None:
        """Fails for a key that is no text, which a request as JSON cannot have."""
        if isinstance(value, dict):
            for key, item in cast("dict[object, object]", value).items():
                if not isinstance(key, str):
                    self.fail(
                        f"the key {key!r} is no text; allowed: keys that are text", self.positions.line_of(key_path)
                    )
                self.require_text_keys((*key_path, key), item)
        elif isinstance(value, list):
            for index, item in enumerate(cast("list[object]", value)):
                self.require_text_keys((*key_path, index), item)

    def _step(self, number: int, value: object) -> object:
        """Returns a step as in a request. The contract rejects a value that is no mapping."""
        if not isinstance(value, dict):
            return value
        step, location = cast("dict[str, Any]", dict(cast("dict[object, object]", value))), f"steps[{number}]"
        if CODE_FILE in step:
            self._read_program(step, location)
        inputs: object = step.get("inputs")
        if isinstance(inputs, list):
            items = enumerate(cast("list[object]", inputs))
            step["inputs"] = [self._input(number, index, each) for index, each in items]
        known = {*CONTENT, *(each.name for each in fields_of(Step))}
        if step.keys() <= known and not step.keys() & set(CONTENT):
            allowed = " | ".join(("code", CODE_FILE, *CONTENT[1:]))
            self._fail_at(f"{location} has neither a program nor files; allowed: at least one of {allowed}")
        return step

    def _read_program(self, step: dict[str, Any], location: str) -> None:
        name: object = step.pop(CODE_FILE)
        others = [each for each in CONTENT[:3] if each in step]
        if others:
            self._fail_at(f"{location}.{CODE_FILE} and {others[0]} exclude each other; allowed: one of them")
        path = self._path(f"{location}.{CODE_FILE}", name)
        try:
            step.setdefault("language", language_of(str(path)))
            step["code"] = read_program(str(path), step["language"])
        except CliError as error:
            self._fail_at(f"{location}.{CODE_FILE}: {error}")

    def _input(self, step: int, number: int, value: object) -> object:
        if not isinstance(value, dict) or INPUT_FILE not in value:
            return cast("object", value)
        given = {**cast("dict[str, Any]", value)}
        location = f"steps[{step}].inputs[{number}]"
        source = self._path(f"{location}.{INPUT_FILE}", given.pop(INPUT_FILE))
        if given.keys() - {"path"}:
            self._fail_at(f"{location}.{INPUT_FILE} and {min(given.keys() - {'path'})} exclude each other")
        if not source.is_file():
            self._fail_at(f"{location}.{INPUT_FILE}: {source} is no file; allowed: a file relative to {self.file}")
        path: object = given.get("path", source.name)
        self.inputs[step, number] = LocalFile(str(path), source)
        return {"path": path, "base64": ""}

    def _path(self, location: str, name: object) -> Path:
        if not isinstance(name, str) or not name or "\0" in name:
            self._fail_at(f"{location} is {name!r}; allowed: a path relative to {self.file}")
        return self.file.parent / name

    def _fail_at(self, message: str) -> NoReturn:
        """Raises CliError with the line of the field that the message begins with."""
        found = _LOCATION.match(message)
        steps = _STEP_OF_LOCATION.findall(found[0]) if found else []
        key_path = tuple(int(step[1:-1]) if step.startswith("[") else step for step in steps)
        self.fail(message, self.positions.line_of(key_path))

    def fail(self, message: str, line: int | None = None) -> NoReturn:
        """Raises CliError for a line."""
        raise CliError(f"{self.file}{'' if line is None else f':{line}'}: {message}")


def _with_local_fields(message: str) -> str:
    """Adds the fields for local files to the allowed fields of a step and of an input."""
    if " is an unknown field" not in message:
        return message
    return message.replace("allowed: code, ", f"allowed: code, {CODE_FILE}, ").replace(
        "allowed: path, ", f"allowed: path, {INPUT_FILE}, "
    )
