"""The tags of everything: whose it is, and what an environment file adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct


def add_tags(scope: IConstruct, tags: Mapping[str, str | None]) -> None:
    """Tags everything in a scope that takes tags, but for those without a value. An inner scope's tag wins."""
    for name, value in tags.items():
        if value is not None:
            cdk.Tags.of(scope).add(name, value)
