"""A store for what is too large for a message: it is cut into pieces, and its checksum is compared when it is read.

    python pictures.py

Ends with 0 only if every byte came back.
"""

import asyncio
import os
import sys

import nats
from nats.js.api import ObjectMeta

SERVER = os.environ.get("NEUROPLEX_SERVER", "nats://127.0.0.1:4222")


async def main() -> int:
    client = await nats.connect(SERVER, name="pictures")
    js = client.jetstream()
    pictures = await js.create_object_store("pictures")

    picture = os.urandom(3_000_000)
    info = await pictures.put("sunrise.raw", picture, meta=ObjectMeta(description="taken at 5 o'clock"))
    print(f"{info.name}: {info.size} bytes in {info.chunks} pieces, {info.digest}")

    back = await pictures.get("sunrise.raw")
    names = [entry.name for entry in await pictures.list()]
    print(f"{len(back.data)} bytes came back; the store holds {', '.join(names)}")

    await js.delete_object_store("pictures")
    await client.close()
    return 0 if back.data == picture and names == ["sunrise.raw"] else 1


sys.exit(asyncio.run(main()))
