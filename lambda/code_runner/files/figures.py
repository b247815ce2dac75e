"""Saves matplotlib figures that are open or were shown, so that a program need not save them.

They are saved in the call that lists the files.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from code_runner.agentcore.programs import Code
from code_runner.files.discovery import list_files_command, listing_timeout_seconds, parse_listing
from sandpiper_contract.globs import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.discovery import Listing, WrittenInput
    from sandpiper_contract.files import Outputs

# Both snippets run in the interpreter of the program, which holds its figures.

# Runs before the program. With a notebook backend, plt.show() closes the figures that it shows, and so does the end of
# a cell. Those figures are remembered with every backend. Figures that the program closes without showing them are not
# remembered.
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
    def remembering(function, is_wanted):
        @functools.wraps(function)
        def remember(*arguments, **options):
            if pyplot._sandpiper_shown is not None and is_wanted(sys._getframe(1).f_globals.get("__name__", "")):
                managers = sorted(_pylab_helpers.Gcf.get_all_fig_managers(), key=lambda manager: manager.num)
                pyplot._sandpiper_shown += [(manager.num, manager.canvas.figure) for manager in managers]
            return function(*arguments, **options)
        return remember
    pyplot.show = remembering(pyplot.show, lambda caller: True)
    pyplot.close = remembering(pyplot.close, lambda caller: caller.endswith(".backend_inline"))
_sandpiper_prologue()
del _sandpiper_prologue
"""

# Runs after the program. It saves each figure once, in its present state. An open figure stays open, so that a later
# program of the session can continue with it. A number or a file name that is in use is replaced by the next free one.
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
FIGURE_FILES = Pattern("figure-*.png")


def remember_shown_figures(client: CodeInterpreterClient, *, clear_context: bool) -> None:
    """Makes the interpreter remember the figures that the next program shows. Raises RunError.

    Args:
        client: The client of the session.
        clear_context: Whether to delete the variables of earlier programs. The program itself must then be sent without
            this option, which would also delete what is remembered.
    """
    client.execute_idempotent_code(_PROLOGUE, clear_context=clear_context)


def find_files_and_figures(
    client: CodeInterpreterClient, inputs: Mapping[str, WrittenInput], outputs: Outputs, scanned_at_us: int
) -> Listing:
    """Saves every open or shown figure as `figure-NUMBER.png`, then lists files like `find_files`. Raises RunError."""
    if outputs.paths is not None:
        outputs = replace(outputs, paths=(*outputs.paths, FIGURE_FILES))
    epilogue = _EPILOGUE.format(command=list_files_command(inputs, outputs, scanned_at_us))
    outcome = client.execute_code(Code(epilogue), seconds=listing_timeout_seconds(outputs))
    return parse_listing(outcome.stdout)
