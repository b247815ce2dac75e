"""The three places where MiniStack is extended, behind one interface; the only module that touches its internals.

Written against MiniStack 1.5.33. After a bump, `tests/local` tells whether the places are still where they were.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import ministack.app
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack.core.lambda_runtime import execution_credentials
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

if TYPE_CHECKING:
    from local_aws.lambda_runtime.functions import Functions


class ResourceType(Protocol):
    """A CloudFormation resource type that MiniStack does not have."""

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Makes the resource; returns its physical id and attributes. Raises ValueError, whose text the stack shows."""
        ...

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Ends the resource; one that is gone is no error."""
        ...


def add_resource_type(name: str, resource_type: ResourceType) -> None:
    """Makes CloudFormation accept `name`. Handlers run on the server's own thread: they must not call it over HTTP."""
    provisioners._RESOURCE_HANDLERS[name] = {"create": resource_type.create, "delete": resource_type.delete}


def use_lambda_runtime(functions: Functions) -> None:
    """Runs Python functions by `functions` instead of MiniStack's own worker, which loses an exception's class."""

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        answer = functions.invoke(
            config, function["code_zip"], event, request_id, lambda: execution_credentials(config)
        )
        return {"body": answer.body, "log": answer.log, **({"error": True} if answer.failed else {})}

    lambda_svc._execute_function_warm = execute


def serve(port: int) -> None:
    """Serves MiniStack on loopback until SIGTERM."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    asyncio.run(hypercorn_serve(_as_tls, config))  # pyright: ignore[reportArgumentType] - an ASGI application


async def _as_tls(scope: dict[str, Any], receive: object, send: object) -> None:
    """Loopback counts as TLS, so that TLS-only bucket policies admit it and still deny what they should."""
    if scope["type"] == "http":
        scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
    await ministack.app.app(scope, receive, send)
