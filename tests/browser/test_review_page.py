"""The page of a review in Chromium: accessible in both themes, without a network, and filtered with a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.file import approve
from sandpiper.review.formats import FORMATS
from sandpiper.review.report import Report
from tests.review.rule_cases import FAILING, put
from tests.support.review_templates import EXPECT, expectation, review_of, secure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Pages, Scheme

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the page of a hostile template with findings, exceptions, an alarm and changes since an approval."""
    template = secure()
    baseline = approve(review_of(template), SCRIPT)
    for rule in ("network-sandbox", "trust-everyone", "network-public"):
        FAILING[rule][0](template)
    put("Interpreter.Properties.Description", SCRIPT)(template)
    put("Alarm", {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": SCRIPT, "Threshold": 1}})(template)
    accepted = {"network-public": {"Reason": SCRIPT, "Owner": "team", "Expires": "2020-01-01"}}
    put("Interpreter.Metadata", {"Sandpiper::Accepted": accepted})(template)
    template[EXPECT] = [
        expectation("app/FunctionRole", "start a session", "denied"),
        expectation("reader of the account", "start a session", "denied"),
        expectation("reader of the account", "read results", "denied"),
    ]
    review = review_of(template)
    file = tmp_path_factory.mktemp("review") / "review.html"
    file.write_text(FORMATS["html"](Report(review, changes=compare(review.model, baseline))), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_accessibility_violations(pages: Pages, page_file: Path, scheme: Scheme) -> None:
    with pages.open(page_file, scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert opened.accessibility_violations() == []
        assert opened.dialogs == []


@pytest.mark.parametrize("has_scripts", [True, False])
def test_the_page_loads_nothing_and_runs_only_its_filter(pages: Pages, page_file: Path, has_scripts: bool) -> None:
    with pages.open(page_file, has_scripts=has_scripts) as opened:
        assert opened.page.locator("img, iframe, object, link").count() == 0
        assert opened.page.locator("script").count() == 1
        assert opened.page.locator("table.matrix").is_visible()
        assert opened.page.locator("svg.graph").is_visible()
        assert opened.page.locator("form.filter").is_visible() is has_scripts
        assert (opened.requests, opened.dialogs) == ([], [])


def test_the_filter_hides_principals_and_announces_how_many_remain(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        rows = opened.page.locator("table.matrix tbody tr:visible")
        number = rows.count()
        opened.page.get_by_label("Filter principals").fill("another account")
        assert rows.count() == 1
        assert opened.page.get_by_role("status").inner_text() == f"1 of {number} rows shown"
        opened.page.get_by_label("Filter principals").fill("")
        opened.page.get_by_label("only with access").check()
        assert 0 < rows.count() < number


def test_the_keyboard_reaches_sections_tables_and_details_in_order(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        order = opened.tab_order()
        assert order[:3] == ["Skip to the review", "Interpreters", "Access"]
        assert "Drawing of the trust graph" in order
        assert "The graph as a table" in order


@pytest.mark.parametrize("width", [1440, 420])
def test_the_page_fits_the_window(pages: Pages, page_file: Path, width: int) -> None:
    with pages.open(page_file, width=width) as opened:
        assert not opened.is_wider_than_window()


def test_labels_of_the_graph_fit_their_boxes(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        for box in opened.page.locator("svg.graph g").all():
            widths = box.evaluate(
                "one => [one.querySelector('rect'), ...one.querySelectorAll('text')].map(each => each.getBBox().width)"
            )
            assert max(widths[1:]) + 16 <= widths[0]


def test_print_is_light_without_controls_and_begins_parts_on_a_page(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file, "dark") as opened:
        opened.page.emulate_media(media="print")
        assert not opened.page.locator("nav").is_visible()
        assert not opened.page.locator("form.filter").is_visible()
        card = opened.page.locator(".card").first
        assert card.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"
        assert card.evaluate("one => getComputedStyle(one).breakInside") == "avoid"
        assert opened.page.locator("section.page").first.evaluate("one => getComputedStyle(one).breakBefore") == "page"
        assert opened.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
