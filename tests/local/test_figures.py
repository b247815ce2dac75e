"""Figures that a program draws and does not save: which are kept, how often and in which state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.programs import Code
from code_runner.session import open_session
from sandpiper_contract.files import Outputs
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from code_runner.session import CodeSession
    from local_aws.running_instance import RunningInstance
    from sandpiper_contract.results import RunResult

pytestmark = pytest.mark.skipif(ON_AWS, reason="it starts sessions of the managed interpreter")

FIGURES = Outputs(figures=True)
DRAW = """
import matplotlib.pyplot as plt
def draw(inches, **more):
    plt.figure(figsize=(inches, 1), dpi=100, **more).gca()
"""
AGG = "import matplotlib; matplotlib.use('Agg')\n"
INLINE = "import matplotlib; matplotlib.use('module://matplotlib_inline.backend_inline')\n"
# What a notebook's kernel does, which is not known of the service's: show and close what is open when a cell ends.
CLOSED_AT_THE_END = (
    "from matplotlib_inline.backend_inline import flush_figures\n"
    "plt.ion()\n"
    "get_ipython().events.callbacks['post_execute'].append(flush_figures)\n"
)


CLEAN = "import pathlib\nplt.close('all')\nfor file in pathlib.Path().glob('figure-*'): file.unlink()\n"


@pytest.fixture
def session(aws: RunningInstance) -> Generator[CodeSession]:
    """A separate session, because the figures of a program remain open."""
    assert aws.agentcore_url
    with open_session() as session:
        yield session


@pytest.fixture(scope="module")
def used(aws: RunningInstance) -> Generator[CodeSession]:
    """A session for many programs, each of which starts after CLEAN."""
    assert aws.agentcore_url
    with open_session() as session:
        yield session


def inches(result: RunResult) -> dict[str, int]:
    """How wide each figure is, by the PNG's own header: by that they are told apart."""
    assert result.exit_code == 0, result.stderr
    assert result.skipped == ()
    return {file.path: round(int.from_bytes((file.data or b"")[16:20]) / 100) for file in result.files}


@pytest.mark.parametrize("backend", [INLINE, AGG], ids=["inline", "Agg"])
@pytest.mark.parametrize(
    ("program", "kept"),
    [
        ("draw(2)", {"figure-1.png": 2}),
        ("draw(2); plt.show()", {"figure-1.png": 2}),
        ("draw(2); plt.show(); plt.show()", {"figure-1.png": 2}),
        ("draw(2); draw(3); plt.show()", {"figure-1.png": 2, "figure-2.png": 3}),
        ("draw(2); plt.show(); draw(3); plt.show()", {"figure-1.png": 2, "figure-2.png": 3}),
        ("draw(2); plt.show(); draw(3)", {"figure-1.png": 2, "figure-2.png": 3}),
        ("draw(2); plt.show(); plt.close('all')", {"figure-1.png": 2}),
        ("draw(2); plt.close('all')", {}),
        ("draw(2); figure = plt.gcf(); plt.show(); figure.set_figwidth(4)", {"figure-1.png": 4}),
        ("draw(2, num=7); draw(3, num=5)", {"figure-5.png": 3, "figure-7.png": 2}),
    ],
)
def test_each_figure_is_kept_once_whether_shown_or_not(
    used: CodeSession, backend: str, program: str, kept: dict[str, int]
) -> None:
    used.run(Code(backend + DRAW + CLEAN))
    assert inches(used.run(Code(program), outputs=FIGURES)) == kept


def test_what_the_end_of_a_cell_shows_and_closes_is_kept(session: CodeSession) -> None:
    session.run(Code(INLINE + DRAW + CLOSED_AT_THE_END))
    program = "draw(2); plt.show(); draw(3)"
    assert inches(session.run(Code(program), outputs=FIGURES)) == {"figure-1.png": 2, "figure-2.png": 3}
    assert session.run(Code("print(plt.get_fignums())")).stdout == "[]"


def test_a_shown_figure_is_kept_for_the_program_that_showed_it_alone(session: CodeSession) -> None:
    assert inches(session.run(Code(DRAW + "draw(2); plt.show()"), outputs=FIGURES)) == {"figure-1.png": 2}
    session.run(Code("draw(3); plt.show()"))
    assert inches(session.run(Code("draw(4); plt.show()"), outputs=FIGURES)) == {"figure-1-2.png": 4}


def test_an_open_figure_stays_for_the_next_program(session: CodeSession) -> None:
    assert inches(session.run(Code(DRAW + "draw(2)"), outputs=FIGURES)) == {"figure-1.png": 2}
    assert inches(session.run(Code("plt.gcf().set_figwidth(3)"), outputs=FIGURES)) == {"figure-1-2.png": 3}


def test_clearing_the_context_for_a_program_keeps_what_it_shows(session: CodeSession) -> None:
    session.run(Code("x = 1"))
    program = DRAW + "draw(2); plt.show(); print('x' in globals())"
    result = session.run(Code(program, clear_context=True), outputs=FIGURES)
    assert (result.stdout, inches(result)) == ("False", {"figure-1.png": 2})


def test_a_program_that_hides_matplotlib_keeps_its_own_result(session: CodeSession) -> None:
    session.run(Code("import sys; sys.modules['matplotlib'] = None"))
    result = session.run(Code("print('ran')"), outputs=FIGURES)
    assert (result.stdout, result.files, result.skipped) == ("ran", (), ())
