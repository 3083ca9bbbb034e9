"""aiosmtpd as a mail server. Arguments and output: README.md."""

import email
import email.policy
import json
import smtplib
import socket
import sys
import threading
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart

from aiosmtpd.controller import Controller

ERRORS_MAX = 20


def report(to, path):
    """A delivery status notification, as Python's library writes one."""
    status = Message()
    status["Reporting-MTA"] = "dns; mx.example"
    recipient = Message()
    recipient["Final-Recipient"] = f"rfc822; {to}"
    recipient["Action"] = "failed"
    recipient["Status"] = "5.2.2"
    fields = Message()
    fields.add_header("Content-Type", "message/delivery-status")
    fields.set_payload([status, recipient])
    words = EmailMessage()
    words.set_content("The mailbox is full.")
    mail = MIMEMultipart("report", report_type="delivery-status")
    mail["From"] = "MAILER-DAEMON@mx.example"
    mail["To"] = path
    mail["Subject"] = "Undelivered Mail"
    mail["Auto-Submitted"] = "auto-replied"
    mail.attach(words)
    mail.attach(fields)
    return mail


class Handler:
    def __init__(self, gateway):
        self.gateway = gateway
        self.mails, self.errors, self.waiting = [], [], []

    async def handle_RCPT(self, server, session, envelope, address, options):
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        text = body.get_content().strip() if body else ""
        self.mails.append({"from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": str(mail["Subject"]), "text": text})
        if any(to.startswith("full") for to in envelope.rcpt_tos):
            thread = threading.Thread(target=self.bounce, args=(envelope.rcpt_tos[0], envelope.mail_from))
            self.waiting.append(thread)
            thread.start()
        return "250 OK"

    def bounce(self, to, path):
        try:
            with smtplib.SMTP(*self.gateway, timeout=30) as server:
                server.sendmail("", [path], report(to, path).as_bytes())
        except (OSError, smtplib.SMTPException) as error:
            self.errors.append(repr(error))


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    handler = Handler((host, int(port)))
    # Its start connects to the port that it was given, so it must be one that is known.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    print(json.dumps({"listening": f"127.0.0.1:{port}"}), flush=True)
    sys.stdin.read()
    for thread in handler.waiting:
        thread.join(30)
    controller.stop()
    print(json.dumps({"mails": handler.mails, "errors": handler.errors[:ERRORS_MAX]}), flush=True)


main()
