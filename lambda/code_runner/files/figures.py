"""Keeps matplotlib figures that are open or were shown, which a program need not save itself.

They are saved in the call that lists the files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from code_runner.files.discovery import lister_command, listing, listing_seconds
from sandpiper_contract.globs import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import ToolCalls
    from code_runner.files.discovery import Given, Listing
    from sandpiper_contract.files import Outputs

# Both run in the program's own interpreter, where its figures are.

# Before the program. In a notebook's backend plt.show() closes what it has shown, and so does the end of a cell: those
# are remembered, whatever backend there is, and what the program itself closes unshown is not.
_PROLOGUE = """
def _sandpiper_prologue():
    import functools, sys
    try:
        from matplotlib import _pylab_helpers, pyplot
    except ImportError:
        return
    hooked = hasattr(pyplot, "_sandpiper_shown")
    pyplot._sandpiper_shown = []
    if hooked:
        return
    def remembering(function, wanted):
        @functools.wraps(function)
        def remember(*arguments, **options):
            if pyplot._sandpiper_shown is not None and wanted(sys._getframe(1).f_globals.get("__name__", "")):
                managers = sorted(_pylab_helpers.Gcf.get_all_fig_managers(), key=lambda manager: manager.num)
                pyplot._sandpiper_shown += [(manager.num, manager.canvas.figure) for manager in managers]
            return function(*arguments, **options)
        return remember
    pyplot.show = remembering(pyplot.show, lambda caller: True)
    pyplot.close = remembering(pyplot.close, lambda caller: caller.endswith(".backend_inline"))
_sandpiper_prologue()
del _sandpiper_prologue
"""

# After it. Figures are saved as they are now, each once. An open one is left as it is, so that a later program of the
# session can go on with it; a number or a name that is taken gets another.
_EPILOGUE = """
def _sandpiper_epilogue(command):
    import os, subprocess, sys
    pyplot = sys.modules.get("matplotlib.pyplot")
    found = []
    if pyplot:
        managers = sorted(pyplot._pylab_helpers.Gcf.get_all_fig_managers(), key=lambda manager: manager.num)
        found = getattr(pyplot, "_sandpiper_shown", None) or []
        found = found + [(manager.num, manager.canvas.figure) for manager in managers]
        if hasattr(pyplot, "_sandpiper_shown"):
            pyplot._sandpiper_shown = None
    numbers, saved = set(), set()
    for number, figure in found:
        if id(figure) in saved:
            continue
        while number in numbers:
            number += 1
        numbers.add(number)
        saved.add(id(figure))
        name, copy = f"figure-{{number}}.png", 1
        while os.path.lexists(name):
            copy += 1
            name = f"figure-{{number}}-{{copy}}.png"
        figure.savefig(name, format="png")
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    print(listed.stdout)
_sandpiper_epilogue({command!r})
del _sandpiper_epilogue
"""
FIGURES = Pattern("figure-*.png")


def remember_shown(session: ToolCalls, *, clear_context: bool) -> None:
    """Has the figures that the next program shows remembered until `find_files_and_figures`. Raises RunError.

    `clear_context` is the program's, which is sent without it: it would clear this, too.
    """
    session.execute_own_code(_PROLOGUE, clear_context=clear_context)


def find_files_and_figures(session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int) -> Listing:
    """What `find_files` finds, after every open or shown figure was saved as `figure-NUMBER.png`. Raises RunError."""
    if outputs.paths is not None:
        outputs = replace(outputs, paths=(*outputs.paths, FIGURES))
    epilogue = _EPILOGUE.format(command=lister_command(given, outputs, seen))
    outcome = session.execute_code(epilogue, seconds=listing_seconds(outputs))
    return listing(outcome.stdout)
