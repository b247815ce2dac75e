"""The service times of AWS that the simulation of batches assumes. Durations are compared on AWS only."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.programs import Code
from code_runner.session import start_session, stop_session
from sandpiper.capacity.model import ServiceTimes, Span
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from sandpiper.capacity.model import Duration
    from tests.support.product import Product

SAMPLES = 10 if ON_AWS else 1
FACTOR = 2
"""How much a mean may be outside of the assumed range before the simulation would mislead."""


@pytest.fixture
def measured(product: Product) -> dict[str, float]:
    """Measures each step of an item. Returns the means in seconds by the names of `ServiceTimes`."""
    clients, deployment = AwsClients(product.session), product.deployment
    interpreter_id = next(iter(deployment.interpreters.values()))
    seconds: dict[str, list[float]] = {}

    @contextmanager
    def timed(name: str) -> Generator[None]:
        began = time.monotonic()
        yield
        seconds.setdefault(name, []).append(time.monotonic() - began)

    for _ in range(SAMPLES):
        with timed("start"):
            session = start_session(clients, interpreter_id, timeout_seconds=300)
        try:
            with timed("write"):
                session.client.write_files({"item.json": b"1"})
            session.client.execute_code(Code("pass"))  # the first call in a session takes longer
            with timed("call"):
                session.client.execute_code(Code("pass"))
            with timed("collect"):
                session.client.execute_idempotent_command("ls -la")
        finally:
            with timed("stop"):
                stop_session(clients, interpreter_id, session.session_id)
        with timed("put"):
            key = f"{deployment.prefix}/inputs/{uuid.uuid4()}"
            clients.s3.put_object(Bucket=deployment.bucket, Key=key, Body=b"1")
    return {name: fmean(values) for name, values in seconds.items()}


def test_service_times_are_those_of_the_simulation(measured: dict[str, float]) -> None:
    assert measured.keys() == {"start", "write", "call", "collect", "stop", "put"}
    times = ServiceTimes()
    assumed: dict[str, Duration] = {name: getattr(times, name) for name in measured}
    different = {
        name: f"{measured[name]:.3f} s, assumed {span.low} s to {span.high} s"
        for name, span in assumed.items()
        if isinstance(span, Span) and not span.low / FACTOR <= measured[name] <= span.high * FACTOR
    }
    if ON_AWS:
        assert different == {}
