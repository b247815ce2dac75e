"""The AgentCore data plane: clients, calls, retries, deadlines, limits and service errors."""
