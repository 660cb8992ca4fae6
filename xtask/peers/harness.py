"""What the suites of durable streams share: named tests, connections, a stream of one's own for each test.

`cargo xtask peers` says in PEERS where the servers are, and reads the results.
"""

import asyncio
import itertools
import json
import logging
import os
import sys
import traceback

import nats
from nats.errors import TimeoutError as NatsTimeout

PEERS = json.loads(os.environ["PEERS"])
TESTS = []
CALM = 0.3  # seconds in which something that must not happen would have happened
logging.getLogger("nats").setLevel(logging.CRITICAL)  # tests expect errors, the log would repeat them
_numbers = itertools.count(1)


def test(function):
    TESTS.append(function)
    return function


def say(**line):
    print(json.dumps(line), flush=True)


async def please(order):
    """Asks the runner for something; returns when it is done."""
    say(please=order)
    answer = (await asyncio.to_thread(sys.stdin.readline)).strip()
    assert answer == "done", answer


async def quiet(_error):
    pass


async def connect(setup="streams", **options):
    options.setdefault("allow_reconnect", False)
    options.setdefault("error_cb", quiet)
    url = f"nats://127.0.0.1:{PEERS['ports'][setup]}"
    return await nats.connect(url, connect_timeout=5, **options)


def fresh(prefix="T"):
    """A name that no other test uses."""
    return f"{prefix}{next(_numbers)}"


class Bench:
    """A connection, and a stream that goes when the test ends: `async with Bench(...) as b`."""

    def __init__(self, stream=True, **config):
        self.name = fresh()
        self.subject = self.name.lower()
        self.config = config if stream else None

    async def __aenter__(self):
        self.nc = await connect()
        self.js = self.nc.jetstream()
        if self.config is not None:
            self.config.setdefault("subjects", [f"{self.subject}.>"])
            self.info = await self.js.add_stream(name=self.name, **self.config)
        return self

    async def __aexit__(self, *_):
        if self.config is not None:
            try:
                await self.js.delete_stream(self.name)
            except nats.js.errors.NotFoundError:
                pass
        await self.nc.close()

    def at(self, rest):
        return f"{self.subject}.{rest}"

    async def fill(self, *bodies, rest="a"):
        """Publishes and returns the sequences."""
        return [(await self.js.publish(self.at(rest), body.encode())).seq for body in bodies]

    async def state(self):
        return (await self.js.stream_info(self.name)).state

    async def pull(self, durable=None, subject=None, **config):
        config = nats.js.api.ConsumerConfig(**config)
        return await self.js.pull_subscribe(subject or self.at(">"), durable, self.name, config)


async def fails(wanted, awaitable):
    """The error of an awaitable that must fail: `wanted` is its `err_code`, or its class."""
    try:
        result = await awaitable
    except Exception as error:  # noqa: BLE001: whatever it is, it is compared
        right = isinstance(error, wanted) if isinstance(wanted, type) else getattr(error, "err_code", None) == wanted
        assert right, f"expected {wanted}, got {type(error).__name__}: {error}"
        return error
    raise AssertionError(f"expected {wanted}, got {result!r}")


async def nothing(sub, seconds=CALM):
    """A pull subscription gives nothing now."""
    try:
        messages = await sub.fetch(1, timeout=seconds)
    except (NatsTimeout, asyncio.TimeoutError):
        return
    raise AssertionError(f"unexpected {[m.data for m in messages]}")


async def soon(check, what="it did not happen", seconds=5.0):
    """Waits until `check()` is true."""
    for _ in range(int(seconds / 0.02)):
        if await check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} within {seconds} s")


def bodies(messages):
    return [message.data.decode() for message in messages]


def main():
    asyncio.run(run())


async def run():
    for function in TESTS:
        name = function.__name__.replace("_", " ")
        if PEERS["only"] not in name:
            continue
        try:
            await asyncio.wait_for(function(), 60)
            say(test=name, error=None)
        except BaseException as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "/site-packages/" not in f.filename]
            here = [f"{os.path.basename(f.filename)}:{f.lineno}: {f.line}" for f in frames[-3:] if "asyncio" not in f.filename]
            say(test=name, error="\n".join([f"{type(error).__name__}: {error}", *here]))
            if not isinstance(error, Exception):
                raise
