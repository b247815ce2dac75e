"""What holds between the options of an environment file: a table of small functions, each of which yields issues.

What a single option allows is in its type. What costs nobody anything today is in `find_warnings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.arn_checks import ARN_CHECKS
from sandpiper.environment.errors import ConfigIssue, format_key_path, format_value
from sandpiper.environment.folder_checks import FOLDER_CHECKS
from sandpiper.environment.interpreter import ALLOWED_EXPIRY, PublicInterpreter, VpcInterpreter
from sandpiper.environment.network_checks import NETWORK_CHECKS
from sandpiper.environment.policy_checks import POLICY_CHECKS
from sandpiper.environment.traversal import iter_interpreters, iter_tenants
from sandpiper.names import TENANTS_PREFIX, data_bucket_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

    Check = Callable[[Environment], Iterable[ConfigIssue]]

UNRESERVED_CONCURRENCY = 100
"""Of an account's concurrent executions, Lambda lets no function reserve the last hundred.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
MAX_LIFECYCLE_RULES = 1_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html"""
MAX_BUCKET_NAME_CHARACTERS = 58
"""63 are S3's, and the bucket of the access logs adds `-logs`."""
MAX_TAGS = 45
"""A resource takes 50, and five are Sandpiper's and the CDK's own."""


def check(environment: Environment) -> list[ConfigIssue]:
    """Everything that is wrong between options."""
    return [issue for one in CHECKS for issue in one(environment)]


def lifecycle_rules(environment: Environment) -> int:
    """How many lifecycle rules the data bucket has: one for all, for each lifetime of a tenant, and an interpreter."""
    days = environment.data_bucket.retention_days
    lifetimes = sum(each is not None for each in (days.runs, days.inputs, days.sandbox))
    of_tenants = lifetimes * len(environment.all_tenants) + len(days.removed_tenants)
    return 1 + of_tenants + sum(1 for _ in iter_interpreters(environment))


def _one_way_to_say_tenants(environment: Environment) -> Iterator[ConfigIssue]:
    both = environment.interpreters is not None and environment.tenants is not None
    if both or (environment.interpreters is None and environment.tenants is None):
        yield ConfigIssue(
            key_path=("tenants",),
            problem="is there beside interpreters" if both else "is missing, and so is interpreters",
            allowed="either interpreters, of one tenant without a name, or tenants",
            remedy="move the interpreters into a tenant" if both else "add one of them",
            depends_on=(("interpreters",),),
        )


