"""Key-value buckets and object stores as nats-py builds them upon streams. Run by `cargo xtask peers`.

Every expectation here holds for the real nats-server: `cargo xtask peers --only python-stores --against nats-server`.
"""

import asyncio
import io
import os

from harness import connect, fails, fresh, main, soon, test
from nats.js import api
from nats.js.errors import (
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NoKeysError,
    NotFoundError,
    ObjectNotFoundError,
)


class Bucket:
    """A bucket that goes when the test ends."""

    def __init__(self, **config):
        self.config = config
        self.name = fresh("bucket")

    async def __aenter__(self):
        self.nc = await connect()
        self.js = self.nc.jetstream()
        return await self.js.create_key_value(bucket=self.name, **self.config)

    async def __aexit__(self, *_):
        await self.js.delete_key_value(self.name)
        await self.nc.close()


class Store(Bucket):
    """An object store that goes when the test ends."""

    async def __aenter__(self):
        self.nc = await connect()
        self.js = self.nc.jetstream()
        return await self.js.create_object_store(self.name, config=api.ObjectStoreConfig(**self.config))

    async def __aexit__(self, *_):
        await self.js.delete_object_store(self.name)
        await self.nc.close()


# keys and values


@test
async def a_value_is_put_and_got():
    async with Bucket() as kv:
        assert await kv.put("a", b"one") == 1
        entry = await kv.get("a")
        assert (entry.key, entry.value, entry.revision) == ("a", b"one", 1)
        assert await kv.put("a", b"two") == 2
        assert (await kv.get("a")).value == b"two"
        await fails(KeyNotFoundError, kv.get("b"))


@test
async def a_value_is_got_directly():
    async with Bucket(direct=True, history=2) as kv:
        await kv.put("a", b"one")
        await kv.put("a", b"two")
        assert (await kv.get("a")).value == b"two"
        assert (await kv.get("a", revision=1)).value == b"one"
        await fails(KeyNotFoundError, kv.get("b"))


@test
async def an_empty_value_is_a_value():
    async with Bucket() as kv:
        await kv.put("a", b"")
        assert not (await kv.get("a")).value


@test
async def keys_of_many_tokens():
    async with Bucket() as kv:
        for key in ("a.b.c", "a-b_c/d=e", "x.1"):
            await kv.put(key, key.encode())
            assert (await kv.get(key)).value == key.encode()


@test
async def a_key_is_created_once():
    async with Bucket() as kv:
        assert await kv.create("a", b"one") == 1
        await fails(KeyWrongLastSequenceError, kv.create("a", b"two"))
        await kv.delete("a")
        assert await kv.create("a", b"three") == 3


@test
async def an_update_knows_the_last_revision():
    async with Bucket() as kv:
        first = await kv.put("a", b"one")
        await kv.put("b", b"other")
        second = await kv.update("a", b"two", last=first)
        error = await fails(KeyWrongLastSequenceError, kv.update("a", b"three", last=first))
        assert str(second) in error.description
        assert (await kv.get("a")).value == b"two"


@test
async def a_deleted_key_is_gone():
    async with Bucket(history=5) as kv:
        await kv.put("a", b"one")
        await kv.delete("a")
        await fails(KeyNotFoundError, kv.get("a"))
        assert [entry.operation for entry in await kv.history("a")] == [None, "DEL"]
        await fails(10071, kv.delete("a", last=1))
        assert (await kv.get("a", revision=1)).value == b"one"


@test
async def a_purged_key_has_no_past():
    async with Bucket(history=5) as kv:
        for n in range(3):
            await kv.put("a", str(n).encode())
        await kv.purge("a")
        await fails(KeyNotFoundError, kv.get("a"))
        assert [entry.operation for entry in await kv.history("a")] == ["PURGE"]


@test
async def history_goes_as_far_back_as_it_was_told():
    async with Bucket(history=3) as kv:
        for n in range(5):
            await kv.put("a", str(n).encode())
        entries = await kv.history("a")
        assert [(entry.value, entry.revision) for entry in entries] == [(b"2", 3), (b"3", 4), (b"4", 5)]
        await fails(NoKeysError, kv.history("b"))


@test
async def keys_are_listed():
    async with Bucket() as kv:
        await fails(NoKeysError, kv.keys())
        for key in ("a", "b.c", "d"):
            await kv.put(key, b"x")
        await kv.delete("d")
        assert sorted(await kv.keys()) == ["a", "b.c"]


