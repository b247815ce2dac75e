"""An app with an interpreter, its bucket and a session function: `cdk deploy --app "python app.py"`."""

import aws_cdk as cdk

from sandpiper_constructs import BucketFolder, CodeInterpreter, DataBucket, SessionFunction, SessionStopper

app = cdk.App()
stack = cdk.Stack(app, "ten-lines")
bucket = DataBucket(stack, "Data", name=f"ten-lines-{cdk.Aws.ACCOUNT_ID}", retain=False).bucket
folder = BucketFolder(bucket=bucket, path="ten-lines")
interpreter = CodeInterpreter(stack, "Sandbox", name_prefix="ten_lines", folder=folder.subfolder("sandbox/python"))
function = SessionFunction(stack, "Run", service="ten-lines", interpreters={"python": interpreter}, folder=folder)
stopper = SessionStopper(stack, "Stopper", service="ten-lines", interpreters={"python": interpreter})
function.node.add_dependency(*stopper.custom_resources)
cdk.CfnOutput(stack, "FunctionName", value=function.function.function_name)
app.synth()
