#!/usr/bin/env python3
"""Python Hypercorn as the server of HTTP/2 that our client is tested with: http2_server.py PORT

    /echo            each message as it came
    /close/CODE/WHY  closes at once with that code and reason
    /protocol        speaks the subprotocol "superchat"
    /refuse          403
"""

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    _, what, *rest = scope["path"].split("/")
    if what == "refuse":
        await send({"type": "websocket.close"})
        return
    assert scope["http_version"] == "2"
    await send({"type": "websocket.accept", "subprotocol": "superchat" if what == "protocol" else None})
    if what == "close":
        await send({"type": "websocket.close", "code": int(rest[0]), "reason": rest[1]})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


config = Config()
config.bind = [f"127.0.0.1:{int(sys.argv[1])}"]
config.loglevel = "WARNING"
asyncio.run(serve(app, config))