@test
async def a_watcher_sees_what_is_there_and_what_comes():
    async with Bucket() as kv:
        await kv.put("a", b"one")
        await kv.put("b", b"two")
        watcher = await kv.watchall()
        seen = [await watcher.updates() for _ in range(2)]
        assert [(entry.key, entry.value, entry.delta) for entry in seen] == [("a", b"one", 1), ("b", b"two", 0)]
        assert await watcher.updates() is None
        await kv.put("a", b"three")
        await kv.delete("b")
        entry = await watcher.updates()
        assert (entry.key, entry.value, entry.revision) == ("a", b"three", 3)
        entry = await watcher.updates()
        assert (entry.key, entry.operation) == ("b", "DEL")
        await watcher.stop()


@test
async def a_watcher_of_some_keys():
    async with Bucket() as kv:
        await kv.put("x.a", b"no")
        watcher = await kv.watch("y.*", ignore_deletes=True)
        assert await watcher.updates() is None
        await kv.put("x.b", b"no")
        await kv.put("y.a", b"yes")
        await kv.delete("y.a")
        await kv.put("y.b", b"yes")
        assert [(await watcher.updates()).key for _ in range(2)] == ["y.a", "y.b"]
        await watcher.stop()


@test
async def a_watcher_of_the_past():
    async with Bucket(history=5) as kv:
        for n in range(3):
            await kv.put("a", str(n).encode())
        watcher = await kv.watch("a", include_history=True)
        assert [(await watcher.updates()).value for _ in range(3)] == [b"0", b"1", b"2"]
        assert await watcher.updates() is None
        await watcher.stop()


@test
async def markers_are_purged():
    async with Bucket() as kv:
        for key in "abc":
            await kv.put(key, b"x")
        await kv.delete("a")
        await kv.delete("b")
        await kv.purge_deletes(olderthan=-1)
        status = await kv.status()
        assert status.values == 1


@test
async def values_grow_old():
    async with Bucket(ttl=0.5) as kv:
        await kv.put("a", b"x")

        async def gone():
            try:
                await kv.get("a")
            except KeyNotFoundError:
                return True
            return False

        await soon(gone, "the value is still there")


@test
async def a_key_lives_as_long_as_it_says():
    async with Bucket(limit_marker_ttl=1) as kv:
        await kv.create("a", b"short", msg_ttl=1)
        await kv.put("b", b"long")
        watcher = await kv.watch("a", ignore_deletes=False)
        assert (await watcher.updates()).value == b"short"
        assert await watcher.updates() is None
        entry = await watcher.updates(timeout=6)
        assert (entry.key, entry.operation) == ("a", "PURGE")
        await fails_to_find(kv, "a")
        assert (await kv.get("b")).value == b"long"
        await watcher.stop()


async def fails_to_find(kv, key):
    try:
        entry = await kv.get(key)
    except KeyNotFoundError:
        return
    assert not entry.value, entry


@test
async def values_that_are_too_large_are_refused():
    async with Bucket(max_value_size=10) as kv:
        await fails(10054, kv.put("a", b"x" * 11))
        await kv.put("a", b"x" * 10)


@test
async def a_full_bucket_refuses():
    async with Bucket(max_bytes=300) as kv:
        await kv.put("a", b"x" * 100)
        await fails(10077, kv.put("b", b"x" * 200))


@test
async def a_bucket_says_what_it_is():
    bucket = Bucket(history=7, ttl=60, description="ours", storage="memory")
    async with bucket as kv:
        await kv.put("a", b"1")
        await kv.put("a", b"2")
        status = await kv.status()
        assert (status.bucket, status.values, status.history, status.ttl) == (bucket.name, 2, 7, 60)
        config = status.stream_info.config
        assert config.subjects == [f"$KV.{bucket.name}.>"] and config.description == "ours"
        assert config.deny_delete and config.allow_rollup_hdrs and config.duplicate_window == 60


@test
async def buckets_come_and_go():
    nc = await connect()
    js = nc.jetstream()
    name = fresh("bucket")
    await fails(BucketNotFoundError, js.key_value(name))
    await js.create_key_value(bucket=name)
    kv = await js.key_value(name)
    await kv.put("a", b"x")
    assert await js.delete_key_value(name) is True
    await fails(BucketNotFoundError, js.key_value(name))
    await fails(NotFoundError, js.delete_key_value(name))
    await nc.close()


