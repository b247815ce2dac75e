"""AWS services as principals of roles.

The CDK's Python classes and interfaces name some parameters differently, so a type checker does not accept a class for
the interface that it implements. `cast` is used here and where a construct returns a role or a function.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Mapping


def service_principal(name: str, *, conditions: Mapping[str, Mapping[str, str]] | None = None) -> iam.IPrincipal:
    """Returns the principal `NAME.amazonaws.com`, limited by `conditions`."""
    if conditions is None:
        return _service_principal(name)
    return cast("iam.IPrincipal", iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=conditions))


@functools.cache
def _service_principal(name: str) -> iam.IPrincipal:
    return cast("iam.IPrincipal", iam.ServicePrincipal(f"{name}.amazonaws.com"))
