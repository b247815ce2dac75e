"""A program that records in S3 that it ran: it puts an empty object with the credentials of the session's role.

The program does not use `boto3`, because its import takes ten times as long as the rest of the program.
"""

from __future__ import annotations

_PROGRAM = '''
import datetime, hashlib, hmac, http.client, json, os, uuid

def mark_run(bucket, folder):
    """Puts an object with a new name below `folder`, signed with Signature Version 4."""
    def metadata(method, path, headers):
        service = http.client.HTTPConnection("169.254.169.254")
        service.request(method, f"/latest/{path}", headers=headers)
        return service.getresponse().read().decode()

    def sign(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    token = metadata("PUT", "api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "60"})
    role = "meta-data/iam/security-credentials/execution_role"
    credentials = json.loads(metadata("GET", role, {"x-aws-ec2-metadata-token": token}))
    host = os.environ["AWS_ENDPOINT_URL_S3"].partition("://")[2]
    region = os.environ["AWS_REGION"]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path = f"/{bucket}/{folder}/{uuid.uuid4()}"
    empty = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": host,
        "x-amz-content-sha256": empty,
        "x-amz-date": now,
        "x-amz-security-token": credentials["Token"],
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\\n" for name, value in headers.items())
    request = hashlib.sha256(f"PUT\\n{path}\\n\\n{lines}\\n{names}\\n{empty}".encode()).hexdigest()
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    key = ("AWS4" + credentials["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    signature = sign(key, f"AWS4-HMAC-SHA256\\n{now}\\n{scope}\\n{request}").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials['AccessKeyId']}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    s3 = http.client.HTTPConnection(host)
    s3.request("PUT", path, b"", headers)
    response = s3.getresponse()
    assert response.status == 200, response.read()
'''


def mark_run(bucket: str, folder: str) -> str:
    """Returns Python source that puts an object with a new name below `s3://BUCKET/FOLDER/`."""
    return f"{_PROGRAM}\nmark_run({bucket!r}, {folder!r})\n"
