"""Reviews an environment as it is in its account, and compares it with the cloud assembly."""
