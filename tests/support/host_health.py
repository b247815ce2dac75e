"""The health of the host: resources that all processes of the machine share. An attack must leave them unchanged."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
AREA_OF_BPF = re.compile(r"^0x[0-9a-f]+-0x[0-9a-f]+\s+(\d+) .*bpf", re.MULTILINE)
"""A line of /proc/vmallocinfo: address range, size in bytes, caller."""
SETTLE_SECONDS = 30.0
"""How long processes and kernel threads of ended sandboxes may take to disappear."""


@dataclass(frozen=True)
class Health:
    """Measured use of shared resources.

    Attributes:
        aio_contexts: Events of asynchronous I/O contexts.
        terminals: Pseudo-terminals.
        bpf_bytes: Memory of BPF programs. 0 if this user may not read it.
        processes: Processes of the machine, without kernel workers.
        workers: Kernel workers.
        blocked_workers: Kernel workers that wait uninterruptibly, as for a lock that is never released.
    """

    aio_contexts: int
    terminals: int
    bpf_bytes: int
    processes: int
    workers: int
    blocked_workers: int


TOLERANCE = Health(
    aio_contexts=64, terminals=64, bpf_bytes=2 << 20, processes=800, workers=64, blocked_workers=4
)  # fmt: skip
"""Use by other programs of the machine, and by tests that run at the same time. The attacks, if they succeeded, would
take several times as much."""


def measure() -> Health:
    """Returns the current use."""
    names: list[str] = []
    blocked = 0
    for process in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            name, _, fields = process.read_text().partition(" (")[2].rpartition(") ")
            names.append(name)
            blocked += name.startswith("kworker/") and fields.startswith("D")
    workers = sum(name.startswith("kworker/") for name in names)
    return Health(
        aio_contexts=int((PROC / "sys/fs/aio-nr").read_text()),
        terminals=int((PROC / "sys/kernel/pty/nr").read_text()),
        bpf_bytes=_bpf_bytes(),
        processes=len(names) - workers,
        workers=workers,
        blocked_workers=blocked,
    )


def harm_since(before: Health, *, seconds: float = SETTLE_SECONDS) -> dict[str, tuple[int, int]]:
    """Returns the resources of which more is in use than before, with both values. Waits at most `seconds` for none."""
    deadline = time.monotonic() + seconds
    while True:
        after, tolerance = asdict(measure()), asdict(TOLERANCE)
        harm = {name: (old, after[name]) for name, old in asdict(before).items() if after[name] > old + tolerance[name]}
        if not harm or time.monotonic() > deadline:
            return harm
        time.sleep(0.2)


def _bpf_bytes() -> int:
    try:
        return sum(map(int, AREA_OF_BPF.findall((PROC / "vmallocinfo").read_text())))
    except PermissionError:
        return 0
