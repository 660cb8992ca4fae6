"""A durable work queue: jobs outlive whoever does them, and one that fails is tried again.

    python jobs.py

Ends with 0 only if every job was done, the one that failed at first too.
"""

import asyncio
import os
import sys

import nats
from nats.js.api import ConsumerConfig

SERVER = os.environ.get("NEUROPLEX_SERVER", "nats://127.0.0.1:4222")
JOBS = 20


async def main() -> int:
    client = await nats.connect(SERVER, name="jobs")
    js = client.jetstream()

    # In a work queue a message stays until it is acknowledged, then it goes.
    await js.add_stream(name="EXAMPLE-JOBS", subjects=["example.jobs.>"], retention="workqueue")
    for job in range(JOBS):
        # The message id lets a planner that is not sure publish again: the server stores it once.
        for _ in range(2):
            await js.publish("example.jobs.resize", str(job).encode(), headers={"Nats-Msg-Id": f"job-{job}"})
    waiting = (await js.stream_info("EXAMPLE-JOBS")).state.messages
    print(f"{waiting} jobs wait")

    done: set[int] = set()
    tries: dict[int, int] = {}
    # Every worker asks for the next jobs by the name of the same consumer. One that is not acknowledged within
    # `ack_wait` seconds goes to another.
    config = ConsumerConfig(ack_wait=5, max_deliver=3)
    jobs = await js.pull_subscribe("example.jobs.>", durable="resizers", stream="EXAMPLE-JOBS", config=config)
    while len(done) < JOBS:
        for message in await jobs.fetch(5, timeout=5):
            job = int(message.data)
            tries[job] = message.metadata.num_delivered
            if job == 7 and tries[job] == 1:
                await message.nak(delay=0.2)  # not today: again in a moment
                continue
            done.add(job)
            await message.ack_sync()

    left = (await js.stream_info("EXAMPLE-JOBS")).state.messages
    print(f"{len(done)} jobs done, job 7 at try {tries[7]}, {left} left")
    await js.delete_stream("EXAMPLE-JOBS")
    await client.close()
    return 0 if waiting == JOBS and left == 0 and tries[7] == 2 else 1


sys.exit(asyncio.run(main()))
