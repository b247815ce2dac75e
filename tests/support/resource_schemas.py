"""The schemas of the CloudFormation registry, in the package of cfn-lint."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def _folder() -> Path:
    """Finds the package without importing it, because its imports take a second of each test worker."""
    spec = find_spec("cfnlint")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "data" / "schemas"


SCHEMAS = _folder()
