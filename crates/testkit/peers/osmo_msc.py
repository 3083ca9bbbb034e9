"""osmo-msc as a carrier. Arguments and output: README.md. Only Python's own library.

It accepts every submit_sm with the same message id, stores it for a subscriber who never appears, and reports nothing: the
carrier of whom one learns no more than that it took the message.
"""

import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

START_LIMIT_S = 30

# Its other ports are fixed, so each run has a loopback address to itself.
CONFIG = """
log stderr
 logging filter all 1
 logging color 0
 logging level set-all info
line vty
 no login
 bind {address}
ctrl
 bind {address}
smpp
 local-tcp-ip {address} 2775
 system-id osmo-msc
 policy closed
 no smpp-first
 esme {system_id}
  password {password}
  default-route
network
 network country code 1
 mobile network code 1
msc
 mncc internal
 mgw local-ip {address}
 mgw remote-ip {address}
hlr
 remote-ip {address}
sgs
 local-ip {address}
"""


def start(folder, system_id, password):
    address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
    shim = f"{folder}/sctp_over_tcp.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sctp_over_tcp.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    with open(f"{folder}/msc.cfg", "w", encoding="ascii") as file:
        file.write(CONFIG.format(**locals()))
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(
            ["osmo-msc", "-c", "msc.cfg"],
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LD_PRELOAD": shim},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and server.poll() is None:
        try:
            socket.create_connection((address, 2775), timeout=1).close()
            return server, f"{address}:2775"
        except OSError:
            time.sleep(0.05)
    server.kill()
    with open(f"{folder}/log", encoding="latin-1") as log:
        raise SystemExit(f"osmo-msc did not start: {log.read()}")


def stored(folder):
    """How many messages it stored, and how many different ones."""
    database = sqlite3.connect(f"{folder}/sms.db")
    return database.execute("select count(*), count(distinct dest_addr || hex(user_data)) from SMS").fetchone()


def main():
    system_id, password = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="switchboard-osmo-") as folder:
        server, listening = start(folder, system_id, password)
        print(json.dumps({"listening": listening}), flush=True)
        sys.stdin.read()
        server.terminate()
        server.wait()
        submits, messages = stored(folder)
        with open(f"{folder}/log", encoding="latin-1") as log:
            errors = re.findall(r"^.*(?:Assert|SIGSEGV|signal 11).*$", log.read(), re.MULTILINE)
    print(json.dumps({
        "binds": None,
        "unbinds": None,
        "submits": submits,
        "messages": messages,
        "receipts": None,
        "errors": errors[:20],
    }), flush=True)


main()
