"""smpplib as a customer. Arguments and output: README.md."""

import json
import os
import re
import socket
import sys
import threading
import time

import smpplib.client
import smpplib.exceptions

IDLE_LIMIT_S = 30
ERRORS_MAX = 20


class Run:
    """What was sent and what came back, by message id."""

    def __init__(self, count, window, first):
        self.count, self.window, self.first = count, window, first
        self.sent = self.answered = self.duplicates = self.matched = 0
        self.accepted, self.received, self.errors = set(), {}, []
        self.moved = time.monotonic()

    def fail(self, text):
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(text)

    def response(self, pdu, **_):
        self.answered += 1
        self.moved = time.monotonic()
        message = pdu.message_id.decode()
        if message in self.accepted:
            self.fail(f"message id {message} given twice")
        self.accepted.add(message)
        if message in self.received:
            self.matched += 1

    def refusal(self, pdu):
        self.fail(f"{pdu.command} with status {pdu.status}")
        if pdu.command == "submit_sm_resp":
            self.answered += 1
        self.moved = time.monotonic()

    def receipt(self, pdu, **_):
        self.moved = time.monotonic()
        text = (pdu.short_message or b"").decode("latin-1")
        named = pdu.receipted_message_id.decode() if pdu.receipted_message_id else None
        found = re.search(r"id:(\S+)", text)
        message = named or (found and found.group(1))
        if pdu.esm_class & 0x3C != 0x04 or not message:
            self.fail(f"deliver_sm that is no receipt: {text}")
            return
        state = re.search(r"stat:(\w+)", text)
        if state and state.group(1) in ("ENROUTE", "ACCEPTD"):
            return
        times = self.received[message] = self.received.get(message, 0) + 1
        if times > 1:
            self.duplicates += 1
        elif message in self.accepted:
            self.matched += 1

    def done(self):
        return self.answered == self.count and self.matched == len(self.accepted)

    def submit(self, client):
        number = self.first + self.sent
        self.sent += 1
        client.send_message(
            source_addr_ton=5,
            source_addr="smpplib",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=str(4915100000000 + number),
            registered_delivery=True,
            short_message=f"ID{number} from smpplib".encode(),
        )


def unbind(client, run):
    answer = client.unbind()
    if answer is None or answer.command != "unbind_resp" or answer.status != 0:
        run.fail(f"unbind was answered by {answer and answer.command}")
    client.disconnect()


def drive(client, run, system_id, password):
    client.connect()
    # A window of 1 would otherwise wait for delayed acknowledgements of TCP.
    client._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.bind_transceiver(system_id=system_id, password=password)
    while not run.done():
        while run.sent < run.count and run.sent - run.answered < run.window:
            run.submit(client)
        client.read_once()
        if time.monotonic() - run.moved > IDLE_LIMIT_S:
            run.fail(f"nothing came for {IDLE_LIMIT_S} s")
            break
    unbind(client, run)


def end_with_standard_input():
    sys.stdin.read()
    os._exit(1)


def main():
    host, port, system_id, password, *numbers = sys.argv[1:]
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    run = Run(*map(int, numbers))
    client = smpplib.client.Client(host, int(port), allow_unknown_opt_params=True)
    client.set_message_sent_handler(run.response)
    client.set_message_received_handler(run.receipt)
    client.set_error_pdu_handler(run.refusal)
    begun = time.monotonic()
    try:
        drive(client, run, system_id, password)
    except (smpplib.exceptions.ConnectionError, smpplib.exceptions.PDUError, OSError) as error:
        run.fail(f"{type(error).__name__}: {error}")
    for message in run.received.keys() - run.accepted:
        run.fail(f"receipt for unknown id {message}")
    print(json.dumps({
        "sent": run.sent,
        "accepted": len(run.accepted),
        "receipts": run.matched,
        "duplicates": run.duplicates,
        "errors": run.errors,
        "seconds": round(time.monotonic() - begun, 3),
    }), flush=True)
    os._exit(0)


main()