@test
async def many_writers_count_without_losing_one():
    async with Bucket() as kv:
        await kv.put("n", b"0")

        async def add():
            for _ in range(10):
                while True:
                    entry = await kv.get("n")
                    try:
                        await kv.update("n", str(int(entry.value) + 1).encode(), last=entry.revision)
                        break
                    except KeyWrongLastSequenceError:
                        await asyncio.sleep(0)

        await asyncio.gather(*(add() for _ in range(5)))
        assert (await kv.get("n")).value == b"50"


# objects


@test
async def an_object_is_put_and_got():
    async with Store() as store:
        info = await store.put("a", b"hello")
        assert (info.name, info.size, info.chunks) == ("a", 5, 1)
        assert info.digest.startswith("SHA-256=")
        result = await store.get("a")
        assert (result.data, result.info.size) == (b"hello", 5)
        await fails(ObjectNotFoundError, store.get("b"))


@test
async def a_large_object_keeps_every_byte():
    async with Store() as store:
        data = os.urandom(5_000_000)
        info = await store.put("large", io.BytesIO(data))
        assert (info.size, info.chunks) == (5_000_000, 39)
        out = io.BytesIO()
        await store.get("large", writeinto=out)  # the client compares the checksum
        assert out.getvalue() == data


@test
async def an_empty_object_is_an_object():
    async with Store() as store:
        info = await store.put("empty", b"")
        assert (info.size, info.chunks) == (0, 0)
        assert not (await store.get("empty")).data


@test
async def an_object_replaces_the_one_before():
    async with Store() as store:
        await store.put("a", b"x" * 300_000)
        await store.put("a", b"short")
        assert (await store.get("a")).data == b"short"
        state = (await store.status()).stream_info.state
        assert state.messages == 2, "the chunks of the first are still there"


@test
async def an_object_is_described():
    async with Store() as store:
        meta = api.ObjectMeta(description="ours", headers={"Owner": "us"}, options=api.ObjectMetaOptions(max_chunk_size=10))
        info = await store.put("a", b"x" * 25, meta=meta)
        assert info.chunks == 3
        info = await store.get_info("a")
        assert (info.description, info.headers) == ("ours", {"Owner": "us"})
        await store.update_meta("a", api.ObjectMeta(name="a", description="new"))
        assert (await store.get_info("a")).description == "new"
        assert (await store.get("a")).data == b"x" * 25


@test
async def an_object_is_deleted():
    async with Store() as store:
        await store.put("a", b"hello")
        await store.delete("a")
        await fails(ObjectNotFoundError, store.get("a"))
        assert (await store.get_info("a", show_deleted=True)).deleted
        assert [info.name for info in await store.list()] == ["a"]
        await fails(NotFoundError, store.list(ignore_deletes=True))


@test
async def objects_are_listed():
    async with Store() as store:
        await fails(NotFoundError, store.list())
        for name in ("a", "b c", "ü/3"):
            await store.put(name, name.encode())
        assert sorted(info.name for info in await store.list()) == ["a", "b c", "ü/3"]


@test
async def a_watcher_sees_objects_come_and_go():
    async with Store() as store:
        await store.put("a", b"1")
        watcher = await store.watch()
        assert (await watcher.updates()).name == "a"
        assert await watcher.updates() is None
        await store.put("b", b"2")
        assert (await watcher.updates()).name == "b"
        await store.delete("a")
        info = await watcher.updates()
        assert info.name == "a" and info.deleted
        await watcher.stop()


@test
async def a_sealed_store_only_reads():
    async with Store() as store:
        await store.put("a", b"1")
        await store.seal()
        await fails(10109, store.put("b", b"2"))
        assert (await store.get("a")).data == b"1"


@test
async def a_store_says_what_it_is():
    bucket = Store(description="ours", max_bytes=1_000_000)
    async with bucket as store:
        await store.put("a", b"x" * 1000)
        status = await store.status()
        assert status.bucket == bucket.name and status.description == "ours" and not status.sealed
        assert status.size > 1000
        subjects = status.stream_info.config.subjects
        assert sorted(subjects) == [f"$O.{bucket.name}.C.>", f"$O.{bucket.name}.M.>"]


main()
