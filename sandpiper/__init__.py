"""The environment file, the plan, the status and the command line of Sandpiper."""
