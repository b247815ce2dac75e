"""Six tools for agents: a sandbox that keeps its state between calls, and a workspace in S3."""
