"""Lambda without Docker: AWS's own runtime client runs the deployed bundle in a process of its own."""
