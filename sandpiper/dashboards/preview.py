"""Creates the preview of all dashboards of a cloud assembly, and writes it to a folder."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sandpiper.dashboards.page import render_page
from sandpiper.dashboards.picture import render_picture
from sandpiper.dashboards.times import Window
from sandpiper.dashboards.widgets import Drawing
from sandpiper.errors import CliError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandpiper.dashboards.colors import Theme
    from sandpiper.dashboards.data import DataSource
    from sandpiper.dashboards.model import Dashboard
    from sandpiper.dashboards.panels import Panel
    from sandpiper.dashboards.reading import AssemblyDashboards

PAGE = "dashboards.html"


@dataclass(frozen=True)
class DashboardPreview:
    """One dashboard with its panels and its picture as PNG."""

    dashboard: Dashboard
    window: Window
    panels: tuple[Panel, ...]

    @property
    def name(self) -> str:
        """The name of the dashboard."""
        return self.dashboard.name

    @cached_property
    def states(self) -> Mapping[str, int]:
        """The number of alarms by state."""
        alarms = {one.name: one.state for panel in self.panels for one in panel.alarms}
        return Counter(state for state in alarms.values())


@dataclass(frozen=True)
class Preview:
    """The files of a preview: one page, and one picture for each dashboard."""

    environment: str
    source: DataSource
    dashboards: tuple[DashboardPreview, ...]

    def write(self, folder: Path, theme: Theme) -> list[Path]:
        """Writes the files and returns their paths, the page first. Existing previews are replaced.

        Args:
            folder: the folder, which is created if it does not exist.
            theme: the colors of the pictures. The page has both themes.

        Raises:
            CliError: The folder cannot be written.
        """
        files = {PAGE: render_page(self).encode()}
        for one in self.dashboards:
            files[f"{one.name}.png"] = render_picture(one, self.source, theme)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                _replace(folder / name, content)
        except OSError as error:
            raise CliError(f"{folder} cannot be written: {error.strerror}; choose another folder with --out") from None
        return [folder / name for name in files]


def create_preview(
    read: AssemblyDashboards,
    source: DataSource,
    progress: Callable[[str], None],
    length: datetime.timedelta | None = None,
) -> Preview:
    """Creates a preview.

    Args:
        read: the dashboards and alarms of a cloud assembly.
        source: where their data comes from.
        progress: called with the name of each dashboard.
        length: the time range. Default: that of each dashboard.
    """
    previews: list[DashboardPreview] = []
    for number, dashboard in enumerate(read.dashboards):
        progress(dashboard.name)
        window = Window.until(source.now, length or dashboard.range)
        drawing = Drawing(source, read.alarms, window)
        panels = (drawing.panel(f"w{number}-{index}", widget) for index, widget in enumerate(dashboard.widgets))
        previews.append(DashboardPreview(dashboard, window, tuple(panels)))
    return Preview(read.environment, source, tuple(previews))


def _replace(file: Path, content: bytes) -> None:
    """Writes a file completely or not at all."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        new.write_bytes(content)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
