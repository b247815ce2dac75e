"""The templates that fail rules of the review, for comparison with other tools."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tests.review.rule_cases import FAILING
from tests.support.review_templates import EXPECT, NAG_REPORTS, secure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.review_templates import Template

REQUIRED: Mapping[str, Mapping[str, object]] = {
    "AWS::Lambda::Function": {"Code": {"ZipFile": "pass"}, "Handler": "index.handler", "Runtime": "python3.13"},
    "AWS::CloudTrail::Trail": {"S3BucketName": "trail"},
    "AWS::EC2::RouteTable": {"VpcId": {"Ref": "Vpc"}},
    "AWS::EC2::SecurityGroup": {"GroupDescription": "code"},
    "AWS::EC2::SecurityGroupEgress": {"IpProtocol": "-1"},
}
"""Properties that CloudFormation requires, and that the review does not read."""
MAX_RESOURCES = 100
SECURE = "secure"
"""The name of the template without findings, from which the others differ by one change."""


def failing_templates() -> dict[str, Template]:
    """Returns the templates by rule and number, such as `network-mode-1`, and the one without findings.

    Cases about `expect:` and about validation reports are not among them: these are other files, and their templates
    have no finding. Neither are cases about the limits of the review.
    """
    found: dict[str, Template] = {SECURE: _complete(secure())}
    for rule, changes in FAILING.items():
        for number, change in enumerate(changes, 1):
            template = secure()
            change(template)
            if not template.keys() & {EXPECT, NAG_REPORTS} and len(template["Resources"]) <= MAX_RESOURCES:
                found[f"{rule}-{number}"] = _complete(template)
    return found


def _complete(template: Template) -> Template:
    for resource in template["Resources"].values():
        for name, value in REQUIRED.get(resource["Type"], {}).items():
            resource.setdefault("Properties", {}).setdefault(name, value)
    return template


def digest(templates: Mapping[str, Template]) -> str:
    """Returns a digest of the templates, with which a page states what it is about."""
    return hashlib.sha256(json.dumps(templates, sort_keys=True).encode()).hexdigest()[:16]
