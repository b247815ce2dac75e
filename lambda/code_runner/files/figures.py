"""Saves matplotlib figures that are open or were shown, so that a program need not save them.

Figures exist only in the program's interpreter. So a hook saves them there after the program, to a folder with a random
name outside the working directory, and the command that lists the files moves them to the working directory.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from code_runner.sandbox_scripts.runner import script_text

if TYPE_CHECKING:
    from code_runner.agentcore.client import CodeInterpreterClient

SAVE_FIGURES = "save_figures"
"""The script that saves figures inside the program's interpreter."""
_IN_OWN_NAMESPACE = """
import builtins as _sandpiper
_sandpiper.exec(
    _sandpiper.compile({text!r}, "sandpiper", "exec"),
    {{
        "__builtins__": _sandpiper.dict(_sandpiper.vars(_sandpiper)),
        "__name__": "sandpiper",
        "FOLDER": {folder!r},
        "NOW": {now!r},
    }},
)
del _sandpiper
"""


def save_figures_of_next_program(client: CodeInterpreterClient, *, clear_context: bool) -> str:
    """Makes the interpreter save the figures of the next program. Raises RunError.

    Args:
        client: The client of the session.
        clear_context: Whether to delete the variables of earlier programs. The program itself must then be sent without
            this option, which would also delete the hook.

    Returns:
        The folder of the figures, for the listing.
    """
    return _execute(client, now=False, clear_context=clear_context)


def save_open_figures(client: CodeInterpreterClient) -> str:
    """Saves the figures that are open. Returns their folder, for the listing. Raises RunError."""
    return _execute(client, now=True, clear_context=False)


def _execute(client: CodeInterpreterClient, *, now: bool, clear_context: bool) -> str:
    folder = f"/tmp/.sandpiper-{secrets.token_hex(16)}"  # noqa: S108 - in the sandbox, with a random name
    code = _IN_OWN_NAMESPACE.format(text=script_text(SAVE_FIGURES), folder=folder, now=now)
    client.execute_idempotent_code(code, clear_context=clear_context)
    return folder
