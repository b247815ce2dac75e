"""Files of a session: discovery, inputs, outputs, storage in S3 and transfers."""
