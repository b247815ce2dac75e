"""Reads several files with as few calls of the service's readFiles as possible."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, RunError
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient

log = logging.getLogger(__name__)


def read_batch(client: CodeInterpreterClient, paths: Sequence[str]) -> Iterator[tuple[str, bytes | SkipReason]]:
    """Yields each path with its content, or with the reason why it cannot be read.

    The files are read in one call, or in two halves if it fails, so that one bad file does not affect the others.
    """
    contents, reason = _read_once(client, paths)
    if contents is None and len(paths) > 1 and reason is not None:
        middle = len(paths) // 2
        yield from read_batch(client, paths[:middle])
        yield from read_batch(client, paths[middle:])
        return
    for path in paths:
        yield path, (contents or {}).get(path, reason or SkipReason.UNREADABLE)


def _read_once(
    client: CodeInterpreterClient, paths: Sequence[str]
) -> tuple[dict[str, bytes] | None, SkipReason | None]:
    """Reads files in one call.

    Returns:
        The contents and the reason for missing ones. Without contents, a reason means that fewer files may succeed, and
        no reason means that no call will.
    """
    try:
        return client.read_files(paths), SkipReason.UNREADABLE
    except PayloadTooLarge:
        return None, SkipReason.TOO_LARGE
    except InvalidRequest:
        return None, SkipReason.UNREADABLE
    except RunError as error:
        log.warning("%d files not read: %s: %s", len(paths), type(error).__name__, error)
        return None, None
