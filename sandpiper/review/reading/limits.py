"""Limits of a template, so that a hostile file is rejected within a stated time and memory.

CloudFormation has the same limit of size: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

from __future__ import annotations

from sandpiper.environment.document_limits import DocumentLimits

MAX_TEMPLATE_BYTES = 1024 * 1024
MAX_DEPTH = 60
"""CDK templates nest about twenty levels."""
MAX_VALUES = 150_000
"""Keys and values of one template, with aliases replaced by their values. 1 MiB has fewer than 100,000."""
MAX_TEMPLATES = 2_500
"""CloudFormation's default quota is 2,000 stacks in a region."""
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""Of the manifest of an assembly, and of each file with metadata."""
MAX_ASSEMBLY_BYTES = 512 * 1024 * 1024
TEMPLATE_LIMITS = DocumentLimits(values=MAX_VALUES, depth=MAX_DEPTH)
