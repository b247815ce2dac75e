"""Script that runs inside the sandbox and reads the last output that the script `task` has kept.

It does not import other modules of the product and is started with `python3 -I -S`. It prints the two streams as JSON
after a marker: each as a text, or null if there is no file. A text that does not begin with the first output begins
with a complete line.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from typing import Any

STREAMS = ("stdout", "stderr")


def main(task: dict[str, Any]) -> None:
    """Prints the last output, at most `maxBytes` together as JSON in UTF-8."""
    limit = task["maxBytes"]
    texts = [tail(f"{task['folder']}/{stream}", limit) for stream in STREAMS]
    while sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in texts if text) > task["maxBytes"]:
        limit = limit * 3 // 4
        texts = [tail(f"{task['folder']}/{stream}", limit) for stream in STREAMS]
    print("\n" + task["marker"] + json.dumps(texts))


def tail(path: str, max_bytes: int) -> str | None:
    """Returns the end of a stream, which continues a file `PATH.1` if there is one."""
    data, more = read_end(path, max_bytes)
    if data is None:
        return None
    if len(data) < max_bytes:
        earlier, earlier_more = read_end(f"{path}.1", max_bytes - len(data))
        data, more = (earlier or b"") + data, more or earlier_more
    if more and 0 <= (newline := data.find(b"\n")) < len(data) - 1:
        data = data[newline + 1 :]
    # Without a line end, the text may begin within a character.
    return data.lstrip(bytes(range(0x80, 0xC0))).decode("utf-8", "replace") if more else data.decode("utf-8", "replace")


def read_end(path: str, max_bytes: int) -> tuple[bytes | None, bool]:
    """Returns at most the last bytes of a regular file, and whether there are more. None if there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None, False
    with open(descriptor, "rb") as file:  # noqa: PTH123
        size = os.fstat(descriptor).st_size
        file.seek(max(size - max_bytes, 0))
        return file.read(max_bytes), size > max_bytes


if __name__ == "__main__":
    main(json.loads(zlib.decompress(base64.b85decode(sys.argv[1]))))
