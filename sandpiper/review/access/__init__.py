"""The access matrix: which principal may do what with the data and the programs of each tenant, and why."""
