"""Checks resources that an environment uses but does not manage: existing execution roles and existing data buckets.

`trust`, `permissions` and `bucket_policy` check documents, without calls. `collect` reads the documents.
"""
