"""Which deployment the end-to-end tests meet: the embedded AWS, or AWS itself with SANDPIPER_TARGET=aws."""

from __future__ import annotations

import os

ON_AWS = os.environ.get("SANDPIPER_TARGET") == "aws"
"""With it the tests run against the account of the shell's credentials, where `cdk deploy` has been done before."""
ENVIRONMENT = os.environ.get("SANDPIPER_ENVIRONMENT", "local")
TENANT = os.environ.get("SANDPIPER_TENANT", "demo")
