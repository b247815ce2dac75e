"""At most once: the idempotency record in S3 and the fingerprint of a request."""
