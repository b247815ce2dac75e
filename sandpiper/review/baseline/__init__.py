"""Approvals: the grants that a reviewer has approved, and what a review has in addition."""
