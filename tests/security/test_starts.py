"""A sandbox that is given up while it starts leaves nothing, and one whose memory cannot be watched is ended."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local_agentcore.emulator import Emulator
from local_agentcore.identifiers import MANAGED_INTERPRETER
from local_agentcore.sandbox import memory
from local_agentcore.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from local_agentcore.sandbox.host import Sandbox

MOMENTS = (0.0, 0.001, 0.005, 0.02, 0.05, 0.1, 0.15)
"""Seconds after which a start is given up: before the stub runs, and between each of its steps and the last."""


def with_emulator(settings: Settings, action: Callable[[Emulator], Awaitable[None]]) -> None:
    """Does something with an emulator in this process."""

    async def run() -> None:
        emulator = Emulator(settings)
        await emulator.open()
        try:
            assert emulator.unavailable is None
            await action(emulator)
        finally:
            await emulator.close()

    asyncio.run(run())


def groups() -> list[Path]:
    """Returns the control groups of this process's sandboxes."""
    return list(Path("/sys/fs/cgroup").rglob(f"local-agentcore-{os.getpid()}-*-*"))


def children() -> set[str]:
    """Returns the ids of this process's own children; an emulator of other tests may be one."""
    return {child for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()}


def descriptors_open() -> int:
    """Returns how many descriptors this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_start_that_is_given_up_leaves_nothing(agentcore_runtime: Path, tmp_path: Path) -> None:
    async def give_up(emulator: Emulator) -> None:
        descriptors, processes = descriptors_open(), children()
        for moment in MOMENTS:
            starting = asyncio.create_task(emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER)))
            await asyncio.sleep(moment)
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await (await starting).end()  # it was faster
            assert children() <= processes, moment
            assert groups() == [], moment
            assert descriptors_open() <= descriptors, moment

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0), give_up)


def test_what_cannot_be_watched_is_ended(
    agentcore_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_process: int, _memory_bytes: int) -> bool:
        raise RuntimeError("the kernel's words are not understood")

    async def watch(emulator: Emulator) -> None:
        watched = await emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER))
        assert (await watched.execute("1", clear_context=False, seconds=5)).exit_code == 0
        monkeypatch.setattr(memory, "exceeds_limit", fail)
        async with asyncio.timeout(10):
            while watched.alive:
                await asyncio.sleep(0.01)
        await watched.end()

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0, memory_by="watchdog"), watch)


def test_swap_does_not_add_to_the_memory_of_a_group(agentcore_runtime: Path, tmp_path: Path) -> None:
    async def look(emulator: Emulator) -> None:
        sandbox: Sandbox = await emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER))
        files = [file for group in groups() for file in group.glob("memory.*limit_in_bytes")]
        limits = {file.name: int(file.read_text()) for file in files}
        swap = [file.read_text() for group in groups() for file in group.glob("memory.swap.max")]
        await sandbox.end()
        if emulator.groups.counts_memory:
            assert swap in ([], ["0\n"])
            bounded = limits.get("memory.limit_in_bytes")
            assert limits.get("memory.memsw.limit_in_bytes", bounded) == bounded

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0), look)
