"""Replaces dynamic references of templates by the values of the SSM parameters that they name.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sandpiper.plan.deployed import Account

_SSM_REFERENCE = re.compile(r"\{\{resolve:ssm:([^:{}]+)\}\}")


def resolve_references(account: Account, value: Any) -> Any:
    """Returns a value with all its references replaced. A reference to a missing parameter remains.

    Args:
        account: The account that contains the parameters.
        value: A string, or lists and mappings of strings at any depth.
    """
    if isinstance(value, list):
        return [resolve_references(account, item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: resolve_references(account, item) for key, item in cast("dict[str, Any]", value).items()}
    reference = _SSM_REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return value if reference is None else account.parameter(reference[1]) or value
