"""CDK constructs for AgentCore Code Interpreters: the interpreter, the function and the workflow that use it, its data,
and what watches them. Each is in the module of its name and can be used in any CDK app.
"""
