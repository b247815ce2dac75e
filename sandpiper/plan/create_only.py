"""Create-only properties: a change of one replaces the resource.

`create_only.json` lists them by type, from CloudFormation's resource schemas, for the services that Sandpiper deploys.
`tools/create_only.py` writes the file from the copies of the schemas in cfn-lint.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal

Effect = Literal["in place", "replaced", "perhaps replaced"]


def update_effect(resource_type: str, path: str) -> Effect:
    """Returns the effect of changing a property.

    Args:
        resource_type: the CloudFormation type.
        path: the path of the property, such as `NetworkConfiguration.NetworkMode`.

    Returns:
        `perhaps replaced` for conditionally create-only properties, and for types that the table does not list.
    """
    properties = _table().get(resource_type)
    if properties is None:
        return "perhaps replaced"
    if _overlaps(path, properties["always"]):
        return "replaced"
    return "perhaps replaced" if _overlaps(path, properties["perhaps"]) else "in place"


def _overlaps(path: str, create_only: list[str]) -> bool:
    """Returns whether a path equals, contains or is contained in one of the paths."""
    return any(path == one or path.startswith(f"{one}.") or one.startswith(f"{path}.") for one in create_only)


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return json.loads(files("sandpiper.plan").joinpath("create_only.json").read_text())
