"""Settings in a key-value bucket: whoever watches hears of every change; two who write at once do not lose one.

    python settings.py

Ends with 0 only if the watcher saw every change and the write that came too late was refused.
"""

import asyncio
import os
import sys

import nats
from nats.js.errors import KeyWrongLastSequenceError

SERVER = os.environ.get("NEUROPLEX_SERVER", "nats://127.0.0.1:4222")


async def main() -> int:
    client = await nats.connect(SERVER, name="settings")
    js = client.jetstream()
    settings = await js.create_key_value(bucket="example-settings", history=5)

    first = await settings.put("lamp.hall", b"off")
    watcher = await settings.watch("lamp.*")

    # An update says which revision it has seen; whoever was slower is told so.
    await settings.update("lamp.hall", b"on", last=first)
    try:
        await settings.update("lamp.hall", b"dimmed", last=first)
        refused = False
    except KeyWrongLastSequenceError as error:
        refused = True
        print(f"refused: {error.description}")
    await settings.delete("lamp.hall")

    seen = []
    while len(seen) < 3:
        entry = await watcher.updates()
        if entry is not None:  # None: everything that was there before has been seen
            seen.append(entry.operation or entry.value.decode())
            print(f"{entry.key} {seen[-1]}")
    await watcher.stop()

    await js.delete_key_value("example-settings")
    await client.close()
    return 0 if refused and seen == ["off", "on", "DEL"] else 1


sys.exit(asyncio.run(main()))
