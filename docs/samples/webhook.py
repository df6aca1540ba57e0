"""Hears webhooks (pip install standardwebhooks): SECRET=whsec_… python webhook.py 9000

Checks the signature over the exact bytes, answers at once, and takes each message once: it may come again.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

BYTES_MAX = 65_536
seen: set[str] = set()  # a table of your database, in earnest


class Hook(BaseHTTPRequestHandler):
    """One webhook."""

    def do_POST(self) -> None:
        """Check, remember, answer; work is done afterwards."""
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), BYTES_MAX))
        try:
            event = Webhook(os.environ["SECRET"]).verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            self.answer(401)
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(event["sequence"], event["type"], event["data"].get("order", ""), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """No body: nobody reads it."""
        self.send_response(status)
        self.end_headers()


HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
