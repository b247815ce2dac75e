"""The rules of other tools about code interpreters, as a table.

The rules read the template, as the other tools read the account or its log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.rules.queries import execution_role, mode_of
from sandpiper.review.verdicts.prowler import PROWLER_RULES
from sandpiper.review.verdicts.verdict import ExternalRule, Outcome

if TYPE_CHECKING:
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

_MODES = ("network-mode", "network-public", "network-sandbox")


def _requires_vpc(_model: ReviewModel, interpreter: Resource) -> tuple[Outcome, str]:
    mode = mode_of(interpreter)
    if mode == "VPC":
        return Outcome.PASS, "The network mode is VPC."
    return Outcome.FAIL, f"The network mode is {mode[:80] or 'missing'}; the rule requires VPC."


def _role_and_internet(model: ReviewModel, interpreter: Resource) -> tuple[Outcome, str]:
    if not interpreter.get("ExecutionRoleArn") and execution_role(model, interpreter) is None:
        return Outcome.NOT_APPLICABLE, "The interpreter has no execution role."
    if mode_of(interpreter) == "PUBLIC":
        return Outcome.FAIL, "The interpreter has an execution role and internet access."
    return Outcome.PASS, "The interpreter has an execution role, but no internet access."


EXTERNAL_RULES = (
    ExternalRule(
        tool="AWS Security Hub",
        id="BedrockAgentCore.7",
        source="https://docs.aws.amazon.com/securityhub/latest/userguide/bedrockagentcore-controls.html",
        own_rules=_MODES,
        judge=_requires_vpc,
    ),
    ExternalRule(
        tool="AWS Config",
        id="bedrockagentcore-codeinterpreter-networkmode-check",
        source="https://docs.aws.amazon.com/config/latest/developerguide/"
        "bedrockagentcore-codeinterpreter-networkmode-check.html",
        own_rules=_MODES,
        judge=_requires_vpc,
    ),
    ExternalRule(
        tool="Elastic",
        id="AWS Bedrock AgentCore with Public Network Browser or Code Interpreter Sandbox",
        source="https://elastic.github.io/detection-rules-explorer/rules/86be0b1b-3984-4b26-bde6-46d33fe7bab1",
        own_rules=("network-public",),
        judge=_role_and_internet,
    ),
    *PROWLER_RULES,
)
"""The rules, in the order of the report."""
