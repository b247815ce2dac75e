"""A session function for templates of single constructs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.session_function import SessionFunction

if TYPE_CHECKING:
    import aws_cdk as cdk


def session_function(stack: cdk.Stack) -> SessionFunction:
    """Creates a session function with placeholder code."""
    bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "bucket")
    return SessionFunction(
        stack,
        "Function",
        service="a",
        interpreters={"one": CodeInterpreter(stack, "One", name_prefix="one")},
        folder=BucketFolder(bucket=bucket, path="tenants/a"),
        code=lambda_.Code.from_inline("pass"),
    )
