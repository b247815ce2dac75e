"""Checks the rules between options of an environment file: a table of functions that each yield issues.

The constraints of a single option are in its type. `find_warnings` returns what is valid but needs attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.arn_checks import ARN_CHECKS
from sandpiper.environment.audit import AUDIT_CHECKS
from sandpiper.environment.batch_limits import BATCH_CHECKS
from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.expected_access import EXPECTED_ACCESS_CHECKS
from sandpiper.environment.folder_checks import FOLDER_CHECKS
from sandpiper.environment.interpreter import ALLOWED_EXPIRY, PublicInterpreter, VpcInterpreter
from sandpiper.environment.limit_checks import LIMIT_CHECKS
from sandpiper.environment.network_checks import NETWORK_CHECKS
from sandpiper.environment.object_access import OBJECT_ACCESS_CHECKS
from sandpiper.environment.policy_checks import POLICY_CHECKS
from sandpiper.environment.subscription_checks import SUBSCRIPTION_CHECKS
from sandpiper.environment.traversal import iter_interpreters, iter_workflows
from sandpiper.names import TENANTS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

    Check = Callable[[Environment], Iterable[ConfigIssue]]


def check(environment: Environment) -> list[ConfigIssue]:
    """Returns the issues of all checks."""
    return [issue for each in CHECKS for issue in each(environment)]


def _check_tenants_or_interpreters(environment: Environment) -> Iterator[ConfigIssue]:
    both = environment.interpreters is not None and environment.tenants is not None
    if both or (environment.interpreters is None and environment.tenants is None):
        yield ConfigIssue(
            key_path=("tenants",),
            problem="is set together with interpreters" if both else "is missing, and interpreters is missing too",
            allowed="either interpreters, for one unnamed tenant, or tenants",
            remedy="move the interpreters into a tenant" if both else "add one of them",
            depends_on=(("interpreters",),),
        )


def _check_workflows(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.workflows is not None and environment.tenants is not None:
        yield ConfigIssue(
            key_path=("workflows",),
            problem="is set together with tenants",
            allowed="workflows here only together with interpreters",
            remedy="move it into the tenants: tenants.NAME.workflows",
            depends_on=(("tenants",),),
        )


def _check_expiry_dates(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.is_embedded:
        return
    expiry_dates: dict[KeyPath, object] = {
        key_path: interpreter.expires
        for key_path, interpreter in iter_interpreters(environment)
        if isinstance(interpreter, PublicInterpreter)
    }
    for index, finding in enumerate(environment.accepted_findings):
        expiry_dates["accepted_findings", index] = finding.expires
    for key_path, expires in expiry_dates.items():
        if expires is None:
            yield ConfigIssue(
                key_path=(*key_path, "expires"),
                problem="is missing",
                allowed=ALLOWED_EXPIRY,
                remedy="add the last day on which it is needed",
                depends_on=(("account",),),
            )


def _check_session_limits(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        session = interpreter.session
        if session.default_seconds > session.longest_seconds:
            yield ConfigIssue(
                key_path=(*key_path, "session", "default_seconds"),
                problem=f"is {session.default_seconds}",
                allowed=f"at most longest_seconds, which is {session.longest_seconds}",
                remedy="lower default_seconds, or raise longest_seconds",
                depends_on=((*key_path, "session", "longest_seconds"),),
            )


def _check_duplicate_items(environment: Environment) -> Iterator[ConfigIssue]:
    lists: dict[KeyPath, tuple[object, ...]] = {}
    for path, interpreter in iter_interpreters(environment):
        lists |= {(*path, "certificates"): interpreter.certificates, (*path, "callers"): interpreter.callers}
        if isinstance(interpreter, VpcInterpreter):
            lists |= {
                (*path, "subnets"): interpreter.subnets,
                (*path, "security_groups"): interpreter.security_groups,
            }
    for path, workflow in iter_workflows(environment):
        lists |= {(*path, "starters"): workflow.starters, (*path, "readers"): workflow.readers}
    if environment.network is not None:
        lists["network", "endpoints"] = environment.network.endpoints
        lists["network", "domains"] = environment.network.domains
    if environment.budget is not None:
        lists["budget", "emails"] = environment.budget.emails
    for name, subscriptions in environment.own_alarm_topics.items():
        lists |= {(name, "emails"): subscriptions.emails, (name, "https"): subscriptions.https}
    for key_path, values in lists.items():
        first_indexes: dict[object, int] = {}
        for index, value in enumerate(values):
            first = first_indexes.setdefault(value, index)
            if first != index:
                yield ConfigIssue(
                    key_path=(*key_path, index),
                    problem=f"is {format_value(value)}, the same as {key_path[-1]}[{first}]",
                    allowed="each value once",
                    remedy="remove one of them",
                    depends_on=((*key_path, first),),
                )


def _check_removed_tenants(environment: Environment) -> Iterator[ConfigIssue]:
    key_path = ("data_bucket", "retention_days", "removed_tenants")
    removed = environment.data_bucket.retention_days.removed_tenants
    bucket = environment.data_bucket.name
    if removed and bucket is not None:
        yield ConfigIssue(
            key_path=key_path,
            problem=f"is set, but Sandpiper does not manage the lifecycle rules of the existing bucket {bucket}",
            allowed="removed tenants only without data_bucket.name",
            remedy=f"remove it, and add a lifecycle rule for {TENANTS_PREFIX}/NAME/ to that bucket",
            depends_on=(("data_bucket", "name"),),
        )
    for name in removed:
        if name in environment.all_tenants:
            yield ConfigIssue(
                key_path=(*key_path, name),
                problem="is still a tenant of the file, and all its data would expire",
                allowed="names of tenants that are no longer in the file",
                remedy="remove it, or remove the tenant first",
                depends_on=(("tenants",),),
            )


def _check_own_key(environment: Environment) -> Iterator[ConfigIssue]:
    bucket = environment.data_bucket.name
    if bucket is not None and environment.data_bucket.key == "own":
        yield ConfigIssue(
            key_path=("data_bucket", "key"),
            problem=f"is own, but Sandpiper does not manage the encryption of the existing bucket {bucket}",
            allowed="own only without data_bucket.name",
            remedy="set the ARN of the key that encrypts that bucket, or remove key",
            depends_on=(("data_bucket", "name"),),
        )


def _check_events(environment: Environment) -> Iterator[ConfigIssue]:
    bucket = environment.data_bucket.name
    if bucket is not None and environment.data_bucket.events:
        yield ConfigIssue(
            key_path=("data_bucket", "events"),
            problem=f"is true, but Sandpiper does not manage the notifications of the existing bucket {bucket}",
            allowed="true only without data_bucket.name",
            remedy="remove it, and enable EventBridge in the properties of that bucket",
            depends_on=(("data_bucket", "name"),),
        )


def _check_budget_region(environment: Environment) -> Iterator[ConfigIssue]:
    """Rejects a budget in GovCloud, where AWS::Budgets::Budget is unavailable and an outside account pays."""
    if environment.budget is not None and environment.region.startswith("us-gov-"):
        yield ConfigIssue(
            key_path=("budget",),
            problem=f"is set, but {environment.region} has no AWS Budgets",
            allowed="no budget in GovCloud",
            remedy="create it in the paying account, which is outside GovCloud",
            depends_on=(("region",),),
        )


CHECKS: tuple[Check, ...] = (
    _check_tenants_or_interpreters,
    _check_workflows,
    _check_expiry_dates,
    _check_session_limits,
    _check_duplicate_items,
    _check_removed_tenants,
    _check_own_key,
    _check_events,
    _check_budget_region,
    *LIMIT_CHECKS,
    *BATCH_CHECKS,
    *ARN_CHECKS,
    *FOLDER_CHECKS,
    *NETWORK_CHECKS,
    *POLICY_CHECKS,
    *AUDIT_CHECKS,
    *SUBSCRIPTION_CHECKS,
    *OBJECT_ACCESS_CHECKS,
    *EXPECTED_ACCESS_CHECKS,
)
