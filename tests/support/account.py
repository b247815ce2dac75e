"""The account and Region of the embedded AWS and of synthesized test environments."""

from __future__ import annotations

ACCOUNT = "123456789012"
REGION = "us-east-1"
