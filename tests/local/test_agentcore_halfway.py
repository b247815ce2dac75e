"""What is half-way when something else ends or fails: nothing stays behind, and the next call is not told of it."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.emulator import Emulator
from local_agentcore.errors import InternalServerError
from local_agentcore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from local_agentcore.interpreters import Interpreter
    from local_agentcore.sandbox.host import Sandbox

    Work = Callable[[Emulator], Awaitable[None]]

MANAGED = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}
PATIENCE_SECONDS = 60
TOKEN = "a-token-that-is-long-enough-for-the-model"  # noqa: S105  a client token


@pytest.fixture
def with_emulator(agentcore_runtime: Path, tmp_path: Path) -> Generator[Callable[[Work], None]]:
    """Does something with an emulator in this process, which has to leave nothing behind."""

    async def live(work: Work) -> None:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path / "state", pool=0))
        await emulator.open()
        try:
            await work(emulator)
        finally:
            await emulator.close()

    yield lambda work: asyncio.run(live(work))
    assert list((tmp_path / "state").iterdir()) == []


def test_a_session_that_is_being_started_while_all_end_ends_too(with_emulator: Callable[[Work], None]) -> None:
    async def work(emulator: Emulator) -> None:
        take, taken = emulator.acquire_sandbox, asyncio.get_running_loop().create_future()

        async def take_and_end_all(interpreter: Interpreter) -> Sandbox:
            taken.set_result(await take(interpreter))
            await emulator.sessions.close()
            sandbox: Sandbox = taken.result()
            assert sandbox.alive
            return sandbox

        emulator.acquire_sandbox = take_and_end_all
        with pytest.raises(InternalServerError, match="the emulator is ending"):
            await emulator.call("StartCodeInterpreterSession", MANAGED)
        assert not taken.result().alive
        assert emulator.sessions.live() == []

    with_emulator(work)


def test_a_start_that_fails_is_not_remembered_though_its_caller_has_gone(
    with_emulator: Callable[[Work], None],
) -> None:
    async def work(emulator: Emulator) -> None:
        hold, take = asyncio.Event(), emulator.acquire_sandbox

        async def fail(interpreter: Interpreter) -> Sandbox:  # noqa: ARG001  as it is called
            await hold.wait()
            raise InternalServerError("for a test")

        emulator.acquire_sandbox = fail
        start: dict[str, Any] = {**MANAGED, "clientToken": TOKEN}
        first = asyncio.create_task(emulator.call("StartCodeInterpreterSession", start))
        await asyncio.sleep(0)
        second = asyncio.create_task(emulator.call("StartCodeInterpreterSession", start))
        await asyncio.sleep(0)
        first.cancel()
        hold.set()
        with pytest.raises(InternalServerError, match="for a test"):
            await second
        emulator.acquire_sandbox = take
        assert (await emulator.call("StartCodeInterpreterSession", start))["sessionId"]

    with_emulator(work)


def test_without_a_descriptor_to_spare_a_start_says_so_and_what_is_there_ends_well(
    with_emulator: Callable[[Work], None],
) -> None:
    async def work(emulator: Emulator) -> None:
        await emulator.call("StartCodeInterpreterSession", MANAGED)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(descriptor.name) for descriptor in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            with pytest.raises(InternalServerError, match=r"Too many open files.*ulimit"):
                for _ in range(100):  # as many as fit below the highest that is open
                    await emulator.call("StartCodeInterpreterSession", MANAGED)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await emulator.call("StartCodeInterpreterSession", MANAGED)

    with_emulator(work)


def test_sessions_expire_after_one_that_did_not_end_well(with_emulator: Callable[[Work], None]) -> None:
    async def work(emulator: Emulator) -> None:
        for _ in range(2):
            await emulator.call("StartCodeInterpreterSession", MANAGED)
        later, first = emulator.sessions.live()
        end, tried = first.sandbox.end, asyncio.Event()

        async def end_badly() -> None:
            first.sandbox.end = end
            tried.set()
            raise OSError("for a test")

        first.sandbox.end = end_badly
        async with asyncio.timeout(PATIENCE_SECONDS):
            first.timeout_seconds = 0
            await tried.wait()
            later.timeout_seconds = 0
            while later.sandbox.alive:
                await asyncio.sleep(0.05)
        await first.sandbox.end()

    with_emulator(work)
