"""Kannel as a provider over HTTP: smsbox takes messages by sendsms, bearerbox hands them on to a centre over SMPP.

Arguments: the centre's host and port, then as README.md says. Only Python's own library.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import http.client

from kannel_esme import ERRORS_MAX, complaints, free_ports, get, stop, wait_for_status

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = password
smsbox-port = {box}
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-file = {folder}/bearerbox.log
log-level = 1

group = smsc
smsc = smpp
smsc-id = centre
host = {host}
port = {port}
smsc-username = kannel
smsc-password = secret
reconnect-delay = 1
transceiver-mode = true
system-type = ""
interface-version = 34
max-pending-submits = 50

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = {user}
password = {password}
user-allow-ip = 127.0.0.1
default-sender = 10000
max-messages = 10

group = sms-service
keyword = default
max-messages = 0
text = "none"
"""


def main():
    host, port, user, password = sys.argv[1:]
    admin, box, sendsms = free_ports(3)
    boxes, errors = [], []
    with tempfile.TemporaryDirectory(prefix="switchboard-kannel-") as folder:
        config = f"{folder}/kannel.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(**locals()))
        sent = 0
        try:
            for name in ("bearerbox", "smsbox"):
                path = os.environ.get("PATH", "") + ":/usr/sbin"
                quiet = subprocess.DEVNULL
                boxes.append(subprocess.Popen([name, config], env={"PATH": path}, stdout=quiet, stderr=quiet, stdin=quiet))
                wait_for_status(admin, boxes)
            wait_for_status(admin, boxes, r"\(online", r"smsbox.*on-line")
            print(json.dumps({"listening": f"127.0.0.1:{sendsms}"}), flush=True)
            sys.stdin.read()
            _, status = get(http.client.HTTPConnection("127.0.0.1", admin, timeout=5), "/status.txt?password=password")
            told = re.search(r"SMS: .*?sent (\d+)", status)
            sent = int(told.group(1)) if told else 0
        except (RuntimeError, OSError) as error:
            errors.append(str(error))
        stop(boxes, errors)
        errors.extend(complaints(folder))
    print(json.dumps({
        "binds": None, "unbinds": None, "submits": sent, "messages": sent, "receipts": None, "errors": errors[:ERRORS_MAX],
    }), flush=True)


main()
