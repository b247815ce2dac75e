"""Runs programs in AgentCore Code Interpreter sessions, at most once, and collects the files that they create.

- Scripts and notebooks use `session.open_session`.
- The session function (Lambda) uses `handlers`.
- Agents use `agent_tools.tools`.
"""
