"""A morning as Locust users live it: balls ripen at seven, people open their forest, collect, and visit friends.

`python -m loadtest morning` prepares a database, starts the engine and runs this. By hand, against any engine:

    SAXAUL_TOKEN_SECRET=… SAXAUL_LOAD_USERS=1-30 locust -f loadtest/locustfile.py --host http://127.0.0.1:8000

Locust has no WebSocket user of its own; the one here is small and speaks the Centrifuge JSON protocol. Locust
itself is the bound long before the engine: for the ceiling use `python -m loadtest`.
"""

import itertools
import json
import os
import random
import time
import uuid
from datetime import datetime
from typing import Any

import gevent
import jwt
import websocket
from gevent.event import AsyncResult
from locust import User, between, task

REPLY_TIMEOUT_S = 15.0
VISITS_MAX = 3
_first, _, _last = os.environ.get("SAXAUL_LOAD_USERS", "1-30").partition("-")
_users = itertools.cycle(range(int(_first), int(_last or _first) + 1))
_secret = os.environ.get("SAXAUL_TOKEN_SECRET", "")


class WebSocketUser(User):
    """One signed-in socket. `call` waits for the reply of the same id; a greenlet of its own reads everything else."""

    abstract = True

    def on_start(self) -> None:
        """Sign in."""
        self.user_id = next(_users)
        self._ids = itertools.count(1)
        self._waiting: dict[int, AsyncResult] = {}
        address = (self.host or "http://127.0.0.1:8000").replace("http", "ws", 1).rstrip(
            "/"
        ) + "/connection/websocket"
        self._socket = websocket.create_connection(address, timeout=REPLY_TIMEOUT_S, suppress_origin=True)
        self._socket.settimeout(None)
        self._reader = gevent.spawn(self._read)
        claims = {"sub": str(self.user_id), "aud": "saxaul", "exp": int(time.time()) + 86_400}
        self.call("connect", {"token": jwt.encode(claims, _secret, algorithm="HS256")}, "connect")

    def on_stop(self) -> None:
        """Hang up."""
        self._reader.kill()
        self._socket.close()

    def call(self, method: str, params: dict[str, Any], name: str) -> dict[str, Any]:
        """One protocol call, counted under `name`; the result, empty when it failed."""
        number = next(self._ids)
        waiting = self._waiting[number] = AsyncResult()
        begun = time.perf_counter()
        problem: Exception | None = None
        result: dict[str, Any] = {}
        try:
            self._socket.send(json.dumps({"id": number, method: params}))
            reply: dict[str, Any] = waiting.get(timeout=REPLY_TIMEOUT_S) or {}
            if "error" in reply:
                raise RuntimeError(f"{reply['error'].get('code')} {reply['error'].get('message')}")
            result = reply.get(method, {})
            refused = result.get("data", {}).get("error") if method == "rpc" else None
            if refused:
                raise RuntimeError(refused["code"])
        except (RuntimeError, OSError, gevent.Timeout, websocket.WebSocketException) as found:
            problem = found if isinstance(found, Exception) else TimeoutError(str(found))
        finally:
            self._waiting.pop(number, None)
        self._count("call", name, (time.perf_counter() - begun) * 1000, len(str(result)), problem)
        return result

    def rpc(self, method: str, data: dict[str, Any]) -> dict[str, Any]:
        """One game call; its data."""
        return self.call("rpc", {"method": method, "data": data}, method).get("data", {})

    def subscribe(self, channel: str) -> None:
        """Listen to a channel."""
        self.call("subscribe", {"channel": channel}, f"subscribe {channel.partition(':')[0]}")

    def unsubscribe(self, channel: str) -> None:
        """Stop listening."""
        self.call("unsubscribe", {"channel": channel}, "unsubscribe")

    def _read(self) -> None:
        while True:
            try:
                frame = self._socket.recv()
            except (OSError, websocket.WebSocketException):
                return
            for line in str(frame or "").split("\n"):
                if line == "{}":
                    self._socket.send("{}")
                elif line:
                    self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("id"):
            waiting = self._waiting.get(message["id"])
            if waiting is not None:
                waiting.set(message)
            return
        publication = message.get("push", {}).get("pub")
        if publication is not None:
            told = publication["data"]
            since_ms = (time.time() - datetime.fromisoformat(told["at"]).timestamp()) * 1000
            self._count("push", told["type"], max(0.0, since_ms), len(str(told)), None)

    def _count(self, kind: str, name: str, took_ms: float, size: int, problem: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=took_ms,
            response_length=size,
            exception=problem,
            context={},
        )


class Morning(WebSocketUser):
    """Opens the own forest, takes what is ripe, visits a few friends, looks at the trees on offer, waits, again."""

    wait_time = between(0.5, 2.0)

    def on_start(self) -> None:
        """Sign in and listen to what is one's own."""
        super().on_start()
        self.subscribe(f"user:{self.user_id}")
        self.subscribe(f"forest:{self.user_id}")

    @task(4)
    def own_forest(self) -> None:
        """Look, and collect everything ripe in one command."""
        forest = self.rpc("forest.get", {})
        ripe = [ball["id"] for ball in forest.get("balls", []) if ball["status"] == "ripe"]
        if ripe:
            self.rpc("ball.collect", {"key": _key(), "balls": ripe[:50]})

    @task(3)
    def visit_friends(self) -> None:
        """See who has something, go there, watch, take one ball each, leave."""
        friends = [
            friend for friend in self.rpc("friend.list", {}).get("friends", []) if friend.get("takeable")
        ]
        for friend in random.sample(friends, min(VISITS_MAX, len(friends))):
            channel = f"forest:{friend['user']}"
            self.subscribe(channel)
            forest = self.rpc("forest.get", {"user": friend["user"]})
            ripe = [ball["id"] for ball in forest.get("balls", []) if ball["status"] == "ripe"]
            if ripe:
                self.rpc("ball.collect", {"key": _key(), "owner": friend["user"], "balls": ripe[:1]})
            self.unsubscribe(channel)

    @task(1)
    def look_at_offers(self) -> None:
        """What could be planted."""
        self.rpc("offer.catalogue", {})


def _key() -> str:
    """A UUIDv7."""
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | random.getrandbits(12) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | random.getrandbits(62)))
