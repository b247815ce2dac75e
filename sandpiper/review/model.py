"""What a review knows: the templates, their resources and the policy model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.review.access.expectations import Expectation
    from sandpiper.review.labels import Labels
    from sandpiper.review.reading.document import Document
    from sandpiper.review.resources import Resource
    from sandpiper.review.verdicts.nag_report import NagReport
    from sandpiper_policy.model.location import Location
    from sandpiper_policy.model.model import PolicyModel


@dataclass(frozen=True)
class ReviewedTemplate:
    """One template of the review.

    Attributes:
        name: The name of the stack, or the name of the file for a single template.
        file: The path of the file.
        account: The account ID; `UNKNOWN_ACCOUNT` for a template that is not bound to an account.
        region: The region.
        sha256: The digest of the file in hexadecimal.
    """

    name: str
    file: str
    account: str
    region: str
    sha256: str


@dataclass(frozen=True, eq=False)  # compared by identity, so that results about it can be cached
class ReviewModel:
    """Templates, resources and policies.

    Attributes:
        name: The name of the environment, of the assembly or of the template.
        templates: The templates in the order of the assembly; nested templates follow their parents.
        resources: Every resource, each once for each combination of conditions.
        policies: The policy model. Addresses of its identities and nodes are those of `resources`.
        documents: The templates with the lines of their values, by name.
        macros: The locations and names of macros that change a template when it is deployed.
        nag_reports: The validation reports of the assemblies, which `sandpiper review` reads and synthesis does not.
        expectations: The access that environment files require or exclude.
        labels: What reports show instead of the names that CloudFormation generates.
    """

    name: str
    templates: tuple[ReviewedTemplate, ...]
    resources: tuple[Resource, ...]
    policies: PolicyModel
    labels: Labels
    documents: Mapping[str, Document]
    macros: tuple[tuple[Location, str], ...] = ()
    expectations: tuple[Expectation, ...] = ()
    nag_reports: tuple[NagReport, ...] = ()

    @cached_property
    def by_address(self) -> Mapping[str, Resource]:
        """The resources by address; of a resource with conditions, the first combination."""
        return {one.address: one for one in reversed(self.resources)}

    @cached_property
    def by_arn(self) -> Mapping[str, Resource]:
        """The resources by ARN."""
        return {one.arn: one for one in reversed(self.resources) if one.arn}

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        groups: dict[str, list[Resource]] = defaultdict(list)
        for one in self.resources:
            groups[one.type].append(one)
        return groups

    def of_type(self, *types: str) -> Iterator[Resource]:
        """Yields the resources of the types, each once for each combination of conditions."""
        for type_ in types:
            yield from self._by_type.get(type_, ())

    def located(self, location: Location) -> Location:
        """Returns a location with its line."""
        name, _, logical_id = location.address.rpartition("/")
        document = self.documents.get(name)
        if location.line is not None or document is None:
            return location
        return replace(location, line=document.line_of(("Resources", logical_id, *location.path)))

    def readable(self, text: str) -> str:
        """Returns a text with labels in place of invented names."""
        return self.labels.readable(text)
