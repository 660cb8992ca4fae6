"""A worker: takes one task at a time from the queue that it shares with its colleagues, and answers.

    python worker.py NAME
"""

import asyncio
import json
import os
import sys

import nats

SERVER = os.environ.get("NEUROPLEX_SERVER", "nats://127.0.0.1:4222")


async def main(name: str) -> None:
    async def work(message) -> None:
        line = json.loads(message.data)["line"]
        answer = {"worker": name, "words": len(line.split())}
        await message.respond(json.dumps(answer).encode())

    client = await nats.connect(SERVER, name=f"worker {name}")
    # Every worker names the same queue, so each task reaches exactly one of them.
    await client.subscribe("tasks.>", queue="workers", cb=work)
    await client.flush()
    print(f"{name} is ready", flush=True)
    await asyncio.Event().wait()  # until Ctrl-C


try:
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "anonymous"))
except KeyboardInterrupt:
    pass
