"""Kannel as a customer: bearerbox holds the bind, smsbox takes our messages over HTTP and reports receipts to us over HTTP.

Arguments and output: README.md; here two more may follow: the protocol (`smpp`, `emi` for UCP, `cimd2`, `http` for
`/cgi-bin/sendsms`), and how many inbound
messages to wait for. Only Python's own library.
"""

import collections
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

IDLE_LIMIT_S = 30
START_LIMIT_S = 30
STOP_LIMIT_S = 30
SENDERS = 8
ERRORS_MAX = 20

# The kinds of report that Kannel knows, and whose sum is the mask of those we ask for.
DELIVERED, FAILED, ACCEPTED, REJECTED = 1, 2, 8, 16

BEARERBOX = """
group = core
admin-port = {admin}
admin-password = password
smsbox-port = {box}
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-file = {folder}/bearerbox.log
log-level = 1

group = smsc
smsc = {protocol}
smsc-id = peer
host = {host}
port = {smsc_port}
smsc-username = {system_id}
smsc-password = {password}
reconnect-delay = 1
{dialect}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = user
password = password
user-allow-ip = 127.0.0.1

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{report_port}/?inbound=%a"
"""

# What each protocol has of its own.
DIALECTS = {
    "smpp": """transceiver-mode = true
system-type = ""
interface-version = 34
max-pending-submits = {window}""",
    "emi": """flow-control = 0
window = {window}
keepalive = 5""",
    "cimd2": """keepalive = 5""",
    "http": """system-type = kannel
connect-allow-ip = 127.0.0.1
send-url = "http://{host}:{port}/cgi-bin/sendsms"
dlr-url = "http://127.0.0.1:{receive}/?username={system_id}&password={password}&to=%p&text=%A"
max-pending-submits = {window}""",
}


class Reports:
    """Receipts by our message number, as smsbox's requests bring them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.final, self.accepted, self.rejected = collections.Counter(), set(), set()
        self.inbound = []
        self.moved = time.monotonic()

    def add(self, number, kind):
        with self.lock:
            self.moved = time.monotonic()
            if kind == ACCEPTED:
                self.accepted.add(number)
            elif kind == REJECTED:
                self.rejected.add(number)
            elif kind in (DELIVERED, FAILED):
                self.final[number] += 1

    def receive(self, text):
        with self.lock:
            self.moved = time.monotonic()
            self.inbound.append(text)

    def settled(self):
        """How many messages are over. smsbox's requests overtake each other, so a receipt may precede the acceptance."""
        with self.lock:
            return len((self.final.keys() & self.accepted) | self.rejected)


def receiver(reports):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            if "inbound" in query:
                reports.receive(query["inbound"][0])
            else:
                reports.add(int(query["id"][0]), int(query["kind"][0]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        # smsbox connects once for each report, all at once: with Python's 5 the kernel drops most of them.
        request_queue_size = 4096

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def free_ports(number):
    """Ports that were free a moment ago, different from each other."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def get(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode("latin-1")


def wait_for_status(admin, boxes, *patterns):
    """Waits until bearerbox's status page matches. Raises when it does not in time."""
    limit = time.monotonic() + START_LIMIT_S
    status = "no answer"
    while time.monotonic() < limit:
        if any(box.poll() is not None for box in boxes):
            raise RuntimeError("a Kannel process ended at its start")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
            _, status = get(connection, "/status.txt?password=password")
        except OSError:
            status = "no answer"
        if status != "no answer" and all(re.search(pattern, status) for pattern in patterns):
            return
        time.sleep(0.05)
    raise RuntimeError(f"Kannel did not come online: {status}")


def send(port, report_port, numbers, errors):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=IDLE_LIMIT_S)
    for number in numbers:
        query = urllib.parse.urlencode({
            "username": "user",
            "password": "password",
            "from": "kannel",
            "to": f"+{4915100000000 + number}",
            "text": f"ID{number} from Kannel",
            "dlr-mask": DELIVERED + FAILED + ACCEPTED + REJECTED,
            "dlr-url": f"http://127.0.0.1:{report_port}/?id={number}&kind=%d",
        })
        try:
            status, body = get(connection, f"/cgi-bin/sendsms?{query}")
        except (OSError, http.client.HTTPException) as error:
            errors.append(f"sendsms: {error}")
            return
        if status != 202:
            errors.append(f"sendsms answered {status}: {body}")


def stop(boxes, errors):
    """Ends smsbox, then bearerbox, which unbinds."""
    for box in reversed(boxes):
        box.send_signal(signal.SIGTERM)
        try:
            code = box.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            box.kill()
            code = "a kill after waiting"
        if code != 0:
            errors.append(f"{box.args[0]} ended with {code}")


def complaints(folder):
    """What Kannel logged as an error, apart from our own signal, which it also calls one."""
    for name in ("bearerbox.log", "smsbox.log"):
        with open(f"{folder}/{name}", encoding="latin-1") as log:
            yield from (line.strip() for line in log if re.search(r" (ERROR|PANIC): (?!SIG\w+ received)", line))


def end_with_standard_input(boxes):
    sys.stdin.read()
    for box in boxes:
        box.kill()
    os._exit(1)


def drive(folder, boxes, reports, errors):
    host, port, system_id, password, count, window, first, *more = sys.argv[1:]
    count, window, first = map(int, (count, window, first))
    protocol, inbound = (more + ["smpp", "0"][len(more):])[:2]
    admin, box, sendsms, receive = free_ports(4)
    # Over HTTP the port is where Kannel itself listens for what comes back.
    smsc_port = receive if protocol == "http" else port
    dialect = DIALECTS[protocol].format(**locals())
    report_port = receiver(reports)
    config = f"{folder}/kannel.conf"
    with open(config, "w", encoding="ascii") as file:
        file.write(BEARERBOX.format(**locals()))
    for name in ("bearerbox", "smsbox"):
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        quiet = subprocess.DEVNULL
        boxes.append(subprocess.Popen([name, config], env={"PATH": path}, stdout=quiet, stderr=quiet, stdin=quiet))
        # smsbox gives up at once when bearerbox does not listen yet.
        wait_for_status(admin, boxes)
    wait_for_status(admin, boxes, r"\(online", r"smsbox.*on-line")
    begun = reports.moved = time.monotonic()
    senders = [
        threading.Thread(target=send, args=(sendsms, report_port, range(first + at, first + count, SENDERS), errors))
        for at in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    while reports.settled() < count or len(reports.inbound) < int(inbound):
        if time.monotonic() - reports.moved > IDLE_LIMIT_S:
            errors.append(f"nothing came for {IDLE_LIMIT_S} s")
            break
        time.sleep(0.02)
    seconds = time.monotonic() - begun
    stop(boxes, errors)
    errors.extend(complaints(folder))
    return count, seconds


def main():
    boxes, errors, reports = [], [], Reports()
    threading.Thread(target=end_with_standard_input, args=(boxes,), daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="switchboard-kannel-") as folder:
        try:
            count, seconds = drive(folder, boxes, reports, errors)
        except (RuntimeError, OSError) as error:
            count, seconds = 0, 0
            errors.append(str(error))
            errors.extend(complaints(folder))
            for box in boxes:
                box.kill()
    print(json.dumps({
        "sent": count,
        "accepted": len(reports.accepted),
        "receipts": len(reports.final),
        "duplicates": sum(reports.final.values()) - len(reports.final),
        "inbound": reports.inbound,
        "errors": errors[:ERRORS_MAX],
        "seconds": round(seconds, 3),
    }), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
