"""Builds the model of a review from templates: resources, policies, identities and the graph between them."""
