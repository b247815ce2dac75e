"""The page that compares the review with other tools is about the present templates."""

from __future__ import annotations

from tests.support.project import PROJECT
from tests.support.rules.failing_templates import digest, failing_templates


def test_the_comparison_is_about_the_present_templates() -> None:
    """Other tools take minutes, so only the digest of the templates is compared."""
    page = (PROJECT / "docs" / "review-comparison.md").read_text()
    assert f"`{digest(failing_templates())}`" in page, "run: python tools/review_comparison_page.py"
