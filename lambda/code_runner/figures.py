"""Keeps open matplotlib figures, which a program need not save itself, in the call that lists the files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from code_runner.changes import lister_command, listing, listing_seconds
from sandpiper_contract.files import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from code_runner.changes import Given, Listing
    from code_runner.tool_calls import ToolCalls
    from sandpiper_contract.files import Outputs

# Runs in the program's own interpreter, where its figures are. An open figure is left as it is, so that a later program
# of the session can go on with it; a name that is taken gets a number more.
_EPILOGUE = """
def _sandpiper_epilogue(command):
    import os, subprocess, sys
    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        name, copy = f"figure-{{number}}.png", 1
        while os.path.lexists(name):
            copy += 1
            name = f"figure-{{number}}-{{copy}}.png"
        pyplot._pylab_helpers.Gcf.get_fig_manager(number).canvas.figure.savefig(name, format="png")
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    print(listed.stdout)
_sandpiper_epilogue({command!r})
del _sandpiper_epilogue
"""
FIGURES = Pattern("figure-*.png")


def find_files_and_figures(session: ToolCalls, given: Mapping[str, Given], outputs: Outputs, seen: int) -> Listing:
    """What `find_files` finds, after every open figure was saved as `figure-NUMBER.png`. Raises RunError."""
    if outputs.paths is not None:
        outputs = replace(outputs, paths=(*outputs.paths, FIGURES))
    epilogue = _EPILOGUE.format(command=lister_command(given, outputs, seen))
    outcome = session.execute_code(epilogue, seconds=listing_seconds(outputs))
    return listing(outcome.stdout)
