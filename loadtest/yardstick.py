"""The yardstick: what an unmodified FastAPI endpoint does with the same frames on the same machine.

One endpoint echoes, one sends every message to all who listen, in the plainest way a team would write them.
Served by uvicorn with `ws="websockets-sansio"` and uvloop, compression off; it must know nothing of the engine.
"""

import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
_listeners: set[WebSocket] = set()


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """The port is open."""
    return {"status": "ok"}


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Send back what came."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


@app.websocket("/listen")
async def listen(socket: WebSocket) -> None:
    """Get what others say on /speak."""
    await socket.accept()
    _listeners.add(socket)
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        _listeners.discard(socket)


@app.websocket("/speak")
async def speak(socket: WebSocket) -> None:
    """Every message goes to all who listen, then back."""
    await socket.accept()
    try:
        while True:
            message = await socket.receive_text()
            for listener in list(_listeners):
                await listener.send_text(message)
            await socket.send_text(message)
    except WebSocketDisconnect:
        return


def main() -> None:
    """Serve on 127.0.0.1 and the port given as the only argument."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
