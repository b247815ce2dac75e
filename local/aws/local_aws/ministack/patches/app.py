"""Serves MiniStack's HTTP application behind the gateway."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import ministack.app
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from local_aws.ministack.gateway import Gateway, current_request
from local_aws.ministack.patches import sigv4

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.ministack.authorizer import Authorizer
    from local_aws.ministack.gateway import Request, Response

MINISTACK_VERSION = "1.5.33"


def serve(port: int, authorizer: Authorizer, on_stop: Callable[[], None]) -> None:
    """Serves on loopback until SIGTERM. Then calls `on_stop` and exits without waiting for busy threads."""

    def before_body(request: Request) -> Response | None:
        return authorizer.reject(request) if authorizer.handles(request) else sigv4.reject_before_body(request)

    def with_body(request: Request) -> Response | None:
        current_request.set(authorizer.with_verified_source(request))
        return authorizer.respond(request) if authorizer.handles(request) else sigv4.reject(request)

    def stop(*_: object) -> None:
        on_stop()
        os._exit(0)

    async def never() -> None:
        await asyncio.Event().wait()

    signal.signal(signal.SIGTERM, stop)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    gateway = Gateway(ministack.app.app, port, before_body, with_body, sigv4.is_object_upload)
    asyncio.run(hypercorn_serve(gateway, config, shutdown_trigger=never))  # pyright: ignore[reportArgumentType] - ASGI
