"""What is deployed of an environment, and where it differs from its templates. Nothing here changes a resource.

Not the embedded AWS itself, which `sandpiper local status` is about.
"""
