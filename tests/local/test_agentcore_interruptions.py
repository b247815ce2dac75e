"""Operations that are interrupted by a shutdown or a failure: no resources leak, and later calls succeed."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.emulator import Emulator
from local_agentcore.errors import InternalServerError
from local_agentcore.settings import Settings
from tests.support.agentcore_sessions import MANAGED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from local_agentcore.interpreters import Interpreter
    from local_agentcore.sandbox.host import Sandbox

    Work = Callable[[Emulator], Awaitable[None]]

TIMEOUT_SECONDS = 60
FREE_DESCRIPTORS = 6
"""Fewer than the starts of two sessions need."""
TOKEN = "a-token-that-is-long-enough-for-the-model"  # noqa: S105  a client token


@pytest.fixture
def with_emulator(agentcore_runtime: Path, tmp_path: Path) -> Generator[Callable[[Work], None]]:
    """Returns a function that runs a coroutine with an emulator in this process, and checks that no files remain."""

    async def live(work: Work) -> None:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path / "state", pool=0))
        await emulator.open()
        try:
            await work(emulator)
        finally:
            await emulator.close()

    yield lambda work: asyncio.run(live(work))
    assert list((tmp_path / "state").iterdir()) == []


def test_a_session_that_starts_during_close_ends(with_emulator: Callable[[Work], None]) -> None:
    async def work(emulator: Emulator) -> None:
        acquire, acquired = emulator.acquire_sandbox, asyncio.get_running_loop().create_future()
        closing: list[asyncio.Task[None]] = []

        async def acquire_and_close(interpreter: Interpreter) -> Sandbox:
            acquired.set_result(await acquire(interpreter))
            closing.append(asyncio.create_task(emulator.sessions.close()))
            await asyncio.sleep(0)  # it begins, and waits for this start
            sandbox: Sandbox = acquired.result()
            assert sandbox.alive
            return sandbox

        emulator.acquire_sandbox = acquire_and_close
        with pytest.raises(InternalServerError, match="the emulator is ending"):
            await asyncio.wait_for(emulator.call("StartCodeInterpreterSession", MANAGED), TIMEOUT_SECONDS)
        await asyncio.wait_for(closing[0], TIMEOUT_SECONDS)
        assert not acquired.result().alive
        assert emulator.sessions.live() == []

    with_emulator(work)


def test_a_failed_start_is_not_remembered_if_its_caller_was_cancelled(
    with_emulator: Callable[[Work], None],
) -> None:
    async def work(emulator: Emulator) -> None:
        blocked, acquire = asyncio.Event(), emulator.acquire_sandbox

        async def fail(interpreter: Interpreter) -> Sandbox:  # noqa: ARG001  the signature of acquire_sandbox
            await blocked.wait()
            raise InternalServerError("for a test")

        emulator.acquire_sandbox = fail
        start: dict[str, Any] = {**MANAGED, "clientToken": TOKEN}
        first = asyncio.create_task(emulator.call("StartCodeInterpreterSession", start))
        await asyncio.sleep(0)
        second = asyncio.create_task(emulator.call("StartCodeInterpreterSession", start))
        await asyncio.sleep(0)
        first.cancel()
        blocked.set()
        with pytest.raises(InternalServerError, match="for a test"):
            await second
        emulator.acquire_sandbox = acquire
        assert (await emulator.call("StartCodeInterpreterSession", start))["sessionId"]

    with_emulator(work)


def test_a_start_without_free_descriptors_fails_and_live_sessions_end(
    with_emulator: Callable[[Work], None],
) -> None:
    async def work(emulator: Emulator) -> None:
        await emulator.call("StartCodeInterpreterSession", MANAGED)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(descriptor.name) for descriptor in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + FREE_DESCRIPTORS, hard))
        held: list[int] = []
        try:
            with suppress(OSError):
                while True:  # all that are free below the limit
                    held.append(os.open(os.devnull, os.O_RDONLY))
            for _ in range(FREE_DESCRIPTORS):
                os.close(held.pop())
            with pytest.raises(InternalServerError, match=r"Too many open files.*ulimit"):
                for _ in range(2):
                    await emulator.call("StartCodeInterpreterSession", MANAGED)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in held:
                os.close(descriptor)
        await emulator.call("StartCodeInterpreterSession", MANAGED)

    with_emulator(work)


def test_expiry_continues_after_a_session_failed_to_end(with_emulator: Callable[[Work], None]) -> None:
    async def work(emulator: Emulator) -> None:
        for _ in range(2):
            await emulator.call("StartCodeInterpreterSession", MANAGED)
        later, first = emulator.sessions.live()
        end, tried = first.sandbox.end, asyncio.Event()

        async def fail_to_end() -> None:
            first.sandbox.end = end
            tried.set()
            raise OSError("for a test")

        first.sandbox.end = fail_to_end
        async with asyncio.timeout(TIMEOUT_SECONDS):
            first.timeout_seconds = 0
            await tried.wait()
            later.timeout_seconds = 0
            while later.sandbox.alive:
                await asyncio.sleep(0.05)
        await first.sandbox.end()

    with_emulator(work)
