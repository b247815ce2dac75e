"""The page of dashboards in Chromium: accessible in both themes, usable with the keyboard, and without a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandpiper.dashboards.preview import PAGE
from tests.support.dashboards import ALL_WIDGETS, count, metric_widget, synthetic_preview, write_assembly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.browser import Pages, Scheme

CHARTS = 8


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a page with two dashboards. The first has every kind of widget."""
    folder = tmp_path_factory.mktemp("preview")
    bodies = ({"widgets": ALL_WIDGETS}, {"widgets": [metric_widget(count("Runs"), title="Runs")]})
    assembly = write_assembly(folder / "assembly", *map(json.dumps, bodies))
    synthetic_preview(assembly).write(folder, "light")
    return folder / PAGE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_accessibility_violations(pages: Pages, page_file: Path, scheme: Scheme) -> None:
    with pages.open(page_file, scheme) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert opened.accessibility_violations() == []


def test_tab_visits_the_links_and_then_the_widgets_in_order(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        assert opened.tab_order() == [
            "Skip to the dashboards",
            "all-widgets",
            "all-widgets1",
            *("runbook", "image", "Open"),
            *("Data of Now", "Data of Today", "Data of Share of the quota (%)", "Data of Shares"),
            *("Data of Runs by tenant <script>alert(1)</script><img src=x onerror=alert(1)>", "Data of Runs now"),
            *("Data of Two axes", "Data of Failed runs by error", "Data of Failures", "Data of Table"),
            *("Data of Metric of an alarm", "Data of Runs"),
        ]


def test_the_focus_is_visible_and_a_data_table_opens_with_the_keyboard(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        first = opened.page.locator("summary").first
        first.focus()
        opened.page.keyboard.press("Tab")
        outline = "getComputedStyle(document.activeElement).outlineWidth"
        assert opened.page.evaluate(outline) == "3px"
        opened.page.keyboard.press("Enter")
        assert opened.page.locator("details[open] table").count() == 1


@pytest.mark.parametrize("has_scripts", [True, False])
def test_the_page_runs_no_script_and_loads_nothing(pages: Pages, page_file: Path, has_scripts: bool) -> None:
    with pages.open(page_file, has_scripts=has_scripts) as opened:
        assert opened.page.locator("svg.chart").count() == CHARTS
        assert opened.page.locator("svg.chart").first.is_visible()
        assert opened.page.locator("script, img, iframe, object, link").count() == 0
        assert opened.page.locator("a[href^=javascript]").count() == 0
        assert (opened.requests, opened.dialogs) == ([], [])


@pytest.mark.parametrize("width", [1440, 1000, 420])
def test_widgets_do_not_overlap_and_fit_the_window(pages: Pages, page_file: Path, width: int) -> None:
    with pages.open(page_file, width=width) as opened:
        assert not opened.is_wider_than_window()
        boxes = [box for one in opened.page.locator(".widget").all() if (box := one.bounding_box())]
        assert len(boxes) == len(ALL_WIDGETS) + 1
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                assert (
                    one["x"] + one["width"] <= other["x"]
                    or other["x"] + other["width"] <= one["x"]
                    or one["y"] + one["height"] <= other["y"]
                    or other["y"] + other["height"] <= one["y"]
                )


def test_every_chart_has_a_text_alternative_and_its_data(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file) as opened:
        names = [one.get_attribute("aria-label") for one in opened.page.get_by_role("img").all()]
        assert len(names) == CHARTS
        assert any("Failed (%): latest" in str(name) and "Threshold: second 82." in str(name) for name in names)
        for chart in opened.page.locator(".widget:has(svg.chart)").all():
            assert chart.locator("details table tbody tr").count() > 0


def test_print_is_light_and_without_controls(pages: Pages, page_file: Path) -> None:
    with pages.open(page_file, "dark") as opened:
        dark = opened.page.evaluate("getComputedStyle(document.querySelector('.widget')).backgroundColor")
        opened.page.emulate_media(media="print")
        printed = opened.page.evaluate("getComputedStyle(document.querySelector('.widget')).backgroundColor")
        assert (dark, printed) == ("rgb(26, 31, 38)", "rgb(255, 255, 255)")
        assert not opened.page.locator("details").first.is_visible()
        assert opened.page.locator(".dashboard").last.evaluate("one => getComputedStyle(one).breakBefore") == "page"
        assert opened.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
