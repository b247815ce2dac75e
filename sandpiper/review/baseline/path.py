"""The file of an approval. `file` reads and writes it, and takes longer to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".review.json"


def baseline_of(environment_file: Path) -> Path:
    """Returns the path of the approval of an environment, which may not exist.

    Example:
        >>> from pathlib import Path
        >>> str(baseline_of(Path("environments/prod.yaml")))
        'environments/prod.review.json'
    """
    return environment_file.with_name(f"{environment_file.stem}{SUFFIX}")
