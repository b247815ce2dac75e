"""Finds, lists, describes, downloads and repeats the executions of a tenant's workflows."""