def _what_is_permitted_ends(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.is_embedded:
        return
    public = {
        key_path: one.expires for key_path, one in iter_interpreters(environment) if isinstance(one, PublicInterpreter)
    }
    accepted: dict[KeyPath, object] = {
        ("accepted_findings", index): one.expires for index, one in enumerate(environment.accepted_findings)
    }
    for key_path, last_day in {**public, **accepted}.items():
        if last_day is None:
            yield ConfigIssue(
                key_path=(*key_path, "expires"),
                problem="is missing",
                allowed=ALLOWED_EXPIRY,
                remedy="say until when it is needed",
                depends_on=(("account",),),
            )


def _sessions_do_not_outlive_their_longest(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        session = interpreter.session
        if session.default_seconds > session.longest_seconds:
            yield ConfigIssue(
                key_path=(*key_path, "session", "default_seconds"),
                problem=f"is {session.default_seconds}",
                allowed=f"at most longest_seconds, which is {session.longest_seconds}",
                remedy="make one shorter or the other longer",
                depends_on=((*key_path, "session", "longest_seconds"),),
            )


def _lists_have_nothing_twice(environment: Environment) -> Iterator[ConfigIssue]:
    lists: dict[KeyPath, tuple[object, ...]] = {}
    for key_path, one in iter_interpreters(environment):
        lists |= {(*key_path, "certificates"): one.certificates, (*key_path, "callers"): one.callers}
        if isinstance(one, VpcInterpreter):
            lists |= {(*key_path, "subnets"): one.subnets, (*key_path, "security_groups"): one.security_groups}
    if environment.network is not None:
        lists[("network", "endpoints")] = environment.network.endpoints
        lists[("network", "domains")] = environment.network.domains
    if environment.budget is not None:
        lists[("budget", "emails")] = environment.budget.emails
    for key_path, values in lists.items():
        first: dict[object, int] = {}
        for index, value in enumerate(values):
            before = first.setdefault(value, index)
            if before != index:
                yield ConfigIssue(
                    key_path=(*key_path, index),
                    problem=f"is {format_value(value)}, as {key_path[-1]}[{before}] is",
                    allowed="each once",
                    remedy="take one of them out",
                    depends_on=((*key_path, before),),
                )


def _concurrency_is_there(environment: Environment) -> Iterator[ConfigIssue]:
    reserved = {key_path: one.session_function.reserved_concurrency or 0 for key_path, one in iter_tenants(environment)}
    most = environment.quotas.functions_at_once - UNRESERVED_CONCURRENCY
    if sum(reserved.values()) > max(most, 0):
        largest = max(reserved, key=lambda key_path: reserved[key_path])
        yield ConfigIssue(
            key_path=(*largest, "session_function", "reserved_concurrency"),
            problem=f"is the largest of {sum(reserved.values())} that tenants reserve together",
            allowed=f"{max(most, 0)} together: quotas.functions_at_once without {UNRESERVED_CONCURRENCY} that Lambda "
            "keeps free",
            remedy="reserve less, or have the quota raised and say it in quotas.functions_at_once",
            depends_on=(("quotas", "functions_at_once"),),
        )


def _interpreters_are_granted(environment: Environment) -> Iterator[ConfigIssue]:
    found, most = sum(1 for _ in iter_interpreters(environment)), environment.quotas.interpreters
    if found > most:
        yield ConfigIssue(
            key_path=("quotas", "interpreters"),
            problem=f"is {most}, and the file has {found}",
            allowed="as many as the file has, if AWS has granted them",
            remedy="have fewer interpreters, or have the quota raised and say it here",
        )


def _bucket_holds_the_lifetimes(environment: Environment) -> Iterator[ConfigIssue]:
    found = lifecycle_rules(environment)
    if environment.data_bucket.name is None and found > MAX_LIFECYCLE_RULES:
        yield ConfigIssue(
            key_path=("tenants",),
            problem=f"need {found} lifecycle rules of the data bucket",
            allowed=f"{MAX_LIFECYCLE_RULES}, as S3 has it",
            remedy="move some tenants into an environment of their own",
        )


def _who_is_removed_is_gone(environment: Environment) -> Iterator[ConfigIssue]:
    removed = environment.data_bucket.retention_days.removed_tenants
    if removed and environment.data_bucket.name is not None:
        yield ConfigIssue(
            key_path=("data_bucket", "retention_days", "removed_tenants"),
            problem=f"is there, and the bucket {environment.data_bucket.name} has its owner's lifecycle rules",
            allowed="names of tenants where the bucket is made here",
            remedy=f"take it out, and give {TENANTS_PREFIX}/NAME/ a rule in that bucket",
            depends_on=(("data_bucket", "name"),),
        )
    for name in removed:
        if name in environment.all_tenants:
            yield ConfigIssue(
                key_path=("data_bucket", "retention_days", "removed_tenants", name),
                problem="is a tenant of the file, all of whose data would expire",
                allowed="names of tenants that are no longer in the file",
                remedy="take it out, or remove the tenant first",
                depends_on=(("tenants",),),
            )


def _bucket_name_fits(environment: Environment) -> Iterator[ConfigIssue]:
    name = data_bucket_name(environment.name, environment.account, environment.region)
    if environment.data_bucket.name is None and len(name) > MAX_BUCKET_NAME_CHARACTERS:
        yield ConfigIssue(
            key_path=("name",),
            problem=f"makes the bucket's name {name} of {len(name)} characters",
            allowed=f"{MAX_BUCKET_NAME_CHARACTERS}, and 5 more for the bucket of its access logs",
            remedy="choose a shorter name",
            depends_on=(("region",), ("account",)),
        )


def _tags_fit(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, tenant in iter_tenants(environment):
        found = len(environment.tags | tenant.tags)
        if found > MAX_TAGS:
            yield ConfigIssue(
                key_path=(*key_path, "tags"),
                problem=f"has {found} tags together with {format_key_path(('tags',))}",
                allowed=f"{MAX_TAGS} together, since a resource takes 50 and some are its own",
                remedy="take some out",
                depends_on=(("tags",),),
            )


def _budgets_are_there(environment: Environment) -> Iterator[ConfigIssue]:
    """CloudFormation has no AWS::Budgets::Budget in GovCloud, whose bills go to an account outside of it."""
    if environment.budget is not None and environment.region.startswith("us-gov-"):
        yield ConfigIssue(
            key_path=("budget",),
            problem=f"is there, and {environment.region} has no AWS Budgets",
            allowed="no budget in GovCloud",
            remedy="make it in the account that pays, which is outside GovCloud",
            depends_on=(("region",),),
        )


CHECKS: tuple[Check, ...] = (
    _one_way_to_say_tenants,
    _what_is_permitted_ends,
    _sessions_do_not_outlive_their_longest,
    _lists_have_nothing_twice,
    _concurrency_is_there,
    _interpreters_are_granted,
    _bucket_holds_the_lifetimes,
    _who_is_removed_is_gone,
    _bucket_name_fits,
    _tags_fit,
    _budgets_are_there,
    *ARN_CHECKS,
    *FOLDER_CHECKS,
    *NETWORK_CHECKS,
    *POLICY_CHECKS,
)
