"""Prints local/agentcore/system-calls.md: the system calls that code in a sandbox may make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_agentcore.sandbox.syscall_arguments import RESTRICTIONS, UNCOUNTED_MEMORY
from local_agentcore.sandbox.syscalls import ALLOWED, FIRST_UNKNOWN, LAST_UNKNOWN, REFUSED, UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = """# System calls of the sandbox

Code in a sandbox may make the {allowed} system calls of the first table. All others fail with
EPERM. Calls of 32-bit programs end the process. Socket families that are not listed fail with
EAFNOSUPPORT.

The filter is the second layer behind namespaces and dropped capabilities. It refuses calls that no
program of the sandbox needs, and calls that take a resource which the whole machine shares. A test
compares the filter with the calls that CPython, Node, Deno, pip, the AWS CLI, a shell and the
libraries make, recorded by `tools/record_system_calls.py`.

## Allowed

| Call | Reason | Restriction |
|---|---|---|
"""
UNCOUNTED = """
If no control group limits memory, these restrictions apply as well:

| Call | Restriction |
|---|---|
"""
REFUSED_HEAD = """
## Refused

The common calls that are not allowed, by reason. Calls that are in neither table are refused too.

| Calls | Reason |
|---|---|
"""
UNSUPPORTED_HEAD = """
These calls fail with ENOSYS, as on an older kernel. So do calls with the numbers {first} to {last}.

| Call | Reason |
|---|---|
"""


def main() -> None:
    """Prints the page."""
    allowed = (
        (f"`{call}`", reason, RESTRICTIONS[call].summary if call in RESTRICTIONS else "")
        for call, reason in ALLOWED.items()
    )
    refused = ((" ".join(f"`{call}`" for call in sorted(calls.split())), reason) for calls, reason in REFUSED.items())
    parts = [
        HEAD.format(allowed=len(ALLOWED)) + rows(allowed),
        UNCOUNTED + rows((f"`{call}`", one.summary) for call, one in UNCOUNTED_MEMORY.items()),
        REFUSED_HEAD + rows(refused),
        UNSUPPORTED_HEAD.format(first=FIRST_UNKNOWN, last=LAST_UNKNOWN)
        + rows((f"`{call}`", reason) for call, reason in UNSUPPORTED.items()),
    ]
    print("\n".join(parts))


def rows(cells: Iterable[tuple[str, ...]]) -> str:
    """Returns the rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in cells)


if __name__ == "__main__":
    main()
