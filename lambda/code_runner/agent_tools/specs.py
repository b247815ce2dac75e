"""Definitions of the agent tools: descriptions, parameters and examples.

The same table describes the tools to a model and validates the input that the model sends.
"""

# ruff: noqa: D102 - FieldType documents the methods of every field type

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import (
    MAX_PATH_CHARACTERS,
    PATH_PATTERN,
    Choice,
    Integer,
    ListOf,
    RelativePath,
    Text,
    Utf8,
)
from sandpiper_contract.invalid_values import invalid_without_value, require_instance
from sandpiper_contract.records import Record, fields_of
from sandpiper_contract.requests import LANGUAGES, TIMEOUT_SECONDS
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from sandpiper_contract.field_types import FieldType

MAX_PATHS = 100
OPERATIONS = ("read", "write", "list", "remove")
ROOT = "."
BINARY_ADVICE = (
    "The operation write accepts text only. Create binary files with execute_code, and save them with output_filename "
    "or ci_push_to_workspace"
)


class SandboxPath(RelativePath):
    """A path below the working directory. Accepts leading `./`, which models often write."""

    def parse(self, location: str, value: object) -> str:
        return super().parse(location, re.sub(r"^(\./+)+", "", value) if isinstance(value, str) else value)

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_PATH_CHARACTERS, "pattern": rf"^(?:\./+)*{PATH_PATTERN}$"}


class OptionalPath(SandboxPath):
    """A path, or an empty string for no path."""

    def parse(self, location: str, value: object) -> str:
        return "" if value == "" else super().parse(location, value)

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_PATH_CHARACTERS}


class FolderOrFile(SandboxPath):
    """A path, or `.` for the working directory. Accepts a trailing slash."""

    def parse(self, location: str, value: object) -> str:
        if value in (ROOT, f"{ROOT}/"):
            return ROOT
        return super().parse(location, value.removesuffix("/") if isinstance(value, str) else value)

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_PATH_CHARACTERS}


class PlainText:
    """The content of a text file. Error messages do not repeat it."""

    def parse(self, location: str, value: object) -> bytes:
        try:
            data = cast("str", value).encode()
        except (AttributeError, UnicodeEncodeError):
            raise invalid_without_value(location, value, "a string that can be encoded as UTF-8") from None
        return _reject_null_byte(location, data)

    def validate(self, location: str, value: object) -> bytes:
        return _reject_null_byte(location, Utf8().validate(location, value))

    def serialize(self, value: bytes) -> object:
        return value.decode()

    def schema(self) -> dict[str, object]:
        return {"type": "string"}


def _reject_null_byte(location: str, data: bytes) -> bytes:
    if b"\0" in data:
        raise InvalidRequest(f"{location} has a null character; allowed: text")
    return data


@dataclass(frozen=True)
class TextFile(Record):
    """A text file to write."""

    path: Annotated[str, SandboxPath(), "Path relative to the working directory."]
    text: Annotated[bytes, PlainText(), "Content of the file."]


class TextEntry:
    """The field type of a text file. Its schema is inline, because models handle references poorly."""

    def parse(self, location: str, value: object) -> TextFile:
        try:
            return TextFile.from_json(value, location)
        except InvalidRequest as error:
            raise InvalidRequest(f"{error}. {BINARY_ADVICE}") from None

    def validate(self, location: str, value: object) -> TextFile:
        return require_instance(location, value, TextFile)

    def serialize(self, value: TextFile) -> object:
        return value.to_json()

    def schema(self) -> dict[str, object]:
        fields = fields_of(TextFile)
        properties = {field.name: {**field.field_type.schema(), "description": field.description} for field in fields}
        return {"type": "object", "properties": properties, "required": [field.name for field in fields]}


REQUIRED = object()


@dataclass(frozen=True)
class Parameter:
    """A parameter of a tool."""

    name: str
    field_type: FieldType
    description: str
    default: object = REQUIRED

    def parse(self, value: object) -> Any:
        """Returns the Python value of an argument, or the default unchanged. Raises InvalidRequest."""
        return value if value is self.default else self.field_type.parse(self.name, value)

    def schema(self) -> dict[str, object]:
        """Returns the parameter as JSON Schema."""
        default = {} if self.default in (REQUIRED, None) else {"default": self.default}
        return {**self.field_type.schema(), "description": self.description, **default}


