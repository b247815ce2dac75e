"""Displays of Python are content blocks of the result; drawn or saved figures are not."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.assumptions import Assumptions
from local_agentcore.results import code_result
from local_agentcore.sandbox.displays import Display, Displays, parse_displays
from local_agentcore.sandbox.guest import displays
from local_agentcore.sandbox.responses import Execution
from tests.support.agentcore_sessions import open_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Invoke = Callable[..., dict[str, Any]]

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def session(agentcore: Any) -> Generator[Invoke]:
    """Returns a function that calls a tool in one session, in which pyplot is imported."""
    code = "import matplotlib.pyplot as plt, pandas as pd\nfrom PIL import Image"
    with open_tools(agentcore) as invoke:
        invoke("executeCode", language="python", code=code)
        yield invoke


def run(invoke: Invoke, code: str) -> list[dict[str, Any]]:
    """Runs Python code, asserts that it succeeds, and returns the content."""
    result = invoke("executeCode", language="python", code=code)
    assert result["structuredContent"]["exitCode"] == 0, result["structuredContent"]["stderr"]
    blocks: list[dict[str, Any]] = result["content"]
    return blocks


@pytest.mark.parametrize(
    "code",
    [
        "plt.figure(); plt.plot([1, 2]); plt.show()",
        "%matplotlib inline\nplt.figure(); plt.plot([1, 2]); plt.show()",
        "plt.figure(); plt.plot([1, 2]); plt.savefig('a.png'); plt.close()\n"
        "from IPython.display import Image as Shown\nShown(filename='a.png')",
        "Image.new('RGB', (9, 9), 'red')",
        "display(Image.new('RGB', (9, 9), 'red'))",
    ],
    ids=["plt.show", "inline", "a file", "last value", "display"],
)
def test_a_displayed_image_is_the_only_block(session: Invoke, code: str) -> None:
    (block,) = run(session, code)
    assert (block["type"], block["mimeType"]) == ("image", "image/png")
    assert block["data"].startswith(PNG)


def test_images_follow_the_text_in_order(session: Invoke) -> None:
    code = "for color in ('red', 'lime'): display(Image.new('RGB', (1, 1), color))\nprint('text')"
    text, red, green = run(session, code)
    assert text == {"type": "text", "text": "text"}
    assert red["data"] != green["data"]


@pytest.mark.parametrize(
    "code",
    [
        "plt.figure(); plt.plot([1]); plt.savefig('saved.png')",
        "plt.figure(); plt.plot([1]); plt.savefig('saved.png'); plt.close('all')",
        "import matplotlib\nmatplotlib.use('Agg')\nplt.figure(); plt.plot([1]); plt.show()",
        "image = Image.new('RGB', (9, 9)); image.save('saved.png')",
    ],
    ids=["saved", "closed", "Agg", "PIL"],
)
def test_a_drawn_or_saved_figure_is_not_a_block(session: Invoke, code: str) -> None:
    assert run(session, "plt.switch_backend('module://matplotlib_inline.backend_inline')") == [
        {"type": "text", "text": ""}
    ]
    assert run(session, code) == [{"type": "text", "text": ""}]


def test_figures_stay_open_with_the_agg_backend(session: Invoke) -> None:
    collected = (
        "import matplotlib\nmatplotlib.use('Agg')\nplt.close('all')\nplt.plot([1])\nplt.show()\nplt.get_fignums()"
    )
    assert run(session, collected) == [{"type": "text", "text": "[1]"}]


def test_a_table_is_text_and_html(session: Invoke) -> None:
    for code in ("pd.DataFrame({'a': [1, 2]})", "display(pd.DataFrame({'a': [1, 2]}))"):
        text, table = run(session, code)
        assert text == {"type": "text", "text": "a\n0  1\n1  2"}
        assert (table["type"], table["resource"]["mimeType"]) == ("resource", "text/html")
        assert "<td>1</td>" in table["resource"]["text"]
    assert [block["type"] for block in run(session, "print(pd.DataFrame({'a': [1, 2]}))")] == ["text"]


def test_displays_of_failing_code_are_returned(session: Invoke) -> None:
    result = session("executeCode", language="python", code="display(Image.new('RGB', (1, 1)))\n1/0")
    assert [block["type"] for block in result["content"]] == ["text", "image"]
    assert result["isError"]


@pytest.mark.parametrize("data", ["\u00e4", "z", ""])
def test_an_image_without_data_is_displayed_as_text(session: Invoke, data: str) -> None:
    shown = f"display({{'image/png': {data!r}, 'text/plain': 'no image'}}, raw=True)"
    assert run(session, shown) == [{"type": "text", "text": "no image"}]


def test_number_and_size_of_displays_are_limited_and_reported(session: Invoke) -> None:
    many = f"for _ in range({displays.MAX_DISPLAYS + 7}): display(Image.new('RGB', (1, 1)))"
    *images, text = reversed(run(session, many))
    assert len(images) == displays.MAX_DISPLAYS
    assert text["text"].startswith("7 more displays were dropped")
    noise = "import os\nfor _ in range(6): display(Image.frombytes('RGB', (1000, 1000), os.urandom(3_000_000)))"
    *images, text = reversed(run(session, noise))
    assert 0 < sum(len(base64.b64encode(image["data"])) for image in images) <= displays.MAX_BYTES
    assert "more displays were dropped" in text["text"]


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[" * 100_000,
        b"7",
        b'{"shown": 7, "dropped": 0}',
        b'{"shown": [7, {}, {"mimeType": "image/png"}], "dropped": 0}',
        b'{"shown": [{"mimeType": "text/x", "data": "eA=="}], "dropped": 0}',
        b'{"shown": [{"mimeType": "image/png", "data": "!"}], "dropped": 0}',
        json.dumps({"shown": [{"mimeType": "image/png", "data": "\ud800"}], "dropped": -3}).encode(),
        json.dumps({"shown": [{"mimeType": "image/png", "data": "A" * (20 << 20)}], "dropped": 0}).encode(),
    ],
)
def test_invalid_displays_from_a_sandbox_are_ignored(payload: bytes) -> None:
    assert parse_displays(payload) == Displays()
    assert parse_displays(b'{"shown": [{"mimeType": "image/png", "data": "eA=="}], "dropped": 0}').shown


@pytest.mark.parametrize(
    ("assumptions", "types"),
    [
        (Assumptions(), ["image", "resource"]),
        (Assumptions(image_shown_as="nothing", table_shown_as="text"), ["text"]),
        (Assumptions(table_shown_as="nothing"), ["image"]),
    ],
)
def test_the_format_of_displays_is_configurable(assumptions: Assumptions, types: list[str]) -> None:
    shown = Displays((Display("image/png", PNG), Display("text/html", b"<b>")))
    execution = Execution(0, 0.0, b"", b"", False, False, None, False, shown)
    assert [block["type"] for block in code_result(execution, [], assumptions)["content"]] == types
