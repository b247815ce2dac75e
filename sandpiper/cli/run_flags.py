"""The flags of `sandpiper run` for the fields of a request, for messages that name fields."""

from __future__ import annotations

import re

FLAGS = {
    "language": "--language",
    "runtime": "--runtime",
    "interpreter": "--interpreter",
    "timeoutSeconds": "--timeout",
    "sessionTimeoutSeconds": "--session-timeout",
    "inputs": "--input",
    "outputs.paths": "--outputs",
    "outputs.figures": "--figures",
    "outputs.maxFiles": "--max-files",
    "outputs.maxBytes": "--max-bytes",
    "outputs.linkSeconds": "--link-seconds",
    "codeS3Uri": "FILE",
    "failOnError": "--fail-on-error",
}
"""The flag for each field of the request of a program."""
BATCH_FLAGS = {
    "items.location": "--batch",
    "items.format": "--batch-format",
    "itemInputs": "--item-input",
    "itemsPerSession": "--items-per-session",
    "toleratedFailures": "--tolerated-failures",
    "maxConcurrency": "--max-concurrency",
}
"""The flag for each other field of the request of a batch, whose program is in `request`."""
_ALL_FLAGS = {**FLAGS, **BATCH_FLAGS, **{f"request.{field}": flag for field, flag in FLAGS.items()}}
_FIELDS = "|".join(map(re.escape, _ALL_FLAGS))
_QUOTED_OR_FIELD = re.compile(rf"'[^']*'|(?<![\w./-])({_FIELDS})\b(?!/)(?:\[\d+])?(?:\.\w+)?")
_LOCATION = re.compile(rf"([A-Z]\w+: )?({_FIELDS})(?:\[\d+])?(?:\.\w+)?(?= is | s3://|:)")
"""The name of an error, and the field that its message begins with."""


def location_as_flag(failure: str) -> str:
    """Returns the message of a failed run with a flag in place of the field that it begins with.

    The rest is the message of the session function or of the service, and is not changed.
    """
    found = _LOCATION.match(failure)
    message = f"{found[1] or ''}{_ALL_FLAGS[found[2]]}{failure[found.end() :]}" if found else failure
    return message.removeprefix("InvalidRequest: ")


def in_flags(message: str) -> str:
    """Returns the message of an invalid request with flags in place of fields. Quoted values are kept."""
    return _QUOTED_OR_FIELD.sub(lambda found: _ALL_FLAGS[found[1]] if found[1] else found[0], message)
