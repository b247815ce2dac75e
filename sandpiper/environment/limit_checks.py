"""Checks an environment against limits of AWS and the account's quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue
from sandpiper.environment.lifecycle import expiration_days
from sandpiper.environment.traversal import iter_interpreters, iter_tenants
from sandpiper.names import data_bucket_name
from sandpiper_contract.settings import ACCESS_LOGS_SUFFIX, AUDIT_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.model import Environment

UNRESERVED_CONCURRENCY = 100
"""Concurrent executions of an account that Lambda does not let functions reserve.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""
MAX_LIFECYCLE_RULES = 1_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html"""
MAX_BUCKET_NAME_CHARACTERS = 63
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
MAX_TAGS = 45
"""A resource can have 50 tags. Sandpiper and the CDK set up to five."""


def lifecycle_rules(environment: Environment) -> int:
    """Returns the number of lifecycle rules of the data bucket: one for the bucket, and one for each folder."""
    return 1 + len(expiration_days(environment))


def _check_reserved_concurrency(environment: Environment) -> Iterator[ConfigIssue]:
    reserved = {path: tenant.session_function.reserved_concurrency or 0 for path, tenant in iter_tenants(environment)}
    limit = max(environment.quotas.functions_at_once - UNRESERVED_CONCURRENCY, 0)
    if sum(reserved.values()) > limit:
        largest = max(reserved, key=lambda path: reserved[path])
        yield ConfigIssue(
            key_path=(*largest, "session_function", "reserved_concurrency"),
            problem=f"is the largest part of {sum(reserved.values())} that all tenants reserve",
            allowed=f"at most {limit} in total: quotas.functions_at_once minus {UNRESERVED_CONCURRENCY} that Lambda "
            "keeps unreserved",
            remedy="reserve less, or raise the quota and set it in quotas.functions_at_once",
            depends_on=(("quotas", "functions_at_once"),),
        )


def _check_interpreter_quota(environment: Environment) -> Iterator[ConfigIssue]:
    count, quota = sum(1 for _ in iter_interpreters(environment)), environment.quotas.interpreters
    if count > quota:
        yield ConfigIssue(
            key_path=("quotas", "interpreters"),
            problem=f"is {quota}, but the file has {count} interpreters",
            allowed=f"{count} or more, if AWS has granted the account this quota",
            remedy="remove interpreters, or raise the quota and set it here",
        )


def _check_lifecycle_rules(environment: Environment) -> Iterator[ConfigIssue]:
    count = lifecycle_rules(environment)
    if environment.data_bucket.name is None and count > MAX_LIFECYCLE_RULES:
        yield ConfigIssue(
            key_path=("tenants",),
            problem=f"need {count} lifecycle rules of the data bucket",
            allowed=f"at most {MAX_LIFECYCLE_RULES}, which is S3's limit",
            remedy="set the same retention for runs, inputs and sandbox, which needs one rule per tenant, or move some "
            "tenants to another environment",
        )


def _check_bucket_name(environment: Environment) -> Iterator[ConfigIssue]:
    name = data_bucket_name(environment.name, environment.account, environment.region)
    has_trail = environment.own_trail is not None
    suffix, purpose = (AUDIT_SUFFIX, "audit trail") if has_trail else (ACCESS_LOGS_SUFFIX, "access logs")
    maximum = MAX_BUCKET_NAME_CHARACTERS - len(suffix)
    if (environment.data_bucket.name is None or has_trail) and len(name) > maximum:
        yield ConfigIssue(
            key_path=("name",),
            problem=f"makes the bucket's name {name} {len(name)} characters long",
            allowed=f"at most {maximum}, and {len(suffix)} more for the bucket of the {purpose}",
            remedy="choose a shorter name",
            depends_on=(("region",), ("account",)),
        )


def _check_tag_count(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, tenant in iter_tenants(environment):
        count = len(environment.tags | tenant.tags)
        if count > MAX_TAGS:
            yield ConfigIssue(
                key_path=(*key_path, "tags"),
                problem=f"has {count} tags together with the environment's tags",
                allowed=f"at most {MAX_TAGS} together: a resource can have 50, and Sandpiper and the CDK set some",
                remedy="remove some",
                depends_on=(("tags",),),
            )


LIMIT_CHECKS = (
    _check_reserved_concurrency,
    _check_interpreter_quota,
    _check_lifecycle_rules,
    _check_bucket_name,
    _check_tag_count,
)
