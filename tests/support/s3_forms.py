"""Uploads objects to S3 with forms, as web pages do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.support.account import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping


def post_form(credentials: Any, url: str, fields: Mapping[str, str]) -> int:
    """Sends a form that a header signs. Returns the HTTP status.

    S3 accepts only signed forms; MiniStack also accepts signed requests.

    Args:
        credentials: The credentials of botocore that sign the request.
        url: The URL of the bucket.
        fields: The fields of the form, besides the file.
    """
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    body = "".join([*lines, '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--b--\r\n'])
    request = AWSRequest("POST", url, {"content-type": "multipart/form-data; boundary=b"}, body)
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    prepared = request.prepare()
    return urllib3.request("POST", str(prepared.url), body=body, headers=dict(prepared.headers)).status
