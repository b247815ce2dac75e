"""The browser of the tests of HTML pages."""

from __future__ import annotations

from tests.support.browser import pages

__all__ = ["pages"]
