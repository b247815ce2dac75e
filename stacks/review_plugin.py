"""Applies the rules of the review during synthesis, which an open finding of high severity fails.

Proofs and the access matrix take longer and are in `sandpiper review`.

The findings are in the validation report of the cloud assembly, as those of cdk-nag are. A finding is acknowledged with
the id `Sandpiper::Sandpiper-RULE`, or in the environment file as `Sandpiper-RULE`.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
import jsii

from sandpiper.review.acceptance import APP, INCOMPLETE, PLUGIN, RULE_PREFIX
from sandpiper.review.findings import Severity
from sandpiper.review.reading.assembly import is_assembly
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.review import Target, apply_rules, load_model
from sandpiper.review.rules import RULES

if TYPE_CHECKING:
    from sandpiper.review.findings import Finding

_SEVERITIES = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "info"}
"""The names of severities in validation reports."""


@jsii.implements(cdk.IPolicyValidationPlugin)
class ReviewPlugin:
    """The validation plugin of the review.

    Example:
        ```python
        cdk.Validations.of(app).add_plugins(ReviewPlugin())
        ```
    """

    @property
    def name(self) -> str:
        """The name in the validation report."""
        return PLUGIN

    @property
    def version(self) -> str | None:
        """The version in the validation report."""
        return "0.1.0"

    @property
    def rule_ids(self) -> list[str] | None:
        """The rules."""
        return [RULE_PREFIX + rule.id for rule in RULES]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Returns the findings of the templates. A template that cannot be read is a violation, too."""
        paths = [Path(path) for path in context.template_paths]
        folders = dict.fromkeys(path.parent for path in paths)
        targets = [Target(one, str(one)) for one in folders if is_assembly(one)]
        targets += [Target(one, str(one)) for one in paths if not is_assembly(one.parent)]
        try:
            found = apply_rules(load_model(targets))
        except TemplateError as error:
            violation = cdk.PolicyViolation(
                rule_name=f"{RULE_PREFIX}template", description=str(error), violating_resources=[], severity="error"
            )
            return cdk.PolicyValidationPluginReport(success=False, violations=[violation])
        today = datetime.datetime.now(datetime.UTC).date()
        open_ = [one for one in found if one.severity is Severity.HIGH and not one.is_accepted(today)]
        # The CDK matches acknowledgements with violations. All other findings are in `sandpiper review`.
        accepted = (one for one in found if one.is_accepted(today))
        acknowledged = [one for one in accepted if one.acceptance and one.acceptance.source == APP]
        return cdk.PolicyValidationPluginReport(
            success=not open_, violations=[_violation(one) for one in (*open_, *acknowledged)]
        )


def _violation(finding: Finding) -> cdk.PolicyViolation:
    location = finding.location
    # Under the name of its rule, the CDK would suppress the finding, although the acknowledgement does not count.
    name = "exceptions-complete" if INCOMPLETE in finding.evidence else finding.rule_id
    return cdk.PolicyViolation(
        rule_name=RULE_PREFIX + name,
        description=finding.message,
        fix=finding.remedy,
        severity=_SEVERITIES[finding.severity],
        violating_resources=[
            cdk.PolicyViolatingResource(
                construct_path=location.construct or None,
                resource_logical_id=finding.resource.rpartition("/")[2],
                template_path=location.file,
                locations=["/".join(map(str, location.path))],
            )
        ],
    )
