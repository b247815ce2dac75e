"""HTTP to values and back, driven by the service's own models. The one place that knows moto's internals.

moto is chosen over code of our own because it is the field's server-side reading of botocore's models: the same files
that every client speaks by.
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from botocore.model import StructureShape
from moto.core.eventstream import EventStreamEncoder  # pyright: ignore[reportMissingTypeStubs]
from moto.core.parse import RestJSONParser  # pyright: ignore[reportMissingTypeStubs]
from moto.core.serialize import get_serializer_class  # pyright: ignore[reportMissingTypeStubs]
from moto.core.utils import get_service_model  # pyright: ignore[reportMissingTypeStubs]
from werkzeug.datastructures import MultiDict

from .errors import SerializationError, ServiceError, UnknownOperationError
from .validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES = ("bedrock-agentcore-control", "bedrock-agentcore")
PROTOCOL = "rest-json"
EVENT_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class HttpRequest:
    """What came in: the path as it was sent, still encoded; header names in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | bytearray
    raw_query: str = ""


@dataclass(frozen=True)
class HttpResponse:
    """What goes out."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether the body is an event stream."""
        return self.headers.get("content-type") == EVENT_STREAM


@dataclass(frozen=True)
class Operation:
    """One operation of a service model."""

    service: str
    model: Any  # moto's OperationModel, a botocore one
    method: str
    path: re.Pattern[str]

    @property
    def name(self) -> str:
        """Returns the operation's name in the model."""
        return str(self.model.name)


@dataclass(frozen=True)
class Call:
    """A request that its model accepts."""

    operation: Operation
    parameters: dict[str, Any]


class _Parser(RestJSONParser):
    """moto's, but that it reads a body once, copies no blob, and refuses what is no JSON object."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(operation.model, blob_parser=binascii.a2b_base64, map_type=dict)

    def _initial_body_parse(self, body_contents: bytes | bytearray) -> dict[str, Any]:
        content: object = json.loads(body_contents) if body_contents else {}
        if not isinstance(content, dict):
            raise SerializationError("The body is not a JSON object")
        return cast("dict[str, Any]", content)


@cache
def _operations(names: frozenset[str]) -> list[Operation]:
    operations: list[Operation] = []
    for service in SERVICES:
        model: Any = get_service_model(service)
        for name in sorted(names.intersection(model.operation_names)):
            operation = model.operation_model(name)
            path = operation.http["requestUri"].split("?")[0]
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
            operations.append(Operation(service, operation, operation.http["method"], re.compile(f"{pattern}/?")))
    return operations


def parse(request: HttpRequest, names: frozenset[str]) -> Call:
    """Reads a request as one of the operations called `names`, and checks it against the model.

    Raises:
        UnknownOperationError: none of them has this method and path.
        SerializationError: it cannot be read as that operation's input.
        ValidationError: it breaks a constraint of the model.
    """
    for operation in _operations(names):
        found = operation.path.fullmatch(request.path) if request.method == operation.method else None
        if found is not None:
            parameters = _parameters(request, operation, {k: unquote(v) for k, v in found.groupdict().items()})
            shape = operation.model.input_shape
            if isinstance(shape, StructureShape):
                validate(parameters, shape)
            return Call(operation, parameters)
    raise UnknownOperationError(f"{request.method} {request.path} is not an operation that this emulator has")


def _parameters(request: HttpRequest, operation: Operation, path_parameters: dict[str, str]) -> dict[str, Any]:
    try:
        parser: Any = _Parser(operation)
        parsed: dict[str, Any] = parser.parse(
            {
                "method": request.method,
                "url_path": request.path,
                "url_params": path_parameters,
                "values": MultiDict(request.query),
                "headers": request.headers,
                "body": request.body,
            }
        )
    except SerializationError:
        raise
    except Exception as error:  # the parser has no error type of its own for a value of a wrong type
        raise SerializationError(f"The request cannot be read as {operation.name}: {error}") from error
    return {name: value for name, value in parsed.items() if value is not None}


def serialise(call: Call, result: dict[str, Any], request_id: str) -> HttpResponse:
    """Returns the answer of an operation that succeeded; an event stream comes as one body."""
    serializer: Any = get_serializer_class(call.operation.service, PROTOCOL)(operation_model=call.operation.model)
    answer = serializer.serialize(result)
    headers = {name.lower(): str(value) for name, value in answer["headers"].items()}
    if call.operation.model.has_event_stream_output:
        # moto leaves out members that travel as headers beside a stream.
        output: Any = call.operation.model.output_shape
        for name, member in output.members.items():
            if member.serialization.get("location") == "header" and name in result:
                headers[member.serialization["name"].lower()] = str(result[name])
    status, body = int(answer["status_code"]), answer["body"]
    if status == HTTPStatus.NO_CONTENT:  # moto sends an empty object, which HTTP does not allow
        return HttpResponse(status, {"x-amzn-requestid": request_id}, b"")
    content = body if isinstance(body, bytes) else str(body).encode()
    return HttpResponse(status, {**headers, "x-amzn-requestid": request_id}, content)


def in_stream(answer: HttpResponse, error: ServiceError) -> HttpResponse:
    """Returns an answer whose event stream is that of `answer`, but has an error instead of the result.

    The stream's members for errors begin in lower case, and botocore makes the error's code of that name.
    """
    headers = {
        ":message-type": "exception",
        ":exception-type": error.code[0].lower() + error.code[1:],
        ":content-type": "application/json",
    }
    encoded: bytes = EventStreamEncoder().encode_message(headers, json.dumps(error.body()).encode())
    return HttpResponse(answer.status, answer.headers, encoded)


def serialise_error(error: ServiceError, request_id: str) -> HttpResponse:
    """Returns the answer of a call that failed, before any event stream has begun."""
    headers = {"content-type": "application/json", "x-amzn-errortype": error.code, "x-amzn-requestid": request_id}
    return HttpResponse(error.status, headers, json.dumps(error.body()).encode())
