"""A template with what the cloud assembly knows about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandpiper.review.reading.values import as_mapping
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper.review.reading.document import Document

UNKNOWN_ACCOUNT = "000000000000"
"""Stands for the account of a template that is not bound to one. AWS assigns no such number."""
UNKNOWN_REGION = "us-east-1"
"""Stands for the region of a template that is not bound to one."""


@dataclass(frozen=True)
class TemplateSource:
    """One template.

    Attributes:
        name: The name of the stack; the name of the file without suffixes for a single template.
        document: The template.
        account: The account ID, or `UNKNOWN_ACCOUNT`.
        region: The region, or `UNKNOWN_REGION`.
        constructs: The paths of the CDK constructs by logical ID.
        acknowledged: The rules that the app acknowledges, with their reasons, by logical ID.
        parent: For a nested template, the address of its resource in the parent; otherwise empty.
        service_role: The role that CloudFormation uses to deploy the stack; empty when it is not known.
        physical_ids: The physical IDs of the resources by logical ID; empty for a template that is not deployed.
    """

    name: str
    document: Document
    account: str = UNKNOWN_ACCOUNT
    region: str = UNKNOWN_REGION
    constructs: Mapping[str, str] = field(default_factory=dict[str, str])
    acknowledged: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, "Mapping[str, str]"])
    parent: str = ""
    service_role: str = ""
    physical_ids: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources by logical ID, without entries that are not resources."""
        entries = self.section("Resources")
        return {key: entry for key, entry in entries.items() if isinstance(as_mapping(entry).get("Type"), str)}

    def section(self, name: str) -> dict[str, Any]:
        """Returns a section such as `Parameters`; empty when it is missing or is not a mapping."""
        return as_mapping(self.document.content.get(name))

    def address(self, logical_id: str) -> str:
        """Returns the address of a resource of the template."""
        return f"{self.name}/{logical_id}"

    def location(self, logical_id: str, *path: str | int) -> Location:
        """Returns the location of a resource, or of a value below it, with its line."""
        return Location(
            file=self.document.file,
            line=self.document.line_of(("Resources", logical_id, *path)),
            address=self.address(logical_id),
            path=path,
            construct=self.constructs.get(logical_id, ""),
        )
