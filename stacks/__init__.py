"""CDK stacks of one environment: storage, network, one stack for each tenant, and the fleet."""
