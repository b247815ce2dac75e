"""Figures that a program draws but does not save: which are returned, how often and in which state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from code_runner.agentcore.programs import Code
from code_runner.session import open_session
from sandpiper_contract.files import Outputs, SkipReason
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
def draw(inches, **options):
    plt.figure(figsize=(inches, 1), dpi=100, **options).gca()
"""
AGG = "import matplotlib; matplotlib.use('Agg')\n"
INLINE = "import matplotlib; matplotlib.use('module://matplotlib_inline.backend_inline')\n"
# Shows and closes open figures at the end of a cell, like the kernel of a notebook. The service may do the same.
CLOSE_AT_CELL_END = (
    "from matplotlib_inline.backend_inline import flush_figures\n"
    "plt.ion()\n"
    "get_ipython().events.callbacks['post_execute'].append(flush_figures)\n"
)


CLEAN = "import pathlib\nplt.close('all')\nfor file in pathlib.Path().glob('figure-*'): file.unlink()\n"


@pytest.fixture
def session(aws: RunningInstance) -> Generator[CodeSession]:
    """Starts a separate session, because the figures of a program remain open."""
    assert aws.agentcore_url
    with open_session() as session:
        yield session


@pytest.fixture(scope="module")
def shared_session(aws: RunningInstance) -> Generator[CodeSession]:
    """Starts a session for many programs, each of which starts after CLEAN."""
    assert aws.agentcore_url
    with open_session() as session:
        yield session


def inches(result: RunResult) -> dict[str, int]:
    """Returns the width of each figure in inches from its PNG header. The width identifies the figure."""
    assert result.exit_code == 0, result.stderr
    assert result.skipped == ()
    return {file.path: round(int.from_bytes((file.data or b"")[16:20]) / 100) for file in result.files}


