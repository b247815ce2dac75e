"""What `cdk deploy` would change, in words: the cloud assembly beside what CloudFormation has deployed.

`make` compares, `words` says it to people, `model` is what programs get. Nothing here changes anything, and the stacks'
own code is never asked.
"""
