"""Tags that identify the environment, tenant and owner of every resource, and tags of the environment file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import IConstruct


def add_tags(scope: IConstruct, tags: Mapping[str, str | None]) -> None:
    """Tags all taggable resources in a scope. Tags without a value are ignored, and inner scopes take precedence."""
    for name, value in tags.items():
        if value is not None:
            cdk.Tags.of(scope).add(name, value)
