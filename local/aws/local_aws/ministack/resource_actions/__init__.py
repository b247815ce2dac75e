"""The IAM permissions that CloudFormation needs to create, change and delete resources.

`table.toml` lists the actions of each resource type, `table` reads it, and `permissions` evaluates it for a resource.
"""
