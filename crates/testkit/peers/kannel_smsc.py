"""Kannel's own message centres, made to test Kannel, as carriers. Arguments and output: README.md; here a third follows: the
protocol, `smpp` or `cimd2`. Only Python's own library.

The one for SMPP binds transmitters and receivers, answers with empty ids, and delivers twenty receipts for a message that
never was to whoever binds as a receiver; what it did is read from its log. The one for CIMD2 answers everything well and says nothing about it, so that
what passes is counted on the way to it.
"""

import collections
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

FOLDER = "/usr/lib/kannel/test"
START_LIMIT_S = 10
DELIVERIES = 20
# Written into drive_smpp.
BEARERBOX_PORT = 13001
ERRORS_MAX = 20
LOGIN, LOGOUT, SUBMIT = b"01", b"02", b"03"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port, program):
    """Waits until it listens. It is not connected to: drive_smpp ends with its first connection."""
    listening = f":{port:04X} 00000000:0000 0A"
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and program.poll() is None:
        with open("/proc/net/tcp", encoding="ascii") as sockets:
            if listening in sockets.read():
                return
        time.sleep(0.05)
    raise RuntimeError("the centre did not start")


class Smpp:
    """drive_smpp; whoever binds is welcome."""

    def __init__(self, _system_id, _password):
        self.folder = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.folder.name, "log")
        # It is an smsbox too, and ends where no bearerbox lets it in.
        self.bearerbox = socket.create_server(("127.0.0.1", BEARERBOX_PORT))
        self.port = free_port()
        words = [f"{FOLDER}/drive_smpp", "-v", "0", "-p", str(self.port), "-m", str(DELIVERIES)]
        self.program = subprocess.Popen(words, stdout=open(self.log, "wb"), stderr=subprocess.STDOUT)
        wait_for(self.port, self.program)

    def seen(self):
        with open(self.log, encoding="latin-1") as log:
            lines = log.read()
        kinds = collections.Counter(re.findall(r"Handling SMPP PDU of type (\w+)", lines))
        texts = re.findall(r"submit_sm: short_message = <(.*)>", lines)
        return {
            "binds": kinds["bind_transmitter"] + kinds["bind_receiver"],
            "unbinds": kinds["unbind"],
            "submits": kinds["submit_sm"],
            "messages": len(set(texts)),
            "receipts": kinds["deliver_sm_resp"],
            "errors": re.findall(r"(?:ERROR|WARNING|PANIC): (.*)", lines)[:ERRORS_MAX],
        }


class Cimd2:
    """test_cimd2, behind a door at which packets are counted."""

    def __init__(self, system_id, password):
        self.binds = self.unbinds = self.submits = 0
        self.texts, self.errors = set(), []
        self.inner = free_port()
        words = [f"{FOLDER}/test_cimd2", "--port", str(self.inner), "--activity", "1"]
        words += ["--user", system_id, "--password", password]
        self.program = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.inner, self.program)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        # It has one client at a time, and so has the door.
        while True:
            client, _ = self.door.accept()
            centre = socket.create_connection(("127.0.0.1", self.inner))
            back = threading.Thread(target=self.copy, args=(centre, client, None), daemon=True)
            back.start()
            self.copy(client, centre, self.count)
            back.join()

    def copy(self, source, target, count):
        kept = b""
        try:
            while octets := source.recv(65536):
                target.sendall(octets)
                if count:
                    *packets, kept = (kept + octets).split(b"\x03")
                    for packet in packets:
                        count(packet.lstrip(b"\x02"))
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, packet):
        operation = packet[:2]
        self.binds += operation == LOGIN
        self.unbinds += operation == LOGOUT
        if operation == SUBMIT:
            self.submits += 1
            text = re.search(rb"\t033:([^\t]*)", packet)
            self.texts.add(text.group(1) if text else packet)

    def seen(self):
        return {
            "binds": self.binds,
            "unbinds": self.unbinds,
            "submits": self.submits,
            "messages": len(self.texts),
            "receipts": None,
            "errors": self.errors,
        }


def main():
    system_id, password, protocol = sys.argv[1:]
    centre = (Smpp if protocol == "smpp" else Cimd2)(system_id, password)
    print(json.dumps({"listening": f"127.0.0.1:{centre.port}"}), flush=True)
    sys.stdin.read()
    seen = centre.seen()
    centre.program.kill()
    centre.program.wait()
    print(json.dumps(seen), flush=True)
    os._exit(0)


main()
