"""Large outputs, large files, many files and unusual file names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from botocore.eventstream import InvalidPayloadLength

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[..., dict[str, Any]]

NAMES = ["ä ö.txt", "日本語.txt", "emoji 🎉.txt", "a'b\"c.txt", "-rf", "new\nline", "Café/é.txt"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("executeCode", {"language": "python", "code": "print('a' * 20_000_000)"}),
        ("executeCode", {"language": "javascript", "code": "console.log('a'.repeat(20_000_000))"}),
        ("executeCommand", {"command": "head -c 20000000 /dev/zero | tr '\\0' a"}),
    ],
)
def test_stdout_over_the_event_limit_fails_only_its_call(invoke: Invoke, name: str, arguments: dict[str, Any]) -> None:
    # An event contains stdout twice, so that 20 MB are 40 MB, over the limit of 24 MiB.
    with pytest.raises(InvalidPayloadLength):
        invoke(name, **arguments)
    half = {
        key: value.replace("20_000_000", "10_000_000").replace("20000000", "10000000")
        for key, value in arguments.items()
    }
    assert len(invoke(name, **half)["structuredContent"]["stdout"]) == 10_000_000


def test_twenty_megabytes_can_be_written_to_a_file(invoke: Invoke) -> None:
    invoke("executeCommand", command="head -c 20000000 /dev/zero >printed.txt")
    assert invoke("executeCommand", command="wc -c <printed.txt")["structuredContent"]["stdout"] == "20000000\r\n"


@pytest.mark.parametrize("name", NAMES)
def test_file_tools_and_code_accept_unusual_names(invoke: Invoke, name: str) -> None:
    data = bytes(range(256)) * 3
    invoke("writeFiles", content=[{"path": name, "blob": data}])
    assert invoke("readFiles", paths=[name])["content"][0]["resource"]["blob"] == data
    folder, _, last = name.rpartition("/")
    assert last in [block["name"] for block in invoke("listFiles", path=folder)["content"]]
    digest = hashlib.sha256(data).hexdigest()
    code = f"import hashlib\nprint(hashlib.sha256(open({name!r}, 'rb').read()).hexdigest())"
    assert invoke("executeCode", language="python", code=code)["structuredContent"]["stdout"] == digest
    assert invoke("removeFiles", paths=[name])["isError"] is False


def test_ten_thousand_files_are_listed(invoke: Invoke) -> None:
    code = "import os\nos.mkdir('many')\nfor n in range(10_000): open(f'many/{n}.csv', 'w').close()"
    assert invoke("executeCode", language="python", code=code)["isError"] is False
    listed = {block["name"] for block in invoke("listFiles", path="many")["content"]}
    assert listed == {f"{number}.csv" for number in range(10_000)}
