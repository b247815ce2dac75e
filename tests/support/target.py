"""The target of the end-to-end tests: the embedded AWS, or an AWS account with SANDPIPER_TARGET=aws."""

from __future__ import annotations

import os

ON_AWS = os.environ.get("SANDPIPER_TARGET") == "aws"
"""Whether the tests run against the account of the credentials of the shell, in which the product is deployed."""
ENVIRONMENT = os.environ.get("SANDPIPER_ENVIRONMENT", "local")
TENANT = os.environ.get("SANDPIPER_TENANT", "demo")
