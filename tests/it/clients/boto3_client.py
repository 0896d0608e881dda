"""One operation of boto3 on one object; the result is a line of JSON. See mod.rs for the operations."""
import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

bucket, operation, key, *rest = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], config=Config(s3={"addressing_style": "path"}))
typed = {"ContentType": "text/x-note", "Metadata": {"owner": "ann"}}


def run():
    if operation == "create":
        return {"etag": s3.put_object(Bucket=bucket, Key=key, Body=rest[0], IfNoneMatch="*", **typed)["ETag"]}
    if operation == "update":
        return {"etag": s3.put_object(Bucket=bucket, Key=key, Body=rest[0], IfMatch=rest[1], **typed)["ETag"]}
    if operation == "delete":
        s3.delete_object(Bucket=bucket, Key=key, IfMatch=rest[0])
        return {}
    got = s3.get_object(Bucket=bucket, Key=key)
    return {
        "etag": got["ETag"],
        "body": got["Body"].read().decode(),
        "type": got["ContentType"],
        "owner": got["Metadata"].get("owner"),
    }


try:
    print(json.dumps(run()))
except ClientError as error:
    print(json.dumps({"refused": error.response["ResponseMetadata"]["HTTPStatusCode"]}))
