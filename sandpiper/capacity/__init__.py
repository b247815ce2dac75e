"""How long a batch takes, what it costs and which quota limits it: a simulation, which needs no AWS account."""
