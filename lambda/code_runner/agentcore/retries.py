"""The retry loop for calls to AWS."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Result = TypeVar("Result")


def with_retries(
    call: Callable[[], Result], delays_seconds: Iterable[float], is_retryable: Callable[[Exception, float], bool]
) -> Result:
    """Makes a call, and repeats it after each delay while it fails with a retryable error.

    Args:
        call: The call. It must be safe to repeat after a retryable error.
        delays_seconds: The delay before each repetition; their number limits the repetitions.
        is_retryable: Decides, from the error and the next delay in seconds, whether to repeat the call.

    Returns:
        The result of the first call that succeeds.

    Raises:
        Exception: The error of the last call.
    """
    for delay in delays_seconds:
        try:
            return call()
        except Exception as error:
            if not is_retryable(error, delay):
                raise
            time.sleep(delay)
    return call()
