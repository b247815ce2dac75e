"""Permissions and condition keys of S3 that depend on the headers of a request, on a form or on the tags of an object.

MiniStack checks one action for a request, and further actions for copies, batch deletions and governance bypasses.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_actions, iam_evaluator
from ministack.services import s3

from local_aws.ministack.patches import iam_roles, kms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local_aws.ministack.request_body import Body

    Query = Mapping[str, Any]
    Check = tuple[str, str]

MINISTACK_VERSION = "1.5.33"
S3_ARN = "arn:aws:s3:::"
MAX_TAGGING_BYTES = 1024 * 1024
ACL_HEADERS = (
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
)
OBJECT_HEADERS: Mapping[str, str] = {
    **dict.fromkeys(ACL_HEADERS, "s3:PutObjectAcl"),
    "x-amz-tagging": "s3:PutObjectTagging",
    "x-amz-object-lock-mode": "s3:PutObjectRetention",
    "x-amz-object-lock-retain-until-date": "s3:PutObjectRetention",
    "x-amz-object-lock-legal-hold": "s3:PutObjectLegalHold",
    "x-amz-object-lock-legal-hold-status": "s3:PutObjectLegalHold",  # accepted by MiniStack, unknown to S3
    "if-match": "s3:GetObject",
}
"""Actions that PutObject, CopyObject, CreateMultipartUpload and PostObject need in addition, by header."""
BUCKET_HEADERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ACL_HEADERS, ("s3:PutBucketAcl",)),
    "x-amz-object-ownership": ("s3:PutBucketOwnershipControls",),
    "x-amz-bucket-object-lock-enabled": ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"),
}
"""Actions that CreateBucket needs in addition, by header."""
FORM_FIELDS = {"acl": "x-amz-acl"}
"""Fields of a POST form whose name differs from the header."""
CONDITION_HEADERS: Mapping[str, str] = {
    **{name: f"s3:{name}" for name in ACL_HEADERS},
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-copy-source": "s3:x-amz-copy-source",
    "x-amz-metadata-directive": "s3:x-amz-metadata-directive",
    "x-amz-server-side-encryption-aws-kms-key-id": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "x-amz-website-redirect-location": "s3:x-amz-website-redirect-location",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "x-amz-object-ownership": "s3:x-amz-object-ownership",
}
"""Condition keys of a request that creates an object or a bucket, by header."""
CONDITION_HEADERS_OF_PARTS: Mapping[str, str] = {
    "if-match": "s3:if-match",
    "if-none-match": "s3:if-none-match",
    "x-amz-content-sha256": "s3:x-amz-content-sha256",
}
"""Condition keys of every request, by header. Requests of a multipart upload after the first have no others."""
HEADER_CONDITIONS = frozenset({"s3:CreateBucket", "s3:PutBucketAcl", "s3:PutObject", *OBJECT_HEADERS.values()})
"""Actions that have the condition keys of headers."""
OBJECT_CONDITIONS = frozenset(
    f"s3:{verb}Object{version}{part}"
    for verb in ("Get", "Put", "Delete")
    for version in ("", "Version")
    for part in ("Tagging", "Acl")
)
"""Actions that have the tags of the object as `s3:ExistingObjectTag`, in addition to MiniStack's `s3:GetObject`."""
_additional_checks = iam_actions.s3_additional_checks
_service_context = iam_actions.s3_service_context
_tagging_count_header = s3._object_tagging_count_header
_response_headers = s3._object_response_headers


def install() -> None:
    """Replaces functions of MiniStack. Call it after `kms.install`, whose access control this one extends."""
    iam_actions.s3_additional_checks = additional_checks
    iam_actions.s3_service_context = condition_keys
    iam_evaluator.enforce = enforce
    s3._object_tagging_count_header = tagging_count_header
    s3._object_response_headers = response_headers


def additional_checks(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Query
) -> list[tuple[str, str]]:
    """Returns the actions and resource ARNs that a request needs in addition to its own action."""
    bucket, _, key = path.lstrip("/").partition("/")
    action = iam_actions._s3_action(method, path, query)
    checks = _additional_checks(method, path, headers, body, query)
    if action is None:
        return checks
    if not key:
        return [*checks, *_bucket_checks(bucket, action, method, headers, body, query)]
    arn = f"{S3_ARN}{bucket}/{key}"
    normalized_arn = f"{S3_ARN}{'/'.join(part for part in path.split('/') if part)}"
    checks = [(name, arn if resource == normalized_arn else resource) for name, resource in checks]
    if action == "PutObject":
        return [*checks, *_write_checks(arn, headers, query)]
    return checks


def _write_checks(arn: str, headers: Mapping[str, str], query: Query) -> Iterator[Check]:
    if "uploadId" in query:  # the headers of the first request of a multipart upload apply to the object
        return iter((("s3:GetObject", arn),) if headers.get("if-match") else ())
    actions = dict.fromkeys(action for header, action in OBJECT_HEADERS.items() if headers.get(header))
    source = iam_actions._s3_source_object(headers)
    copied: list[Check] = []
    if source is not None and headers.get("x-amz-tagging-directive", "COPY").upper() != "REPLACE" and _tags(*source):
        actions["s3:PutObjectTagging"] = None
        copied = [("s3:GetObjectVersionTagging" if source[1] else "s3:GetObjectTagging", source[0])]
    return iter((*((action, arn) for action in actions), *copied))


