"""Sessions of a code interpreter, called with boto3."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandpiper_contract.aws import MANAGED_INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Invoke = Callable[..., dict[str, Any]]

MANAGED = {"codeInterpreterIdentifier": MANAGED_INTERPRETER}
"""Parameters of a call that select the managed interpreter."""


def tool_caller(data_plane: Any, session: str, interpreter: str = MANAGED_INTERPRETER) -> Invoke:
    """Returns a function that calls a tool in a session and returns its result."""

    def call(name: str, **arguments: Any) -> dict[str, Any]:
        response = data_plane.invoke_code_interpreter(
            codeInterpreterIdentifier=interpreter, sessionId=session, name=name, arguments=arguments
        )
        (event,) = response["stream"]
        result: dict[str, Any] = event["result"]
        return result

    return call


@contextmanager
def open_tools(data_plane: Any) -> Generator[Invoke]:
    """Starts a session, yields a function that calls a tool in it, and stops it."""
    session = data_plane.start_code_interpreter_session(**MANAGED)["sessionId"]
    yield tool_caller(data_plane, session)
    data_plane.stop_code_interpreter_session(**MANAGED, sessionId=session)


class Session:
    """A session for tests.

    Attributes:
        identifier: its id.
        invoke: calls a tool in it and returns the result.
    """

    def __init__(self, data_plane: Any, interpreter: str = MANAGED_INTERPRETER, **parameters: Any) -> None:
        self.client, self.interpreter = data_plane, interpreter
        response = data_plane.start_code_interpreter_session(codeInterpreterIdentifier=interpreter, **parameters)
        self.identifier: str = response["sessionId"]
        self.invoke = tool_caller(data_plane, self.identifier, interpreter)

    def python(self, code: str, **arguments: Any) -> dict[str, Any]:
        """Runs code and returns its structured content."""
        content: dict[str, Any] = self.invoke("executeCode", language="python", code=code, **arguments)[
            "structuredContent"
        ]
        return content

    def stop(self) -> None:
        """Stops the session if it is live."""
        try:
            self.client.stop_code_interpreter_session(
                codeInterpreterIdentifier=self.interpreter, sessionId=self.identifier
            )
        except ClientError as error:
            if code_of(error) not in ("ConflictException", "ResourceNotFoundException"):
                raise


def code_of(error: Any) -> str:
    """Returns a service error's code."""
    return str(error.response["Error"]["Code"])


def message_of(error: Any) -> str:
    """Returns a service error's message."""
    return str(error.response["Error"]["Message"])


def error_of(call: Callable[[], object]) -> tuple[str, str]:
    """Returns code and message of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call()
    return code_of(raised.value), message_of(raised.value)
