"""AWS services as the principals of roles.

The CDK's Python classes and its interfaces name some parameters differently, so a type checker takes no class for the
interface that it implements. Here and where a construct hands out a role or a function, `cast` says that it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Mapping


def service_principal(name: str, *, conditions: Mapping[str, Mapping[str, str]] | None = None) -> iam.IPrincipal:
    """The service `NAME.amazonaws.com`, when it acts under `conditions`."""
    return cast("iam.IPrincipal", iam.ServicePrincipal(f"{name}.amazonaws.com", conditions=conditions))