@dataclass(frozen=True)
class Tool:
    """A tool. Its name is the name of a method of CodeInterpreterTools."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    examples: tuple[Mapping[str, Any], ...]

    def spec(self) -> dict[str, Any]:
        """Returns the tool for `toolConfig.tools` of Bedrock's Converse API.

        The description includes the examples, because some models accept only `type`, `properties` and `required` at
        the top level of a schema.
        """
        examples = "\n".join(json.dumps(example) for example in self.examples)
        schema = {
            "type": "object",
            "properties": {parameter.name: parameter.schema() for parameter in self.parameters},
            "required": [parameter.name for parameter in self.parameters if parameter.default is REQUIRED],
        }
        description = f"{self.description}\n\nExamples of input:\n{examples}"
        return {"toolSpec": {"name": self.name, "description": description, "inputSchema": {"json": schema}}}

    def validated_arguments(self, tool_input: object) -> dict[str, Any]:
        """Returns a model's input as arguments of the method, which parses their values. Raises InvalidRequest."""
        if not isinstance(tool_input, Mapping):
            raise invalid_without_value("tool_input", tool_input, "a JSON object")
        arguments = {str(name): value for name, value in cast("Mapping[object, Any]", tool_input).items()}
        known = [parameter.name for parameter in self.parameters]
        for name in arguments:
            if name not in known:
                allowed = ", ".join(known)
                raise InvalidRequest(f"{truncate(name)} is an unknown parameter of {self.name}; allowed: {allowed}")
        for parameter in self.parameters:
            if parameter.default is REQUIRED and parameter.name not in arguments:
                raise InvalidRequest(f"{parameter.name} is missing; allowed: {parameter.description}")
        return arguments


_CHART = (
    "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nimport numpy as np\n"
    "x = np.linspace(0, 10, 100)\nplt.figure(figsize=(10,6))\nplt.plot(x, np.sin(x))\nplt.title('Sine Wave')\n"
    "plt.savefig('sine.png', dpi=300, bbox_inches='tight')\nprint('Done')"
)
_TABLE = "import pandas as pd\ndf = pd.DataFrame({'A': [1,2,3], 'B': [4,5,6]})\nprint(df.describe())"

TIMEOUT = Parameter(
    "timeout_seconds",
    Integer(*TIMEOUT_SECONDS, "seconds"),
    "Maximum time that it may run. After it, the result has timedOut, and the output and files so far.",
    None,
)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "execute_code",
            "Execute Python, JavaScript, or TypeScript code in a sandbox. Variables and files persist across calls. "
            "Call matplotlib.use('Agg') before importing pyplot, and plt.savefig() instead of plt.show(): there is no "
            "display. For shell tasks use execute_command.",
            (
                Parameter("code", Text(), "Code to execute. Use print() for text output."),
                Parameter("language", Choice(LANGUAGES), "Language of the code.", "python"),
                Parameter(
                    "output_filename",
                    OptionalPath(),
                    "File to save to the workspace after execution. The code must write a file with exactly this name.",
                    "",
                ),
                TIMEOUT,
            ),
            (
                {"code": _TABLE, "language": "python"},
                {"code": _CHART, "language": "python", "output_filename": "sine.png"},
            ),
        ),
        Tool(
            "execute_command",
            "Execute a shell command in the sandbox. Files persist across calls; each call is a new shell.",
            (
                Parameter("command", Text(), 'Shell command to execute (e.g., "ls -la", "pip install requests").'),
                TIMEOUT,
            ),
            ({"command": "pip install yfinance"}, {"command": "python --version && pip list | head -20"}),
        ),
        Tool(
            "file_operations",
            "Read, write, list, or remove files in the sandbox. Binary files are returned as base64. The operation "
            "write accepts text only.",
            (
                Parameter("operation", Choice(OPERATIONS), "The operation."),
                Parameter(
                    "paths",
                    ListOf(FolderOrFile(), MAX_PATHS),
                    'File paths. read: ["file.txt"], list: ["."], remove: ["old.txt"].',
                    None,
                ),
                Parameter(
                    "content",
                    ListOf(TextEntry(), MAX_PATHS),
                    'For write. Entries with path and text: [{"path": "out.txt", "text": "hello"}].',
                    None,
                ),
            ),
            (
                {"operation": "write", "content": [{"path": "config.json", "text": '{"key": "value"}'}]},
                {"operation": "list", "paths": ["."]},
                {"operation": "read", "paths": ["output.csv"]},
            ),
        ),
        Tool(
            "ci_push_to_workspace",
            "Save sandbox files to the shared workspace (S3). Omit paths to save all files in the sandbox root. The "
            "workspace is flat: a file keeps the last part of its path as its name.",
            (Parameter("paths", ListOf(SandboxPath(), MAX_PATHS), "File paths in the sandbox.", None),),
            ({"paths": ["chart.png", "results.json"]}, {}),
        ),
        Tool(
            "workspace_read",
            "Read a saved file from the workspace. Binary files are returned as base64.",
            (Parameter("path", RelativePath(), "The path that was returned when the file was saved."),),
            ({"path": "code-interpreter/chart.png"}, {"path": "code-interpreter/results.json"}),
        ),
        Tool(
            "workspace_list",
            "List the saved files of the workspace.",
            (Parameter("path", Text(), "The folder."),),
            ({"path": "code-interpreter/"},),
        ),
    )
}
TOOL_SPECS: tuple[dict[str, Any], ...] = tuple(tool.spec() for tool in TOOLS.values())
"""The tools for Bedrock's Converse API: `toolConfig={"tools": list(TOOL_SPECS)}`."""


def parse_arguments(tool: str, **arguments: object) -> tuple[Any, ...]:
    """Returns the Python values of a tool's arguments, in the order of its parameters. Raises InvalidRequest."""
    return tuple(parameter.parse(arguments[parameter.name]) for parameter in TOOLS[tool].parameters)
