"""A Lambda runtime without Docker: AWS's runtime client runs the deployed bundle in separate processes."""
