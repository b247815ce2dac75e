"""Reads policy documents as JSON from the standard input, and prints Prowler's combinations that each one allows.

Runs in the environment of this folder. Prowler's functions are its own; only the module that connects to an account is
replaced, because these functions do not need it.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType

account = ModuleType("prowler.providers.aws.aws_provider")
account.read_aws_regions_file = dict  # type: ignore[attr-defined]
sys.modules[account.__name__] = account

from prowler.providers.aws.services.iam.lib.policy import InvalidActionHandling, get_effective_actions  # noqa: E402
from prowler.providers.aws.services.iam.lib.privilege_escalation import (  # noqa: E402
    expand_actions,
    privilege_escalation_policies_combination,
)


def expanded(pattern: str) -> set[str]:
    """Returns the actions of a pattern. One of a service that no longer exists stays, and matches none.

    `check_privilege_escalation` of Prowler ends with an error at such an action, and then finds nothing.
    """
    return set(expand_actions(pattern, InvalidActionHandling.REMOVE)) or {pattern}


COMBINATIONS = {
    name: {action for pattern in patterns for action in expanded(pattern)}
    for name, patterns in privilege_escalation_policies_combination.items()
}

if sys.argv[1:] == ["--table"]:
    table = {name: sorted(patterns) for name, patterns in privilege_escalation_policies_combination.items()}
    print(json.dumps(table))
else:
    allowed = [get_effective_actions(document) for document in json.load(sys.stdin)]
    print(json.dumps([[name for name, needed in COMBINATIONS.items() if needed and needed <= one] for one in allowed]))
