"""Lambda functions behind CloudFormation custom resources."""
