"""MiniStack with AgentCore's resource type and a real Lambda runtime: `server PORT WORK_DIRECTORY LAMBDA_PYTHON`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local_aws.lambda_runtime.functions import Functions
from local_aws.ministack import buckets, cloudformation, kms_object_checks, patches, policies, state_machines
from local_aws.ministack.authorizer import TOKEN_VARIABLE, Authorizer
from local_aws.ministack.code_interpreter import CodeInterpreterCustom
from local_aws.ministack.stub_resources import STUB_RESOURCES

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", "AWS_EC2_METADATA_DISABLED")
"""What a function needs beside what AWS itself gives it, to stay in the embedded AWS."""

if __name__ == "__main__":
    port, work, lambda_python = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    functions = Functions(work, lambda_python, {name: os.environ[name] for name in ENDPOINTS})
    token = os.environ.pop(TOKEN_VARIABLE)  # taken out, so that no process which this one starts finds it
    policies.install()
    patches.add_resource_type("AWS::BedrockAgentCore::CodeInterpreterCustom", CodeInterpreterCustom(token))
    for name, recorded in STUB_RESOURCES.items():
        patches.add_stub_resource(name, recorded)
    patches.use_exact_object_keys()
    patches.copy_objects_as_asked()
    patches.evaluate_joins_in_conditions()
    patches.use_lambda_runtime(functions)
    buckets.install()
    kms_object_checks.install()
    cloudformation.install()
    state_machines.install()
    patches.serve(port, Authorizer(token), functions.watcher.end)
