"""Converts HTTP requests to parameters and results to HTTP responses, driven by the service models.

moto parses requests and serializes responses by botocore's models, the files that every client uses.
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
from werkzeug.datastructures import Headers, MultiDict

from .errors import SerializationError, ServiceError, UnknownOperationError
from .moto_modules import EventStreamEncoder, RestJSONParser, get_serializer_class, get_service_model
from .operations import OPERATIONS, SERVICES
from .validation import validate

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL = "rest-json"
EVENT_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class HttpRequest:
    """A request as received: the path is still percent-encoded, header names are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | bytearray
    raw_query: str = ""


@dataclass(frozen=True)
class HttpResponse:
    """A response to send."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Whether the body is an event stream."""
        return self.headers.get("content-type") == EVENT_STREAM


@dataclass(frozen=True)
class OperationModel:
    """An operation's model, with its HTTP method and path."""

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
    """A request that conforms to its operation's model."""

    operation: OperationModel
    parameters: dict[str, Any]


class _Parser(RestJSONParser):
    """moto's parser, except that it reads a body once, copies no blob, and rejects a body that is not an object."""

    def __init__(self, operation: OperationModel) -> None:
        super().__init__(operation.model, blob_parser=binascii.a2b_base64, map_type=dict)

    def _initial_body_parse(self, body_contents: bytes | bytearray) -> dict[str, Any]:
        content: object = json.loads(body_contents) if body_contents else {}
        if not isinstance(content, dict):
            raise SerializationError("The body is not a JSON object")
        return cast("dict[str, Any]", content)


@cache
def _operation_models() -> list[OperationModel]:
    models: dict[str, Any] = {service: get_service_model(service) for service in SERVICES}
    found: list[OperationModel] = []
    for operation in OPERATIONS.values():
        model = models[operation.service].operation_model(operation.name)
        path = model.http["requestUri"].split("?")[0]
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
        found.append(OperationModel(operation.service, model, model.http["method"], re.compile(f"{pattern}/?")))
    return found


def parse(request: HttpRequest) -> Call:
    """Parses a request as an emulated operation and validates it against the model.

    Raises:
        UnknownOperationError: No emulated operation has this method and path.
        SerializationError: The request cannot be parsed as that operation's input.
        ValidationError: The request violates a constraint of the model.
    """
    for operation in _operation_models():
        match = operation.path.fullmatch(request.path) if request.method == operation.method else None
        if match is not None:
            parameters = _parameters(request, operation, {k: unquote(v) for k, v in match.groupdict().items()})
            shape = operation.model.input_shape
            if isinstance(shape, StructureShape):
                validate(parameters, shape)
            return Call(operation, parameters)
    raise UnknownOperationError(f"{request.method} {request.path} is not an emulated operation")


def _parameters(request: HttpRequest, operation: OperationModel, path_parameters: dict[str, str]) -> dict[str, Any]:
    try:
        parser: Any = _Parser(operation)
        parsed: dict[str, Any] = parser.parse(
            {
                "method": request.method,
                "url_path": request.path,
                "url_params": path_parameters,
                "values": MultiDict(request.query),
                "headers": Headers(dict(request.headers)),  # names in any case
                "body": request.body,
            }
        )
    except SerializationError:
        raise
    except Exception as error:  # the parser has no error type for a value of the wrong type
        raise SerializationError(f"The request cannot be parsed as {operation.name}: {error}") from error
    return {name: value for name, value in parsed.items() if value is not None}


def serialize(call: Call, result: dict[str, Any], request_id: str) -> HttpResponse:
    """Returns the response of a successful operation. An event stream is one body."""
    serializer: Any = get_serializer_class(call.operation.service, PROTOCOL)(operation_model=call.operation.model)
    response = serializer.serialize(result)
    headers = {name.lower(): str(value) for name, value in response["headers"].items()}
    if call.operation.model.has_event_stream_output:
        # moto leaves out the members that travel as headers of a stream.
        output: Any = call.operation.model.output_shape
        for name, member in output.members.items():
            if member.serialization.get("location") == "header" and name in result:
                headers[member.serialization["name"].lower()] = str(result[name])
    status, body = int(response["status_code"]), response["body"]
    if status == HTTPStatus.NO_CONTENT:  # moto sends an empty object, which HTTP does not allow
        return HttpResponse(status, {"x-amzn-requestid": request_id}, b"")
    content = body if isinstance(body, bytes) else str(body).encode()
    return HttpResponse(status, {**headers, "x-amzn-requestid": request_id}, content)


def with_stream_error(response: HttpResponse, error: ServiceError) -> HttpResponse:
    """Returns a response whose event stream contains an error instead of the result.

    The stream's error members begin in lower case, and botocore uses that name as the error's code.
    """
    headers = {
        ":message-type": "exception",
        ":exception-type": error.code[0].lower() + error.code[1:],
        ":content-type": "application/json",
    }
    encoded: bytes = EventStreamEncoder().encode_message(headers, json.dumps(error.body()).encode())
    return HttpResponse(response.status, response.headers, encoded)


def serialize_error(error: ServiceError, request_id: str) -> HttpResponse:
    """Returns the response of a call that failed before its event stream began."""
    headers = {"content-type": "application/json", "x-amzn-errortype": error.code, "x-amzn-requestid": request_id}
    return HttpResponse(error.status, headers, json.dumps(error.body()).encode())
