"""What other tools say about each interpreter, and the answer of the review."""
