"""The rule packs of cdk-nag. AwsSolutions checks every synthesis. Tests check the others, because they take longer."""

from __future__ import annotations

import cdk_nag

from sandpiper_constructs.nag_suppressions import HIPAA, NIST, PCI, SERVERLESS

AWS_SOLUTIONS = "AwsSolutions"
RULE_PACKS: dict[str, type[cdk_nag.NagPack]] = {
    AWS_SOLUTIONS: cdk_nag.AwsSolutionsChecks,
    NIST: cdk_nag.NIST80053R5Checks,
    HIPAA: cdk_nag.HIPAASecurityChecks,
    PCI: cdk_nag.PCIDSS321Checks,
    SERVERLESS: cdk_nag.ServerlessChecks,
}
