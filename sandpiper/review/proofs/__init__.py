"""Proofs about a model: properties that hold for every request, or a request that refutes them."""
