"""A planner: splits a job into tasks, gives them to whoever works, and reports who did what.

    python planner.py

Ends with 0 only if every task was answered, each exactly once, and at least two workers took part.
"""

import asyncio
import json
import os
import sys
from collections import Counter

import nats

SERVER = os.environ.get("NEUROPLEX_SERVER", "nats://127.0.0.1:4222")

POEM = """\
Tell all the truth but tell it slant
Success in Circuit lies
Too bright for our infirm Delight
The Truth's superb surprise
As Lightning to the Children eased
With explanation kind
The Truth must dazzle gradually
Or every man be blind""".splitlines()

JOB = POEM * 4  # count the words of 32 lines


async def main() -> int:
    client = await nats.connect(SERVER, name="planner")

    # All answers come to one inbox; its last token says which task was answered. Asking this way, rather than with
    # client.request, a second answer to the same task would not go unnoticed.
    inbox = client.new_inbox()
    answers = await client.subscribe(f"{inbox}.*")
    for task, line in enumerate(JOB):
        body = json.dumps({"line": line}).encode()
        await client.publish(f"tasks.count.{task}", body, reply=f"{inbox}.{task}")

    words: dict[str, int] = {}
    times: Counter[str] = Counter()  # answers to each task
    by: Counter[str] = Counter()  # answers from each worker
    while len(words) < len(JOB):
        answer = await answers.next_msg(timeout=5)
        if (answer.headers or {}).get("Status") == "503":
            print("nobody works on tasks.>: start two workers first", file=sys.stderr)
            return 1
        task, result = answer.subject.rsplit(".", 1)[-1], json.loads(answer.data)
        words[task] = result["words"]
        times[task] += 1
        by[result["worker"]] += 1
    await client.flush()  # a late second answer would be here by now
    once = answers.pending_msgs == 0 and set(times.values()) == {1}

    for worker, tasks in sorted(by.items()):
        print(f"{worker:>12}  {tasks:3} tasks")
    total = sum(words.values())
    print(f"{'together':>12}  {len(words):3} tasks, {total} words")

    summary = json.dumps({"tasks": len(words), "words": total, "by": by}).encode()
    await client.publish("events.job.done", summary, headers={"Job": "count-words", "Workers": str(len(by))})
    await client.drain()

    return 0 if once and len(by) >= 2 else 1


sys.exit(asyncio.run(main()))
