"""Opens generated HTML pages in Chromium, without a network, and checks their accessibility with axe-core."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser, Dialog, Page, Route

CHROMIUM = Path("/usr/bin/chromium")
"""The Chromium of Debian. Playwright's own is a download."""
Scheme = Literal["light", "dark"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class OpenPage:
    """A page in the browser.

    Attributes:
        requests: the addresses that it tried to load, without the page itself.
        dialogs: the messages that its scripts showed.
    """

    page: Page
    requests: list[str] = field(default_factory=list[str])
    dialogs: list[str] = field(default_factory=list[str])

    def accessibility_violations(self) -> list[str]:
        """Returns the violated rules of axe-core, each with the elements that violate it."""
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        results = cast("dict[str, Any]", Axe().run(self.page, options=options).response)
        return [
            f"{violation['id']}: {[node['target'] for node in violation['nodes']]}"
            for violation in results["violations"]
        ]

    def tab_order(self) -> list[str]:
        """Presses Tab until the focus leaves the page, and returns the text of each element that gets it."""
        texts: list[str] = []
        while True:
            self.page.keyboard.press("Tab")
            text = self.page.evaluate(
                "() => document.activeElement === document.body ? null"
                " : document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
            )
            if text is None:
                return texts
            texts.append(" ".join(text.split()))

    def is_wider_than_window(self) -> bool:
        """Returns whether the page has to be scrolled sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@dataclass(frozen=True)
class Pages:
    """Opens pages in one browser."""

    browser: Browser

    @contextmanager
    def open(
        self, file: Path, scheme: Scheme = "light", *, width: int = 1440, has_scripts: bool = True
    ) -> Generator[OpenPage]:
        """Opens a file.

        Args:
            file: the HTML file.
            scheme: the colors that the browser prefers.
            width: the width of the window in pixels.
            has_scripts: whether the browser runs JavaScript.
        """
        context = self.browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, java_script_enabled=has_scripts, offline=True
        )
        opened = OpenPage(context.new_page())
        address = file.resolve().as_uri()

        def record(route: Route) -> None:
            if route.request.url == address:
                route.continue_()
            else:
                opened.requests.append(route.request.url)
                route.abort()

        def dismiss(dialog: Dialog) -> None:
            opened.dialogs.append(dialog.message)
            dialog.dismiss()

        context.route("**/*", record)
        opened.page.on("dialog", dismiss)
        opened.page.goto(address)
        yield opened
        context.close()


@pytest.fixture(scope="session")
def pages() -> Generator[Pages]:
    """Starts Chromium, once for all tests of a worker."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: run `make setup`", pytrace=False)
    with sync_playwright() as playwright:
        # Its sandbox does not start as root. It only opens files that the tests have written.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        yield Pages(browser)
        browser.close()
