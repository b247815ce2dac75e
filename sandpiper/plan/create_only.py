"""Which properties a resource can be given at creation only, so that a change of one replaces it.

`create_only.json` is what CloudFormation's own schemas say, of the services that are deployed here or could soon be; it
is written by `tools/create_only.py` from the copies of the schemas that cfn-lint brings.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal, cast

Effect = Literal["in place", "replaced", "perhaps replaced"]


def effect(kind: str, path: str) -> Effect:
    """What a change of a property does: `path` is `NetworkConfiguration.NetworkMode`, `kind` the resource's type.

    Of a type that the table does not have it says "perhaps replaced".
    """
    known = _table().get(kind)
    if known is None:
        return "perhaps replaced"
    for word, paths in (("replaced", known["always"]), ("perhaps replaced", known["perhaps"])):
        if any(_within(path, one) or _within(one, path) for one in paths):
            return cast("Effect", word)
    return "in place"


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return json.loads(files("sandpiper.plan").joinpath("create_only.json").read_text())