def _bucket_checks(
    bucket: str, action: str, method: str, headers: Mapping[str, str], body: bytes, query: Query
) -> Iterator[Check]:
    arn = f"{S3_ARN}{bucket}"
    if action == "CreateBucket":
        for header, actions in BUCKET_HEADERS.items():
            if headers.get(header, "false").lower() != "false":
                yield from ((name, arn) for name in actions)
    elif action == "PutObject":  # a form, signed by a header: S3 checks the signature of the form instead
        fields = _form_fields(headers, body)
        target = f"{arn}/{fields.get('key', '')}"
        yield "s3:PutObject", target
        yield from _write_checks(target, fields, {})
    elif method == "POST" and "delete" in query:
        targets = iam_actions._s3_batch_delete_targets(bucket, body)
        yield from (("s3:DeleteObjectVersion", target) for target, version in targets[:1] if version)


def _form_fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    parts: Any = s3._parse_multipart_form(headers.get("content-type", ""), body) or ()
    fields = {str(name).lower(): value.decode("utf-8", "replace") for name, _, _, value in parts if name != "file"}
    return {FORM_FIELDS.get(name, name): value for name, value in fields.items()}


def condition_keys(
    action: str, query: Query | None, path: str = "", headers: Mapping[str, str] | None = None, body: Body = b""
) -> dict[str, Any]:
    """Returns the condition keys of a request: MiniStack's, those of headers, and the tags of requests and objects."""
    query, headers = query or {}, headers or {}
    bucket, _, key = path.lstrip("/").partition("/")
    keys: dict[str, Any] = dict(_service_context(action, query, path, headers))
    if version := _first(query, "versionId"):
        keys["s3:VersionId"] = version
    if action in HEADER_CONDITIONS:
        is_part = "uploadId" in query
        names = {**({} if is_part else CONDITION_HEADERS), **CONDITION_HEADERS_OF_PARTS}
        keys |= {name: headers[header] for header, name in names.items() if headers.get(header)}
        if not is_part:
            keys |= _tag_keys(
                {name: values[0] for name, values in parse_qs(headers.get("x-amz-tagging", ""), True).items()}
            )
    if action == "s3:PutObject":
        is_completion = "uploadId" in query and "partNumber" not in query
        keys["s3:ObjectCreationOperation"] = is_completion or not ("uploadId" in query or "uploads" in query)
    if action in ("s3:PutObjectTagging", "s3:PutObjectVersionTagging") and "tagging" in query:
        keys |= _tag_keys(_tags_of_body(body))
    if action in OBJECT_CONDITIONS and key:
        tags: Mapping[str, str] = s3.object_tags_for_condition(bucket, key, query)
        keys |= {f"s3:ExistingObjectTag/{name}": value for name, value in tags.items()}
    return keys


def enforce(
    access_key_id: str, action: str, service: str, region: str, resource_arn: str = "*",
    service_context: Mapping[str, Any] | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Decides a request, with the condition keys of the HTTP request also for its additional actions."""
    request = kms.current_request.get()
    if service == "s3" and request is not None and resource_arn.startswith(S3_ARN):
        query = parse_qs(request.query, keep_blank_values=True)
        headers = s3._merge_hoisted_amz_headers(request.headers, query)
        path = f"/{resource_arn.removeprefix(S3_ARN)}"
        # A body in a file is the content of an object: it has no tags.
        body = request.body if isinstance(request.body, bytes) else b""
        if request.method == "POST" and not query:  # a form, whose fields have the names of headers
            headers = {**headers, **_form_fields(headers, body)}
        keys = condition_keys(action, query, path, headers, body)
        service_context = {**keys, **(service_context or {})}
    return kms.enforce(access_key_id, action, service, region, resource_arn, service_context=service_context, **options)


def tagging_count_header(bucket: str, key: str, version: str | None) -> dict[str, str]:
    """Returns the header with the number of tags, if the caller may read the tags."""
    header: dict[str, str] = _tagging_count_header(bucket, key, version)
    return header if header and _caller_may("s3:GetObjectTagging", bucket, key) else {}


def response_headers(record: Mapping[str, Any], bucket: str = "", key: str = "", **options: bool) -> dict[str, str]:
    """Returns the headers of an object, without the retention and the legal hold if the caller may not read them."""
    headers: dict[str, str] = _response_headers(record, bucket, key, **options)
    hidden = [
        prefix
        for prefix, action in (
            ("x-amz-object-lock-legal-hold", "s3:GetObjectLegalHold"),
            ("x-amz-object-lock-mode", "s3:GetObjectRetention"),
            ("x-amz-object-lock-retain-until-date", "s3:GetObjectRetention"),
        )
        if prefix in headers and not _caller_may(action, bucket, key)
    ]
    return {name: value for name, value in headers.items() if name not in hidden}


def _caller_may(action: str, bucket: str, key: str) -> bool:
    try:
        iam_roles.require_permission(iam_roles.calling_principal(), action, f"{S3_ARN}{bucket}/{key}")
    except iam_roles.AccessDeniedError:
        return False
    return True


def _tags(arn: str, version: str) -> Mapping[str, str]:
    """Returns the tags of an object."""
    bucket, _, key = arn.removeprefix(S3_ARN).partition("/")
    return s3.object_tags_for_condition(bucket, key, {"versionId": [version]} if version else {})


def _tags_of_body(body: Body) -> Mapping[str, str]:
    try:
        return s3._parse_tags_xml(body[:MAX_TAGGING_BYTES])
    except Exception:  # the operation rejects the body later, with the error of S3
        return {}


def _tag_keys(tags: Mapping[str, str]) -> dict[str, Any]:
    if not tags:
        return {}
    values = {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
    return {**values, "s3:RequestObjectTagKeys": list(tags)}


def _first(query: Query, name: str) -> str:
    value = query.get(name, "")
    return value if isinstance(value, str) else str(value[0]) if value else ""
