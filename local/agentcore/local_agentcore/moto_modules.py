"""The modules of moto that convert requests and responses, imported without the rest of moto.

The packages `moto` and `moto.core` import the mocks, boto3, requests and responses, which take longer than all other
imports of the emulator together. These modules need none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

PACKAGES = ("moto", "moto.core")
MODULES = ("eventstream", "parse", "serialize", "utils")


def _without_packages() -> dict[str, Any]:
    """Imports MODULES while both packages are empty. Leaves none in `sys.modules`, so that all of moto is importable.

    Raises:
        ImportError: moto is not installed.
    """
    before = set(sys.modules)
    path = None
    for name in PACKAGES:
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            raise ImportError(f"{name} is not installed")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        path = spec.submodule_search_locations
    try:
        return {name: importlib.import_module(f"moto.core.{name}") for name in MODULES}
    finally:
        for name in {name for name in sys.modules if name.partition(".")[0] == "moto"} - before:
            del sys.modules[name]


if TYPE_CHECKING or "moto" in sys.modules:
    from moto.core.eventstream import EventStreamEncoder  # pyright: ignore[reportMissingTypeStubs]
    from moto.core.parse import RestJSONParser  # pyright: ignore[reportMissingTypeStubs]
    from moto.core.serialize import get_serializer_class  # pyright: ignore[reportMissingTypeStubs]
    from moto.core.utils import get_service_model  # pyright: ignore[reportMissingTypeStubs]
else:
    _modules = _without_packages()
    EventStreamEncoder = _modules["eventstream"].EventStreamEncoder
    RestJSONParser = _modules["parse"].RestJSONParser
    get_serializer_class = _modules["serialize"].get_serializer_class
    get_service_model = _modules["utils"].get_service_model

__all__ = ["EventStreamEncoder", "RestJSONParser", "get_serializer_class", "get_service_model"]
