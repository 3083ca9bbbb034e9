"""aiosmpplib as a customer. Arguments and output: README.md."""

import asyncio
import json
import os
import sys
import threading
import time

from aiosmpplib import ESME, NPI, TON, PhoneNumber, SubmitSm
from aiosmpplib.broker import AbstractBroker
from aiosmpplib.hook import AbstractHook
from aiosmpplib.log import CRITICAL
from aiosmpplib.protocol import DeliverSm, GenericNack, SubmitSmResp
from aiosmpplib.state import SmppCommandStatus, SmppError

IDLE_LIMIT_S = 30
ERRORS_MAX = 20


class Run:
    """What was sent and what came back, by message id."""

    def __init__(self, count, window, first):
        self.count, self.window, self.first = count, window, first
        self.sent = self.answered = self.duplicates = self.matched = 0
        self.accepted, self.received, self.errors = set(), {}, []
        self.moved = time.monotonic()
        self.room = asyncio.Semaphore(window)

    def fail(self, text):
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(text)

    def response(self, pdu):
        self.answered += 1
        self.room.release()
        if pdu.command_status != SmppCommandStatus.ESME_ROK:
            self.fail(f"submit_sm_resp with status {pdu.command_status.name}")
            return
        if pdu.message_id in self.accepted:
            self.fail(f"message id {pdu.message_id} given twice")
        self.accepted.add(pdu.message_id)
        if pdu.message_id in self.received:
            self.matched += 1

    def receipt(self, pdu):
        if not pdu.is_receipt():
            self.fail(f"deliver_sm that is no receipt: {pdu.short_message}")
            return
        told = pdu.parse_receipt()
        if told.get("stat") in ("ENROUTE", "ACCEPTD"):
            return
        message = told.get("id")
        times = self.received[message] = self.received.get(message, 0) + 1
        if times > 1:
            self.duplicates += 1
        elif message in self.accepted:
            self.matched += 1

    def done(self):
        return self.answered == self.count and self.matched == len(self.accepted)


class Messages(AbstractBroker):
    """Gives the next message when the window has room."""

    def __init__(self, run):
        self.run = run

    async def enqueue(self, message):
        raise NotImplementedError

    async def dequeue(self):
        run = self.run
        while run.sent == run.count:
            await asyncio.sleep(3600)
        await run.room.acquire()
        number = run.first + run.sent
        run.sent += 1
        return SubmitSm(
            short_message=f"ID{number} from aiosmpplib",
            source=PhoneNumber("aiosmpplib", TON.ALPHANUMERIC, NPI.UNKNOWN),
            destination=PhoneNumber(str(4915100000000 + number), TON.INTERNATIONAL, NPI.ISDN),
            registered_delivery=1,
        )


class Hook(AbstractHook):
    """Hears what the library hears."""

    def __init__(self, run):
        self.run = run

    async def sending(self, smpp_message, pdu, client_id):
        pass

    async def received(self, smpp_message, pdu, client_id):
        self.run.moved = time.monotonic()
        if isinstance(smpp_message, SubmitSmResp):
            self.run.response(smpp_message)
        elif isinstance(smpp_message, DeliverSm):
            self.run.receipt(smpp_message)
        elif smpp_message is None or isinstance(smpp_message, GenericNack):
            self.run.fail(f"not understood: {pdu.hex()}")

    async def send_error(self, smpp_message, error, client_id):
        self.run.fail(f"not sent: {type(error).__name__}: {error}")


async def drive(host, port, system_id, password, numbers):
    run = Run(*map(int, numbers))
    esme = ESME(host, int(port), system_id, password, log_level=CRITICAL, hook=Hook(run), broker=Messages(run))
    begun = time.monotonic()
    try:
        # `start` tries again for ever; this says what is wrong.
        await esme.connect()
    except (SmppError, OSError, ValueError) as error:
        # ValueError: a refusal without a body, which it takes for a broken one, and at times says so to the hook too.
        if not run.errors:
            run.fail(f"{type(error).__name__}: {error}")
        return run, begun
    running = asyncio.create_task(esme.start())
    while not run.done():
        await asyncio.sleep(0.005)
        if time.monotonic() - run.moved > IDLE_LIMIT_S:
            run.fail(f"nothing came for {IDLE_LIMIT_S} s")
            break
    await esme.stop()
    await running
    for message in run.received.keys() - run.accepted:
        run.fail(f"receipt for unknown id {message}")
    return run, begun


def end_with_standard_input():
    sys.stdin.read()
    os._exit(1)


def main():
    host, port, system_id, password, *numbers = sys.argv[1:]
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    run, begun = asyncio.run(drive(host, port, system_id, password, numbers))
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
