"""Python's smtplib as a mail program. Arguments and output: README.md."""

import json
import smtplib
import ssl
import sys
import time
from email.message import EmailMessage

ERRORS_MAX = 20


def letter(number):
    mail = EmailMessage()
    mail["From"] = "Anna <anna@x.example>"
    mail["To"] = f"+3361{number % 10_000_000:07d}@sms.example"
    mail["Subject"] = "Grüße"
    mail["Message-ID"] = f"<{number}@x.example>"
    mail.set_content(f"ID{number} Ünïcode €\n-- \nAnna")
    mail.add_alternative(f"<p>ID{number} <b>rich</b></p>", subtype="html")
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")
    return mail


def main():
    host, port, user, password, count, _, first = sys.argv[1:8]
    began = time.monotonic()
    sent = accepted = 0
    errors = []
    with smtplib.SMTP(host, int(port), timeout=30) as server:
        # The certificate is the test's own.
        server.starttls(context=ssl._create_unverified_context())
        server.login(user, password)
        for number in range(int(first), int(first) + int(count)):
            sent += 1
            try:
                refused = server.send_message(letter(number))
                accepted += not refused
            except smtplib.SMTPException as error:
                errors.append(repr(error))
    seconds = time.monotonic() - began
    outcome = {"sent": sent, "accepted": accepted, "receipts": 0, "duplicates": 0, "errors": errors[:ERRORS_MAX]}
    print(json.dumps(outcome | {"seconds": seconds}), flush=True)


main()
