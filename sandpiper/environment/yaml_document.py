"""Reads a YAML file with limits, so that a hostile file is rejected within a second, and with the line of each key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sandpiper.environment.document_limits import MAX_FILE_BYTES, DocumentLimitError, LimitedParser
from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment
from sandpiper.environment.source_positions import SourcePositions

if TYPE_CHECKING:
    from pathlib import Path

    from ruamel.yaml.error import StringMark
    from ruamel.yaml.nodes import Node, ScalarNode


@dataclass(frozen=True)
class DocumentType:
    """What a file contains, for the messages about a file that cannot be used.

    Attributes:
        top_level: the allowed content of the file.
        create: how to get a file that does not exist or is empty.
    """

    top_level: str
    create: str


def read_text(file: Path, document_type: DocumentType) -> str:
    """Returns the text of a file. Raises InvalidEnvironment if it cannot be read or is too large."""
    try:
        if file.exists() and not file.is_file() and not file.is_dir():  # reading a pipe or a device may never end
            raise _unusable(file, "is not a regular file", "a YAML file", "name a file that can be read")
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _unusable(file, "is too large", f"up to {MAX_FILE_BYTES:,} bytes", "remove what is not needed")
        return data.decode()
    except FileNotFoundError:
        names = sorted(each.name for each in file.parent.glob("*.yaml"))
        allowed = "one of " + ", ".join(names) if names else "a YAML file"
        remedy = f"choose one of them, or {document_type.create}"
        raise _unusable(file, "does not exist", allowed, remedy) from None
    except UnicodeDecodeError as error:
        raise _unusable(file, f"is not UTF-8 at byte {error.start}", "UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a NUL in the path raises ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(file, f"cannot be read ({reason})", "a YAML file", "name a file that can be read") from None


class _Constructor(SafeConstructor):
    """Keeps an impossible date as text, so that the model rejects it at its key path."""

    def construct_yaml_timestamp(self, node: ScalarNode, values: object = None) -> object:
        try:
            return cast("object", super().construct_yaml_timestamp(node, values))
        except ValueError:
            return cast("str", node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def parse_text(file: Path, text: str, document_type: DocumentType) -> tuple[object, SourcePositions]:
    """Returns the document and its line numbers. Of a duplicate key, the document has the first value.

    Args:
        file: the name that issues are reported for.
        text: the YAML text.
        document_type: what the file contains.

    Raises:
        InvalidEnvironment: The text is not YAML or exceeds a limit. The name of the error is that of its first use.
    """
    # Pure Python: the C parser reads YAML 1.1, in which `on` is true and 012 is ten.
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _Constructor
    parser.Parser = LimitedParser
    try:
        root = cast("Node | None", parser.compose(text))
        if root is None:
            raise _unusable(file, "is empty", document_type.top_level, document_type.create)
        positions = SourcePositions(root)  # before construction, which resolves `<<` in the nodes
        constructor: Any = parser.constructor
        return cast("object", constructor.construct_document(root)), positions
    except DocumentLimitError as error:
        raise _unusable(file, error.problem, error.allowed, "remove what is not needed", error.line) from None
    except MarkedYAMLError as error:
        line, problem = _position_and_problem(error)
        raise _not_yaml(file, line, f"is not YAML ({problem})") from None
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _not_yaml(file, None, f"is not YAML ({' '.join(str(error).split())})") from None


def _unusable(file: Path, problem: str, allowed: str, remedy: str, line: int | None = None) -> InvalidEnvironment:
    key_path = () if line is None else ("this line",)
    issue = ConfigIssue(file=file, line=line, key_path=key_path, problem=problem, allowed=allowed, remedy=remedy)
    return InvalidEnvironment(issue)


def _not_yaml(file: Path, line: int | None, problem: str) -> InvalidEnvironment:
    return _unusable(file, problem, "YAML 1.2", "correct this line or the line above", line)


def _position_and_problem(error: Any) -> tuple[int | None, str]:
    """Returns the line where the parser stopped, from 1, and why. ruamel does not type MarkedYAMLError's members."""
    mark: StringMark | None = error.problem_mark or error.context_mark
    problem: str = error.problem or error.context
    return (None if mark is None else mark.line + 1), problem
