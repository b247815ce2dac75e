"""Compares an SSM parameter with its template. Stacks of tenants take ids of the network and of the key from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.status.difference import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical_template import PhysicalTemplate

PARAMETER = "AWS::SSM::Parameter"
PROPERTIES = ("Value",)


def compare(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """Yields the differences between a parameter and its template."""
    expected = template.resolve_properties(template.resources[logical_id])["Value"]
    found = account.parameter(template.physical_ids[logical_id])
    if found is None:
        yield Difference.deleted()
        return
    yield from Difference.compare_values("Value", expected, found)
