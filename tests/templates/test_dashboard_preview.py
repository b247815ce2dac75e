"""Every dashboard of the environments can be drawn, and every expression in it can be evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.dashboards.widgets import NO_DATA
from tests.support.dashboards import synthetic_preview

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly


def test_every_widget_of_an_environment_is_drawn(assemblies: dict[str, Assembly], rich: Assembly) -> None:
    for assembly in (*assemblies.values(), rich):
        for dashboard in synthetic_preview(assembly.directory, minutes=15).dashboards:
            messages = {panel.title: panel.message for panel in dashboard.panels}
            assert {message for message in messages.values() if message} <= {NO_DATA}, (dashboard.name, messages)
            assert "UNKNOWN" not in dashboard.states
