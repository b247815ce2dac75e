"""Reads `AWS::Lambda::Permission` as a statement of the function's policy.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-permission.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandpiper.review.reading.values import as_mapping, as_text

if TYPE_CHECKING:
    from sandpiper.review.resources import Resource

_CONDITIONS = {
    "SourceAccount": ("StringEquals", "aws:SourceAccount"),
    "SourceArn": ("ArnLike", "aws:SourceArn"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
}
_ACCOUNT_OR_ARN = re.compile(r"\d{12}|arn:.*")


def function_arn(permission: Resource, partition: str) -> str:
    """Returns the ARN of the function of a permission."""
    name = as_text(permission.get("FunctionName"))
    if name.startswith("arn:"):
        return name
    return f"arn:{partition}:lambda:{permission.region}:{permission.account}:function:{name}"


def permission_document(permission: Resource, arn: str) -> dict[str, Any]:
    """Returns the policy document that Lambda creates from a permission."""
    principal = as_text(permission.get("Principal"))
    kind = "AWS" if principal == "*" or _ACCOUNT_OR_ARN.fullmatch(principal) else "Service"
    conditions: dict[str, dict[str, str]] = {}
    for name, (operator, key) in _CONDITIONS.items():
        if value := as_text(permission.get(name)):
            conditions.setdefault(operator, {})[key] = value
    statement = {
        "Effect": "Allow",
        "Principal": {kind: principal},
        "Action": as_text(permission.get("Action")),
        "Resource": arn,
        "Condition": as_mapping(conditions),
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
