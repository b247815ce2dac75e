"""Six tools for agents: one sandbox that keeps its state, and a workspace in S3."""
