"""Makes the package `local_aws`, and nothing else of its environment, importable in MiniStack's."""

import importlib.util
import runpy
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location(
    "local_aws", PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
)
if spec is None or spec.loader is None:
    raise ImportError(f"{PACKAGE} is not a package")
module = importlib.util.module_from_spec(spec)
sys.modules["local_aws"] = module
spec.loader.exec_module(module)
runpy.run_module("local_aws.ministack.server", run_name="__main__")
