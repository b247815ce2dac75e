"""Code that runs in the program's interpreter and saves its matplotlib figures to a folder after the next cell.

It is executed in a separate namespace with its own copy of the built-in functions, so that it does not depend on
names, functions, streams, variables or directories that the program changes. `FOLDER` is an absolute path and `NOW`
states whether to save the open figures immediately instead of after the next cell.

With a notebook backend, `plt.show()` closes the figures that it shows, and so does the end of a cell. Those figures are
remembered with every backend. Figures that the program closes without showing them are not remembered.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: str = globals()["FOLDER"]
NOW: bool = globals()["NOW"]

_pylab_helpers: Any = None
pyplot: Any = None
with contextlib.suppress(ImportError):
    pyplot = importlib.import_module("matplotlib.pyplot")
    _pylab_helpers = importlib.import_module("matplotlib._pylab_helpers")


class Recorder:
    """Remembers figures during one cell and saves them after it."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, Any]] = []
        self.armed = False

    def arm(self, *_: object) -> None:
        """Begins to remember figures. IPython calls it before each cell after the one that contains this code."""
        self.armed = True

    def remember_open(self) -> None:
        """Remembers the figures that are open."""
        if _pylab_helpers is not None:
            managers = sorted(_pylab_helpers.Gcf.get_all_fig_managers(), key=lambda manager: manager.num)
            self.shown += [(manager.num, manager.canvas.figure) for manager in managers]

    def end(self, *_: object) -> None:
        """Saves the figures after the cell. IPython prints errors of its callbacks, so none is raised."""
        if self.armed:
            self.uninstall()
            with contextlib.suppress(BaseException):  # the folder is then incomplete, which the listing reports
                self.save()

    def install(self) -> None:
        """Replaces the recorder of an earlier program."""
        from IPython.core.getipython import get_ipython

        self.shell: Any = get_ipython()
        earlier = getattr(self.shell, "_sandpiper_figures", None)
        if earlier is not None:
            earlier.uninstall()
        self.shell._sandpiper_figures = self
        self.shell.events.register("pre_execute", self.arm)
        self.shell.events.register("post_execute", self.end)
        if pyplot is not None:
            pyplot.show = remembering(pyplot.show, self, lambda _caller: True)
            pyplot.close = remembering(pyplot.close, self, lambda caller: caller.endswith(".backend_inline"))

    def uninstall(self) -> None:
        """Removes the callbacks. The wrappers of pyplot's functions stay and remember nothing."""
        self.armed = False
        for event, callback in (("pre_execute", self.arm), ("post_execute", self.end)):
            with contextlib.suppress(ValueError):
                self.shell.events.unregister(event, callback)

    def save(self) -> None:
        """Saves each figure once, in its present state, and marks the folder as complete.

        A number that is in use is replaced by the next free one. An open figure stays open, so that a later program of
        the session can continue with it.
        """
        self.remember_open()
        os.mkdir(FOLDER)  # noqa: PTH102
        os.chmod(FOLDER, 0o700)  # noqa: PTH101 - the program's umask may have removed all permissions
        numbers, saved = set[int](), set[int]()
        output = io.StringIO()  # warnings about a figure are not output of the program
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, figure in self.shown:
                if id(figure) in saved:
                    continue
                while number in numbers:
                    number += 1
                numbers.add(number)
                saved.add(id(figure))
                save_figure(figure, f"{FOLDER}/{number}")
        self.shown.clear()
        open(f"{FOLDER}/done", "x").close()  # noqa: PTH123


def save_figure(figure: Any, path: str) -> None:
    """Saves a figure as `path`.png, or creates `path`.failed."""
    try:
        figure.savefig(f"{path}.part", format="png")
        os.chmod(f"{path}.part", 0o600)  # noqa: PTH101
        os.rename(f"{path}.part", f"{path}.png")  # noqa: PTH104
    except Exception:
        open(f"{path}.failed", "x").close()  # noqa: PTH123


def remembering(function: Callable[..., Any], recorder: Recorder, is_wanted: Callable[[str], bool]) -> Any:
    """Wraps a function of pyplot so that it first remembers the open figures, if its caller's module is wanted."""
    registry: list[Recorder] | None = getattr(function, "_sandpiper_recorder", None)
    if registry is not None:
        registry[0] = recorder
        return function
    current = [recorder]

    @functools.wraps(function)
    def remember(*arguments: Any, **options: Any) -> Any:
        caller = sys._getframe(1).f_globals.get("__name__", "")  # pyright: ignore[reportPrivateUsage]
        if current[0].armed and is_wanted(str(caller)):
            current[0].remember_open()
        return function(*arguments, **options)

    setattr(remember, "_sandpiper_recorder", current)  # noqa: B010 - functions have no such attribute
    return remember


if NOW:
    Recorder().save()
else:
    Recorder().install()
