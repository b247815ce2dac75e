"""Compares what `sandpiper plan` shows with the approval of the environment, as `sandpiper review --baseline` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.file import read_baseline
from sandpiper.review.console import change_lines
from sandpiper.review.formats.as_json import changes_json
from sandpiper.review.review import Target, load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandpiper.plan.lines import Line


def changes_since_approval(
    assembly: Path, baseline: Path, progress: Callable[[str], None]
) -> tuple[Sequence[Line], dict[str, Any]]:
    """Returns what an assembly allows and no reviewer has approved, and what is revoked, as lines and as JSON values.

    Args:
        assembly: The folder of the cloud assembly.
        baseline: The file of the approval.
        progress: Called with a line about each step.

    Raises:
        TemplateError: The file of the approval is not one, or a template exceeds a limit.
    """
    approved = read_baseline(baseline)  # reports a broken file before the templates are read
    changes = compare(load_model([Target(assembly, "")], progress), approved)
    return tuple(change_lines(changes)), {"approval": changes_json(changes)}