@pytest.mark.parametrize("backend", [INLINE, AGG], ids=["inline", "Agg"])
@pytest.mark.parametrize(
    ("program", "expected"),
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
def test_each_open_or_shown_figure_is_returned_once(
    shared_session: CodeSession, backend: str, program: str, expected: dict[str, int]
) -> None:
    shared_session.run(Code(backend + DRAW + CLEAN))
    assert inches(shared_session.run(Code(program), outputs=FIGURES)) == expected


def test_figures_that_are_closed_at_the_end_of_a_cell_are_returned(session: CodeSession) -> None:
    session.run(Code(INLINE + DRAW + CLOSE_AT_CELL_END))
    program = "draw(2); plt.show(); draw(3)"
    assert inches(session.run(Code(program), outputs=FIGURES)) == {"figure-1.png": 2, "figure-2.png": 3}
    assert session.run(Code("print(plt.get_fignums())")).stdout == "[]"


def test_shown_figure_is_returned_only_for_the_program_that_showed_it(session: CodeSession) -> None:
    assert inches(session.run(Code(DRAW + "draw(2); plt.show()"), outputs=FIGURES)) == {"figure-1.png": 2}
    session.run(Code("draw(3); plt.show()"))
    assert inches(session.run(Code("draw(4); plt.show()"), outputs=FIGURES)) == {"figure-1-2.png": 4}


def test_open_figure_is_returned_again_for_the_next_program(session: CodeSession) -> None:
    assert inches(session.run(Code(DRAW + "draw(2)"), outputs=FIGURES)) == {"figure-1.png": 2}
    assert inches(session.run(Code("plt.gcf().set_figwidth(3)"), outputs=FIGURES)) == {"figure-1-2.png": 3}


def test_program_with_a_cleared_context_returns_its_figures(session: CodeSession) -> None:
    session.run(Code("x = 1"))
    program = DRAW + "draw(2); plt.show(); print('x' in globals())"
    result = session.run(Code(program, clear_context=True), outputs=FIGURES)
    assert (result.stdout, inches(result)) == ("False", {"figure-1.png": 2})


def test_program_without_matplotlib_returns_its_result(session: CodeSession) -> None:
    session.run(Code("import sys; sys.modules['matplotlib'] = None"))
    result = session.run(Code("print('ran')"), outputs=FIGURES)
    assert (result.stdout, result.files, result.skipped) == ("ran", (), ())


OPEN_FIGURES = "\n".join(f"plt.figure({number}, figsize=({number % 9 + 1}, 1), dpi=100)" for number in range(1, 31))
HOSTILE = """
import builtins, io, os, sys
os.environ.clear(); os.umask(0o777); os.chdir('/tmp')
sys.stdout = sys.stderr = io.StringIO()
builtins.print = lambda *_: 1 / 0
exec = compile = dict = vars = id = len = sorted = set = print = open = str = get_ipython = None
"""


def test_figures_are_in_numeric_order(session: CodeSession) -> None:
    result = session.run(Code(f"import matplotlib.pyplot as plt\n{OPEN_FIGURES}"), outputs=FIGURES)
    assert [file.path for file in result.files] == [f"figure-{number}.png" for number in range(1, 11)]
    assert [file.path for file in result.skipped] == [f"figure-{number}.png" for number in range(11, 31)]
    assert {file.reason for file in result.skipped} == {SkipReason.TOO_MANY_FILES}


def test_a_program_that_replaces_names_functions_and_directories_returns_its_files(session: CodeSession) -> None:
    code = (
        "import matplotlib.pyplot as plt\nopen('result.csv', 'w').write('a,b')\nfor id in range(3): plt.bar(id, id)\n"
    )
    assert [file.path for file in session.run(Code(code), outputs=FIGURES).files] == ["figure-1.png", "result.csv"]
    session.run(Code("plt.close('all'); import os; os.remove('figure-1.png')"))
    result = session.run(Code(f"{DRAW}draw(2)\nopen('new.csv', 'w').write('c')\n{HOSTILE}"), outputs=FIGURES)
    assert ([file.path for file in result.files], result.skipped) == (["figure-1.png", "new.csv"], ()), result.stderr
    later = session.run(Code("x = 1"), outputs=FIGURES)
    assert ([file.path for file in later.files], later.exit_code) == (["figure-1-2.png"], 0), later.stderr


def test_figures_of_a_kernel_that_ended_are_reported(session: CodeSession) -> None:
    code = f"{DRAW}draw(2)\nopen('kept.txt', 'w').write('1')\nimport os; os._exit(3)"
    result = session.run(Code(code), outputs=FIGURES)
    assert [file.path for file in result.files] == ["kept.txt"]
    assert [(file.path, file.reason) for file in result.skipped] == [("figures", SkipReason.NO_FIGURES)]
    assert inches(session.run(Code(f"{DRAW}draw(3)"), outputs=FIGURES)) == {"figure-1.png": 3}


def test_a_figure_that_cannot_be_drawn_is_reported_and_the_others_are_returned(session: CodeSession) -> None:
    result = session.run(Code(f"{DRAW}draw(2)\nplt.title('$')\ndraw(3)\nplt.title(r'$\\none$')"), outputs=FIGURES)
    assert [file.path for file in result.files] == ["figure-1.png"]
    assert [(file.path, file.reason) for file in result.skipped] == [("figure-2.png", SkipReason.NO_FIGURES)]


def test_open_figures_can_be_collected_without_a_program(session: CodeSession) -> None:
    session.run(Code(f"{DRAW}draw(2)"))
    collected = session.collect_files(FIGURES)
    assert ([file.path for file in collected.files], collected.skipped) == (["figure-1.png"], [])


def test_figures_of_a_program_that_times_out_are_returned(session: CodeSession) -> None:
    code = f"{DRAW}draw(2)\nplt.show()\ndraw(3)\nopen('first.csv', 'w').write('1')\nwhile True: pass"
    result = session.run(Code(code), outputs=FIGURES, timeout_seconds=3)
    assert result.timed_out
    assert [file.path for file in result.files] == ["figure-1.png", "figure-2.png", "first.csv"]
    assert result.skipped == ()


CHANGED_FOLDERS = {
    "nothing": ("pass", True),
    "working directory without permission": ("os.chmod('.', 0o555)", False),
    "pipe as the record": ("os.mkfifo(f'{folder}/moved')", True),
    "pipe as the new record": ("os.mkfifo(f'{folder}/moved.new')", True),
    "folder as the record": ("os.mkdir(f'{folder}/moved')", False),
    "record of another type": ("open(f'{folder}/moved', 'w').write('[[1], {}, 2]')", True),
    "record without JSON": ("open(f'{folder}/moved', 'w').write('[' * 100_000)", True),
    "files with other names": ("[open(f'{folder}/{name}.png', 'w').close() for name in ('x', '-1', '1' * 100)]", True),
    "pipe as a figure": ("os.unlink(f'{folder}/1.png'); os.mkfifo(f'{folder}/1.png')", False),
    "folder as a figure": ("os.unlink(f'{folder}/1.png'); os.mkdir(f'{folder}/1.png')", False),
    "link as a figure": ("os.unlink(f'{folder}/1.png'); os.symlink('/dev/zero', f'{folder}/1.png')", False),
}
"""What a program does with the folder of its saved figures, and whether the figure is returned."""


@pytest.mark.parametrize(("change", "returned"), CHANGED_FOLDERS.values(), ids=CHANGED_FOLDERS)
def test_a_figure_that_cannot_be_moved_does_not_prevent_the_listing(
    shared_session: CodeSession, change: str, returned: bool
) -> None:
    """The program's own callback runs after the hook that saves the figures."""
    code = (
        f"import os\nos.chmod('.', 0o755)\n{DRAW}{CLEAN}draw(2)\nopen('kept.csv', 'w').write({change!r})\n"
        "folder = get_ipython()._sandpiper_figures.save.__globals__['FOLDER']\n"
        "def change():\n"
        "    get_ipython().events.unregister('post_execute', change)\n"
        f"    {change}\n"
        "get_ipython().events.register('post_execute', change)"
    )
    result = shared_session.run(Code(code), outputs=FIGURES)
    assert (result.exit_code, result.stderr) == (0, "")
    files, skipped = [file.path for file in result.files], [(file.path, file.reason) for file in result.skipped]
    assert files == [*(["figure-1.png"] if returned else []), "kept.csv"]
    assert skipped == ([] if returned else [("figure-1.png", SkipReason.NO_FIGURES)])
