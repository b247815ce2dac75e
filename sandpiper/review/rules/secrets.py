"""Rules about secrets in templates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from sandpiper.plan.resource_types import FUNCTION, WORKFLOW
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_mapping, as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper_policy.model.symbols import SYMBOL, has_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel


_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"
)
_SECRET_REFERENCE = re.compile(r"^(?:secretsmanager|ssm-secure)/")
_REFERENCE = re.compile(r"^(?:arn:|https?://|/|s3://)|^$|^(?:true|false|\d+)$", re.IGNORECASE)


def _no_secrets_in_variables(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(FUNCTION):
        for name, value in as_mapping(one.get("Environment", "Variables")).items():
            text = as_text(value)
            if reason := _secret(name, text):
                yield Occurrence(
                    one.at("Environment", "Variables", name), f"the variable {ascii(name)[1:-1][:80]} {reason}"
                )


def _secret(name: str, value: str) -> str:
    """Returns why a value is a secret; empty when it is none. The value itself is never shown."""
    if _SECRET_VALUE.search(value):
        return "has a secret in the template"
    if any(_SECRET_REFERENCE.match(one) for one in SYMBOL.findall(value)):
        return "has a secret that everyone who reads the configuration sees"
    if _SECRET_NAME.search(name) and not has_symbol(value) and not _REFERENCE.match(value) and len(value) >= 8:
        return "has the name of a secret, and a text in the template"
    return ""


def _no_secrets_in_definitions(model: ReviewModel) -> Iterator[Occurrence]:
    for one in model.of_type(WORKFLOW):
        for text in _texts(one.get("DefinitionString", default=one.get("Definition"))):
            references = any(_SECRET_REFERENCE.match(name) for name in SYMBOL.findall(text))
            if references or _SECRET_VALUE.search(text):
                yield Occurrence(
                    one.at("DefinitionString"),
                    "the definition has a secret, which appears in the history of every execution",
                )
                break


def _texts(value: object) -> Iterator[str]:
    queue: list[object] = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, str):
            yield one
        queue += as_mapping(one).values()
        if isinstance(one, list):
            queue += cast("list[object]", one)


RULES = (
    Rule(
        id="secrets-variables",
        group="secrets",
        severity=Severity.HIGH,
        title="Environment variables of functions have no secrets.",
        reason="Everyone who may read the configuration of the function, or the template, has the secret.",
        source="https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html",
        remedy="Store the secret in AWS Secrets Manager, and give the function its ARN.",
        check=_no_secrets_in_variables,
    ),
    Rule(
        id="secrets-history",
        group="secrets",
        severity=Severity.HIGH,
        title="Definitions of workflows have no secrets.",
        reason="The history of every execution would show the secret.",
        source="https://docs.aws.amazon.com/step-functions/latest/dg/data-protection.html",
        remedy="Let the task read the secret from AWS Secrets Manager.",
        check=_no_secrets_in_definitions,
    ),
)
