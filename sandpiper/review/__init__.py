"""Reviews templates for security reviewers: reads them, builds the policy model and applies the table of rules.

Nothing here needs credentials or a network. `review.review` is the entry point for commands and for synthesis.
"""
