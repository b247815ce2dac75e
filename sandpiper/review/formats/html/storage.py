"""Where code, inputs, outputs, links and logs are stored, under which key and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET, LOG_GROUP, WORKFLOW
from sandpiper.review.reading.values import as_list, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.report import Report
    from sandpiper.review.resources import Resource

SSE_S3, AWS_KEY = "a key of AWS (SSE-S3)", "a key of AWS"
STEP_FUNCTIONS_DAYS = "90 days after an execution ends"
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


@dataclass(frozen=True)
class Store:
    """A place where data is stored.

    Attributes:
        content: What is stored.
        place: Where.
        key: The key that encrypts it.
        kept: How long it is kept.
    """

    content: str
    place: str
    key: str
    kept: str


def stores_of(report: Report) -> tuple[Store, ...]:
    """Returns the places: requests, objects by folder, links, and logs."""
    model = report.review.model
    found = [*_executions(model), *_objects(model), *_links(report), *_logs(model)]
    return tuple(dict.fromkeys(found))


def _executions(model: ReviewModel) -> Iterator[Store]:
    for one in model.of_type(WORKFLOW):
        key = as_text(one.get("EncryptionConfiguration", "KmsKeyId"))
        name = as_text(one.get("StateMachineName")) or one.address
        is_express = one.get("StateMachineType") == "EXPRESS"
        kept = "not kept: Express executions have no history" if is_express else STEP_FUNCTIONS_DAYS
        shown = model.readable(key) if key else AWS_KEY
        yield Store("code and input of requests, and results", f"history of {model.readable(name)}", shown, kept)


def _objects(model: ReviewModel) -> Iterator[Store]:
    for bucket in model.of_type(BUCKET):
        name = model.readable(bucket.physical_id)
        key = _key(model, bucket)
        rules = [as_mapping(one) for one in as_list(bucket.get("LifecycleConfiguration", "Rules"))]
        days = [(as_text(one.get("Prefix")), as_text(one.get("ExpirationInDays"))) for one in rules]
        old = [as_text(as_mapping(one.get("NoncurrentVersionExpiration")).get("NoncurrentDays")) for one in rules]
        longest = max((int(one) for one in old if one.isdecimal()), default=0)
        versions = f"; old versions {longest} days more" if longest else ""
        dated = [(prefix, number) for prefix, number in days if number]
        for prefix, number in dated:
            yield Store(_content(prefix), f"s3://{name}/{prefix}", key, f"{number} days{versions}")
        if not dated:
            yield Store("objects", f"s3://{name}/", key, f"until they are deleted{versions}")


def _content(prefix: str) -> str:
    """Returns what a folder contains, by the names of Sandpiper's folders."""
    parts = prefix.strip("/").split("/")
    if parts[0] != "tenants":
        return "objects"
    return "files that code keeps" if "sandbox" in parts else "inputs, code, outputs, results and records of runs"


def _key(model: ReviewModel, bucket: Resource) -> str:
    for one in as_list(bucket.get("BucketEncryption", "ServerSideEncryptionConfiguration")):
        default = as_mapping(as_mapping(one).get("ServerSideEncryptionByDefault"))
        if as_text(default.get("SSEAlgorithm")).startswith("aws:kms"):
            return model.readable(as_text(default.get("KMSMasterKeyID"))) or "the key aws/s3"
    return SSE_S3


def _links(report: Report) -> Iterator[Store]:
    if report.source is not None:
        yield Store(
            "links to results, only if a request asks for them",
            "in the result of the run; anyone who has a link can read the file",
            "as the file",
            "60 s to 12 h, as the request says, and not longer than the credentials of the session function",
        )


def _logs(model: ReviewModel) -> Iterator[Store]:
    for one in model.of_type(LOG_GROUP):
        key, days = as_text(one.get("KmsKeyId")), as_text(one.get("RetentionInDays"))
        place = f"log group {model.readable(as_text(one.get('LogGroupName')) or one.physical_id or one.address)}"
        yield Store(
            "logs", place, model.readable(key) if key else AWS_KEY, f"{days} days" if days else "without an end"
        )
