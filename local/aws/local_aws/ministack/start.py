"""Starts the MiniStack process: `start PACKAGE... -- PORT WORK_DIRECTORY LAMBDA_PYTHON`.

Runs in MiniStack's Python environment. Imports the packages from their folders, so that nothing else of their
environment is importable. Checks the MiniStack version before any patch is imported.
"""

import importlib
import importlib.util
import runpy
import sys
from pathlib import Path

end = sys.argv.index("--")
packages, sys.argv[1:] = [Path(package) for package in sys.argv[1:end]], sys.argv[end + 1 :]
for package in packages:
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} is not a package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.name] = module
    spec.loader.exec_module(module)
importlib.import_module("local_aws.ministack.version_check").require_tested_version()
runpy.run_module("local_aws.ministack.server", run_name="__main__")
