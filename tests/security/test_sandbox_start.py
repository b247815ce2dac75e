"""A cancelled start leaves nothing behind, and a sandbox whose memory cannot be checked is ended."""

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

CANCEL_AFTER_SECONDS = (0.0, 0.001, 0.005, 0.02, 0.05, 0.1, 0.15)
"""Delays until a start is cancelled: before the launcher runs, and during its steps."""


def with_emulator(settings: Settings, action: Callable[[Emulator], Awaitable[None]]) -> None:
    """Runs an action with an emulator in this process."""

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
    """Returns the control groups of the sandboxes of this process."""
    return list(Path("/sys/fs/cgroup").rglob(f"local-agentcore-{os.getpid()}-*-*"))


def children() -> set[str]:
    """Returns the ids of the child processes of this process. An emulator of other tests may be among them."""
    return {child for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()}


def descriptors_open() -> int:
    """Returns the number of open descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_cancelled_start_leaves_no_process_descriptor_or_group(agentcore_runtime: Path, tmp_path: Path) -> None:
    async def cancel_starts(emulator: Emulator) -> None:
        descriptors, processes = descriptors_open(), children()
        for delay in CANCEL_AFTER_SECONDS:
            starting = asyncio.create_task(emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER)))
            await asyncio.sleep(delay)
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await (await starting).end()  # it had started
            assert children() <= processes, delay
            assert groups() == [], delay
            assert descriptors_open() <= descriptors, delay

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0), cancel_starts)


def test_sandbox_whose_memory_cannot_be_checked_is_ended(
    agentcore_runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_process: int, _memory_bytes: int) -> bool:
        raise RuntimeError("/proc is not readable")

    async def watch(emulator: Emulator) -> None:
        sandbox = await emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER))
        assert (await sandbox.execute("1", clear_context=False, seconds=5)).exit_code == 0
        monkeypatch.setattr(memory, "exceeds_limit", fail)
        async with asyncio.timeout(10):
            while sandbox.alive:
                await asyncio.sleep(0.01)
        await sandbox.end()

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0, memory_by="watchdog"), watch)


def test_swap_does_not_add_to_the_memory_limit(agentcore_runtime: Path, tmp_path: Path) -> None:
    async def check(emulator: Emulator) -> None:
        sandbox: Sandbox = await emulator.acquire_sandbox(emulator.interpreters.get(MANAGED_INTERPRETER))
        files = [file for group in groups() for file in group.glob("memory.*limit_in_bytes")]
        limits = {file.name: int(file.read_text()) for file in files}
        swap = [file.read_text() for group in groups() for file in group.glob("memory.swap.max")]
        await sandbox.end()
        if emulator.groups.counts_memory:
            assert swap in ([], ["0\n"])
            bounded = limits.get("memory.limit_in_bytes")
            assert limits.get("memory.memsw.limit_in_bytes", bounded) == bounded

    with_emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0), check)
