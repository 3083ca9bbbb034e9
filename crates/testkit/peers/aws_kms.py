"""AWS KMS, as moto plays it, with its checks of signatures and rights. Arguments and output: README.md."""

import json
import logging
import os
import sys

# The calls that make the user, their key, their rights and the KMS key; every one behind them must be signed.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-3"
RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}
    ],
}


def main():
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody", "region_name": REGION}
    iam = boto3.client("iam", endpoint_url=url, **nobody)
    iam.create_user(UserName="switchboard")
    iam.put_user_policy(UserName="switchboard", PolicyName="kms", PolicyDocument=json.dumps(RIGHTS))
    made = iam.create_access_key(UserName="switchboard")["AccessKey"]
    key = boto3.client("kms", endpoint_url=url, **nobody).create_key()["KeyMetadata"]["KeyId"]
    told = {"url": url, "region": REGION, "key": key, "id": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    print(json.dumps(told), flush=True)
    sys.stdin.read()
    server.stop()


main()
