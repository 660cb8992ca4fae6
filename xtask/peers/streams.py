"""Durable streams as nats-py uses them: streams, publishing, consumers, acknowledgements. Run by `cargo xtask peers`.

Every expectation here holds for the real nats-server: `cargo xtask peers --only python-streams --against nats-server`.
"""

import asyncio
import datetime

import nats
from harness import CALM, Bench, bodies, connect, fails, fresh, main, nothing, please, soon, test
from nats.js import api
from nats.js.errors import APIError, BadRequestError, NotFoundError, NoStreamResponseError, ServerError

# streams


@test
async def a_stream_is_created_with_its_defaults():
    async with Bench() as b:
        config = b.info.config
        assert (config.retention, config.discard, config.storage) == ("limits", "old", "file")
        assert (config.max_msgs, config.max_bytes, config.max_consumers) == (-1, -1, -1)
        assert config.duplicate_window == 120 and config.num_replicas == 1
        assert b.info.did_create and b.info.state.messages == 0
        age = datetime.datetime.now(datetime.timezone.utc) - b.info.created
        assert abs(age.total_seconds()) < 60, age


@test
async def a_stream_is_what_it_was_made():
    limits = api.StreamConsumerLimits(inactive_threshold=60, max_ack_pending=50)
    async with Bench(
        description="all of it", max_msgs=100, max_bytes=100_000, max_age=3600, max_msgs_per_subject=10,
        max_msg_size=1000, discard="new", storage="memory", duplicate_window=60, allow_rollup_hdrs=True,
        allow_direct=True, deny_delete=True, allow_msg_ttl=True, first_seq=7, metadata={"owner": "us"},
        consumer_limits=limits,
    ) as b:
        config = (await b.js.stream_info(b.name)).config
        assert config.description == "all of it" and config.subjects == [f"{b.subject}.>"]
        assert (config.max_msgs, config.max_bytes, config.max_age) == (100, 100_000, 3600)
        assert (config.max_msgs_per_subject, config.max_msg_size) == (10, 1000)
        assert (config.discard, config.storage, config.duplicate_window) == ("new", "memory", 60)
        assert config.allow_rollup_hdrs and config.allow_direct and config.deny_delete and config.allow_msg_ttl
        assert config.metadata["owner"] == "us" and config.first_seq == 7
        assert (config.consumer_limits.inactive_threshold, config.consumer_limits.max_ack_pending) == (60, 50)
        assert await b.fill("x") == [7]


@test
async def the_same_stream_twice_is_one():
    async with Bench() as b:
        again = await b.js.add_stream(name=b.name, subjects=[f"{b.subject}.>"])
        assert again.created == b.info.created
        await fails(10058, b.js.add_stream(name=b.name, subjects=[b.at("other")]))


@test
async def bad_streams_are_refused():
    async with Bench() as b:
        await fails(10065, b.js.add_stream(name=fresh(), subjects=[b.at("a")]))
        await fails(10052, b.js.add_stream(name=fresh(), subjects=["a..b"]))
        await fails(10052, b.js.add_stream(name=fresh(), subjects=[fresh("x")], max_age=0.01))
        await fails(10052, b.js.add_stream(name=fresh(), subjects=[fresh("x")], sealed=True))
        await fails(10074, b.js.add_stream(name=fresh(), subjects=[fresh("x")], num_replicas=3))


@test
async def a_stream_is_changed():
    async with Bench() as b:
        await b.fill("one", "two", "three")
        config = b.info.config.evolve(subjects=[f"{b.subject}.>", b.subject], description="new", max_msgs=2)
        info = await b.js.update_stream(config)
        assert info.config.description == "new" and info.state.messages == 2 and info.state.first_seq == 2
        assert (await b.js.publish(b.subject, b"four")).seq == 4


@test
async def what_may_not_change_is_refused():
    async with Bench() as b:
        await fails(10052, b.js.update_stream(b.info.config.evolve(storage="memory")))
        await fails(10052, b.js.update_stream(b.info.config.evolve(retention="workqueue")))
        await fails(10059, b.js.update_stream(name=fresh(), subjects=["x"]))


@test
async def a_stream_is_deleted():
    async with Bench() as b:
        assert await b.js.delete_stream(b.name) is True
        assert (await fails(NotFoundError, b.js.delete_stream(b.name))).err_code == 10059
        await fails(NotFoundError, b.js.stream_info(b.name))
        await fails(NoStreamResponseError, b.js.publish(b.at("a"), b"x"))


@test
async def streams_are_listed_and_found_by_subject():
    async with Bench() as b, Bench() as c:
        names = [info.config.name for info in await b.js.streams_info()]
        assert {b.name, c.name} <= set(names)
        assert len(await b.js.streams_info(offset=1)) == len(names) - 1
        assert b.name in [info.config.name for info in await b.js.streams_info_iterator()]
        assert await b.js.find_stream_name_by_subject(b.at("x")) == b.name
        await fails(NotFoundError, b.js.find_stream_name_by_subject("nobody.has.this"))


@test
async def the_account_counts():
    async with Bench(storage="memory") as b:
        before = await b.js.account_info()
        await b.fill("hello")
        await b.pull("C")
        after = await b.js.account_info()
        assert after.streams >= 1 and after.consumers == before.consumers + 1
        assert after.memory > before.memory and after.limits.max_streams == -1
        assert after.api.total > before.api.total and after.api.level >= 1


@test
async def subjects_are_counted():
    async with Bench() as b:
        await b.fill("1", "2")
        await b.fill("3", rest="b")
        info = await b.js.stream_info(b.name, subjects_filter=">")
        assert info.state.subjects == {b.at("a"): 2, b.at("b"): 1}
        info = await b.js.stream_info(b.name, subjects_filter=b.at("b"))
        assert info.state.subjects == {b.at("b"): 1}
        assert (await b.state()).subjects is None


# publishing


@test
async def a_publish_is_acknowledged():
    async with Bench() as b:
        ack = await b.js.publish(b.at("a"), b"one")
        assert (ack.stream, ack.seq, ack.duplicate) == (b.name, 1, None)
        assert (await b.js.publish(b.at("a"), b"two", stream=b.name)).seq == 2
        state = await b.state()
        assert (state.messages, state.first_seq, state.last_seq) == (2, 1, 2)


@test
async def many_publishes_at_once_are_acknowledged_in_order():
    async with Bench() as b:
        futures = [await b.js.publish_async(b.at("a"), str(n).encode()) for n in range(2000)]
        await asyncio.wait_for(b.js.publish_async_completed(), 20)
        assert [future.result().seq for future in futures] == list(range(1, 2001))
        assert (await b.state()).messages == 2000


@test
async def a_message_id_is_taken_once():
    async with Bench(duplicate_window=1) as b:
        first = await b.js.publish(b.at("a"), b"one", headers={"Nats-Msg-Id": "1"})
        again = await b.js.publish(b.at("b"), b"two", headers={"Nats-Msg-Id": "1"})
        assert (first.duplicate, again.duplicate, again.seq) == (None, True, 1)
        await asyncio.sleep(1.6)
        later = await b.js.publish(b.at("a"), b"three", headers={"Nats-Msg-Id": "1"})
        assert later.seq == 2 and not later.duplicate


@test
async def expectations_are_kept():
    async with Bench() as b:
        def publish(**headers):
            names = {"stream": "Stream", "last": "Last-Sequence", "subject": "Last-Subject-Sequence", "id": "Last-Msg-Id"}
            headers = {"Nats-Expected-" + names[key]: str(value) for key, value in headers.items()}
            return b.js.publish(b.at("a"), b"x", headers=headers)

        assert (await publish(last=0, subject=0, stream=b.name)).seq == 1
        error = await fails(10071, publish(last=0))
        assert error.description == "wrong last sequence: 1" and isinstance(error, BadRequestError)
        await fails(10071, publish(subject=0))
        await fails(10070, publish(id="none"))
        await fails(10060, publish(stream="OTHER"))
        assert (await b.js.publish(b.at("b"), b"x", headers={"Nats-Msg-Id": "id"})).seq == 2
        assert (await publish(last=2, subject=1, id="id")).seq == 3


@test
async def a_full_stream_discards_the_oldest():
    async with Bench(max_msgs=2) as b:
        assert await b.fill("1", "2", "3") == [1, 2, 3]
        state = await b.state()
        assert (state.messages, state.first_seq) == (2, 2)


@test
async def a_full_stream_refuses_the_newest():
    async with Bench(max_msgs=2, discard="new") as b:
        await b.fill("1", "2")
        error = await fails(10077, b.js.publish(b.at("a"), b"3"))
        assert error.code == 503 and error.description == "maximum messages exceeded"


@test
async def a_full_subject_refuses_the_newest():
    async with Bench(max_msgs_per_subject=1, discard="new", discard_new_per_subject=True) as b:
        await b.fill("1")
        await fails(10077, b.js.publish(b.at("a"), b"2"))
        assert await b.fill("3", rest="b") == [2]


@test
async def messages_that_are_too_large_are_refused():
    async with Bench(max_msg_size=10) as b:
        await fails(10054, b.js.publish(b.at("a"), b"x" * 11))
        assert await b.fill("x" * 10) == [1]


@test
async def old_messages_go():
    async with Bench(max_age=0.5) as b:
        await b.fill("1")
        await soon(lambda: gone(b), "the message is still there")


async def gone(b):
    return (await b.state()).messages == 0


@test
async def a_message_lives_as_long_as_it_says():
    async with Bench(allow_msg_ttl=True) as b:
        await b.js.publish(b.at("a"), b"short", msg_ttl=1)
        await b.js.publish(b.at("b"), b"long", msg_ttl=3600)
        await soon(lambda: left(b, 1), "the short-lived one is still there")
        assert (await b.js.get_msg(b.name, 2)).data == b"long"
    async with Bench() as b:
        await fails(10166, b.js.publish(b.at("a"), b"x", msg_ttl=1))


async def left(b, count):
    return (await b.state()).messages == count


@test
async def a_rollup_replaces_what_was_before():
    async with Bench(allow_rollup_hdrs=True) as b:
        await b.fill("1", "2")
        await b.fill("3", rest="b")
        await b.js.publish(b.at("a"), b"sum", headers={"Nats-Rollup": "sub"})
        assert (await b.state()).messages == 2
        await b.js.publish(b.at("a"), b"all", headers={"Nats-Rollup": "all"})
        assert (await b.state()).messages == 1
    async with Bench() as b:
        await fails(10111, b.js.publish(b.at("a"), b"x", headers={"Nats-Rollup": "sub"}))


@test
async def what_was_acknowledged_survives_kill_nine():
    nc = await connect("streams-killed")
    js = nc.jetstream()
    await js.add_stream(name="KEPT", subjects=["kept.>"])
    await js.add_consumer("KEPT", durable_name="C", ack_wait=30)
    for n in range(200):
        await js.publish("kept.a", str(n).encode(), headers={"Nats-Msg-Id": f"kept-{n}"})
    sub = await js.pull_subscribe_bind("C", "KEPT")
    for message in await sub.fetch(50):
        await message.ack_sync()
    await nc.close()
    await please("restart streams-killed")
    nc = await connect("streams-killed")
    js = nc.jetstream()
    state = (await js.stream_info("KEPT")).state
    assert (state.messages, state.last_seq) == (200, 200), state
    assert (await js.get_msg("KEPT", 200)).data == b"199"
    again = await js.publish("kept.a", b"x", headers={"Nats-Msg-Id": "kept-199"})
    assert again.duplicate and again.seq == 200
    # nats-server may have forgotten acknowledgements, and give those messages again; it may not skip others
    assert (await js.consumer_info("KEPT", "C")).ack_floor.stream_seq <= 50
    sub = await js.pull_subscribe_bind("C", "KEPT")
    got = set()
    while not got >= set(range(51, 201)):
        got |= {message.metadata.sequence.stream for message in await sub.fetch(50)}
    await nc.close()


# single messages, purges


@test
async def messages_are_read_by_sequence_and_subject():
    async with Bench() as b:
        await b.fill("1", "2")
        await b.js.publish(b.at("b"), b"3", headers={"Owner": "us"})
        one = await b.js.get_msg(b.name, 1)
        assert (one.subject, one.seq, one.data, one.hdrs) == (b.at("a"), 1, b"1", None)
        assert one.time is not None
        three = await b.js.get_last_msg(b.name, b.at("b"))
        assert (three.seq, three.data, three.headers["Owner"]) == (3, b"3", "us")
        assert (await b.js.get_msg(b.name, seq=2, subject=b.at("*"), next=True)).seq == 2
        assert (await fails(NotFoundError, b.js.get_msg(b.name, 9))).err_code == 10037
        await fails(NotFoundError, b.js.get_last_msg(b.name, b.at("x")))


@test
async def messages_are_read_directly():
    async with Bench(allow_direct=True) as b:
        await b.fill("1", "2")
        await b.js.publish(b.at("b"), b"3", headers={"Owner": "us"})
        one = await b.js.get_msg(b.name, 1, direct=True)
        assert (one.subject, one.seq, one.data) == (b.at("a"), 1, b"1") and one.time is not None
        two = await b.js.get_last_msg(b.name, b.at("a"), direct=True)
        assert (two.seq, two.data, two.headers["Nats-Stream"]) == (2, b"2", b.name)
        three = await b.js.get_msg(b.name, seq=2, subject=b.at("b"), next=True, direct=True)
        assert (three.seq, three.headers["Owner"]) == (3, "us")
        await fails(NotFoundError, b.js.get_msg(b.name, 9, direct=True))
        await fails(NotFoundError, b.js.get_last_msg(b.name, b.at("x"), direct=True))


@test
async def a_message_is_deleted():
    async with Bench() as b:
        await b.fill("1", "2", "3")
        assert await b.js.delete_msg(b.name, 2) is True
        await fails(NotFoundError, b.js.get_msg(b.name, 2))
        await fails(10043, b.js.delete_msg(b.name, 2))
        state = await b.state()
        assert (state.messages, state.num_deleted) == (2, 1)
    async with Bench(deny_delete=True) as b:
        await b.fill("1")
        await fails(10057, b.js.delete_msg(b.name, 1))


@test
async def a_stream_is_purged():
    async with Bench() as b:
        await b.fill("1", "2", "3")
        await b.fill("4", "5", rest="b")
        await b.js.purge_stream(b.name, subject=b.at("b"), keep=1)
        assert (await b.state()).messages == 4
        await b.js.purge_stream(b.name, seq=3)
        assert (await b.state()).first_seq == 3
        await b.js.purge_stream(b.name, subject=b.at("b"))
        assert (await b.state()).messages == 1
        await b.js.purge_stream(b.name, keep=1)
        assert (await b.state()).messages == 1
        await b.js.purge_stream(b.name)
        state = await b.state()
        assert (state.messages, state.first_seq, state.last_seq) == (0, 6, 5)
        await fails(10003, b.js.purge_stream(b.name, seq=1, keep=1))
    async with Bench(deny_purge=True) as b:
        await fails(10110, b.js.purge_stream(b.name))


@test
async def a_sealed_stream_only_reads():
    async with Bench() as b:
        await b.fill("1")
        await b.js.update_stream(b.info.config.evolve(sealed=True))
        await fails(10109, b.js.publish(b.at("a"), b"2"))
        await fails(10109, b.js.delete_msg(b.name, 1))
        assert (await b.js.get_msg(b.name, 1)).data == b"1"


# consumers


@test
async def a_consumer_is_created_with_its_defaults():
    async with Bench() as b:
        info = await b.js.add_consumer(b.name, durable_name="C", name="C")
        config = info.config
        assert (info.name, info.stream_name) == ("C", b.name)
        assert (config.deliver_policy, config.ack_policy, config.replay_policy) == ("all", "explicit", "instant")
        assert (config.ack_wait, config.max_deliver, config.max_waiting, config.max_ack_pending) == (30, -1, 512, 1000)
        assert (info.num_pending, info.num_ack_pending, info.num_waiting, info.num_redelivered) == (0, 0, 0, 0)


@test
async def consumers_are_created_on_all_subjects_of_the_api():
    async with Bench() as b:
        old = await b.js.add_consumer(b.name, durable_name="old")
        named = await b.js.add_consumer(b.name, name="named", inactive_threshold=60)
        filtered = await b.js.add_consumer(b.name, name="filtered", filter_subject=b.at("a"))
        wild = await b.js.add_consumer(b.name, name="wild", filter_subject=b.at("*"))
        nameless = await b.js.add_consumer(b.name)
        assert old.config.durable_name == "old" and named.config.durable_name is None
        assert filtered.config.filter_subject == b.at("a") and wild.config.filter_subject == b.at("*")
        names = {info.name for info in await b.js.consumers_info(b.name)}
        assert names == {"old", "named", "filtered", "wild", nameless.name}
        assert len(await b.js.consumers_info(b.name, offset=3)) == 2


@test
async def bad_consumers_are_refused():
    async with Bench() as b:
        await fails(10138, b.js.add_consumer(b.name, name="C", filter_subjects=[b.at("*"), b.at("a")]))
        await fails(10136, b.js.add_consumer(b.name, durable_name="C", filter_subject=b.at("a"), filter_subjects=[b.at("b")]))
        await fails(10081, b.js.add_consumer(b.name, deliver_subject=b.at("d")))
        await fails(10116, b.js.add_consumer(b.name, name="C", max_deliver=1, backoff=[1, 2]))
        await fails(10094, b.js.add_consumer(b.name, name="C", deliver_policy="by_start_sequence"))
        await fails(10088, b.js.add_consumer(b.name, name="C", idle_heartbeat=1))
        await fails(10059, b.js.add_consumer(fresh(), name="C"))
        assert await b.js.consumers_info(b.name) == []


@test
async def a_consumer_is_changed_and_deleted():
    async with Bench() as b:
        await b.js.add_consumer(b.name, durable_name="C", name="C")
        info = await b.js.add_consumer(b.name, durable_name="C", name="C", description="new", max_ack_pending=5)
        assert (info.config.description, info.config.max_ack_pending) == ("new", 5)
        await fails(10012, b.js.add_consumer(b.name, durable_name="C", name="C", ack_policy="none"))
        assert await b.js.delete_consumer(b.name, "C") is True
        assert (await fails(NotFoundError, b.js.consumer_info(b.name, "C"))).err_code == 10014
        await fails(NotFoundError, b.js.delete_consumer(b.name, "C"))


@test
async def a_consumer_starts_where_it_is_told():
    async with Bench() as b:
        await b.fill("1", "2")
        await b.fill("3", rest="b")
        await asyncio.sleep(0.2)
        now = datetime.datetime.now(datetime.timezone.utc)
        await b.fill("4")
        starts = [
            (dict(deliver_policy="all"), ["1", "2", "3", "4"]),
            (dict(deliver_policy="last"), ["4"]),
            (dict(deliver_policy="last_per_subject"), ["3", "4"]),
            (dict(deliver_policy="by_start_sequence", opt_start_seq=3), ["3", "4"]),
            (dict(deliver_policy="by_start_time", opt_start_time=now), ["4"]),
        ]
        for config, expected in starts:
            sub = await b.pull(**config)
            assert bodies(await sub.fetch(10, timeout=1)) == expected, config
        sub = await b.pull(deliver_policy="new")
        await nothing(sub)
        await b.fill("5")
        assert bodies(await sub.fetch(1)) == ["5"]


@test
async def filters_choose():
    async with Bench() as b:
        for rest in "abcd":
            await b.fill(rest, rest=rest)
        assert bodies(await (await b.pull(subject=b.at("c"))).fetch(9, timeout=1)) == ["c"]
        sub = await b.pull(filter_subjects=[b.at("a"), b.at("d")])
        assert bodies(await sub.fetch(9, timeout=1)) == ["a", "d"]


@test
async def an_ephemeral_consumer_goes():
    async with Bench() as b:
        await b.js.add_consumer(b.name, name="E", inactive_threshold=0.3)

        async def none_left():
            return await b.js.consumers_info(b.name) == []

        await soon(none_left, "the consumer is still there")


@test
async def a_consumer_is_paused_and_resumed():
    async with Bench() as b:
        sub = await b.pull("C")
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
        paused = await b.js.pause_consumer(b.name, "C", until.isoformat().replace("+00:00", "Z"))
        assert paused.paused and (await b.js.consumer_info(b.name, "C")).paused
        await b.fill("1")
        await nothing(sub, 0.5)
        assert not (await b.js.resume_consumer(b.name, "C")).paused
        assert bodies(await sub.fetch(1)) == ["1"]


@test
async def a_consumer_is_reset():
    async with Bench() as b:
        await b.fill("1", "2", "3")
        sub = await b.pull("C")
        assert bodies(await sub.fetch(3)) == ["1", "2", "3"]
        assert (await b.js.reset_consumer(b.name, "C", 2)).reset_seq == 2
        assert bodies(await sub.fetch(2)) == ["2", "3"]


# pulling


@test
async def fetching_gives_what_is_there():
    async with Bench() as b:
        sub = await b.pull("C")
        await b.fill("1", "2", "3")
        assert bodies(await sub.fetch(2)) == ["1", "2"]
        assert bodies(await sub.fetch(5, timeout=0.5)) == ["3"]
        info = await sub.consumer_info()
        assert (info.delivered.stream_seq, info.num_ack_pending, info.num_pending) == (3, 3, 0)


@test
async def fetching_from_an_empty_stream_ends_in_time():
    async with Bench() as b:
        sub = await b.pull("C")
        loop = asyncio.get_running_loop()
        for count in (1, 5):
            began = loop.time()
            await fails(asyncio.TimeoutError, sub.fetch(count, timeout=0.5))
            assert 0.3 < loop.time() - began < 2
        await soon(lambda: nobody_waits(b), "requests still wait")


async def nobody_waits(b):
    return (await b.js.consumer_info(b.name, "C")).num_waiting == 0


@test
async def a_fetch_waits_for_what_comes():
    async with Bench() as b:
        sub = await b.pull("C")
        waiting = asyncio.create_task(sub.fetch(2, timeout=3))
        await asyncio.sleep(0.2)
        await b.fill("1", "2")
        got = bodies(await waiting)
        got += [] if len(got) == 2 else bodies(await sub.fetch(1))
        assert got == ["1", "2"]


@test
async def heartbeats_keep_a_fetch_company():
    async with Bench() as b:
        sub = await b.pull("C")
        await fails(nats.js.errors.FetchTimeoutError, sub.fetch(1, timeout=1.5, heartbeat=0.3))
        waiting = asyncio.create_task(sub.fetch(1, timeout=3, heartbeat=0.3))
        await asyncio.sleep(0.8)
        await b.fill("1")
        assert bodies(await waiting) == ["1"]


@test
async def two_who_pull_share():
    async with Bench() as b:
        await b.fill(*map(str, range(20)))
        await b.js.add_consumer(b.name, durable_name="C")
        one, two = [await b.js.pull_subscribe_bind("C", b.name) for _ in range(2)]
        got = bodies(await one.fetch(10)) + bodies(await two.fetch(10))
        assert sorted(got, key=int) == [str(n) for n in range(20)]


@test
async def a_message_says_where_it_stands():
    async with Bench() as b:
        await b.fill("1", "2")
        message = (await (await b.pull("C")).fetch(1))[0]
        meta = message.metadata
        assert (meta.stream, meta.consumer, meta.num_delivered, meta.num_pending) == (b.name, "C", 1, 1)
        assert (meta.sequence.stream, meta.sequence.consumer) == (1, 1)
        age = datetime.datetime.now(datetime.timezone.utc) - meta.timestamp
        assert abs(age.total_seconds()) < 60
        assert message.subject == b.at("a") and message.reply.startswith(f"$JS.ACK.{b.name}.C.1.1.1.")


@test
async def headers_come_along():
    async with Bench() as b:
        await b.js.publish(b.at("a"), b"x", headers={"Owner": "us"})
        message = (await (await b.pull("C")).fetch(1))[0]
        assert message.headers == {"Owner": "us"}
        message = (await (await b.pull("H", headers_only=True)).fetch(1))[0]
        assert message.headers == {"Owner": "us", "Nats-Msg-Size": "1"} and message.data == b""


@test
async def a_consumer_that_has_enough_out_gives_no_more():
    async with Bench() as b:
        await b.fill("1", "2", "3")
        sub = await b.pull("C", max_ack_pending=2)
        first = await sub.fetch(3, timeout=0.5)
        assert bodies(first) == ["1", "2"]
        await nothing(sub)
        await first[0].ack()
        assert bodies(await sub.fetch(1)) == ["3"]


@test
async def many_messages_come_in_order():
    async with Bench() as b:
        for n in range(3000):
            await b.js.publish_async(b.at("a"), str(n).encode())
        await asyncio.wait_for(b.js.publish_async_completed(), 20)
        sub = await b.pull("C", max_ack_pending=5000)
        got = []
        while len(got) < 3000:
            got += bodies(await sub.fetch(500))
        assert got == [str(n) for n in range(3000)]


# acknowledging


@test
async def an_acknowledged_message_does_not_come_back():
    async with Bench() as b:
        await b.fill("1", "2")
        sub = await b.pull("C", ack_wait=0.4)
        for message in await sub.fetch(2):
            await message.ack_sync()
        info = await sub.consumer_info()
        assert (info.ack_floor.stream_seq, info.num_ack_pending) == (2, 0)
        await nothing(sub, 0.8)


@test
async def a_message_that_nobody_acknowledged_comes_back():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C", ack_wait=0.4)
        await sub.fetch(1)
        message = (await sub.fetch(1, timeout=3))[0]
        assert (message.data, message.metadata.num_delivered) == (b"1", 2)
        assert (await sub.consumer_info()).num_redelivered == 1


@test
async def a_refused_message_comes_back_at_once():
    async with Bench() as b:
        await b.fill("1", "2")
        sub = await b.pull("C")
        await (await sub.fetch(1))[0].nak()
        await asyncio.sleep(0.1)  # a request can overtake an acknowledgement
        message = (await sub.fetch(1, timeout=1))[0]
        assert (message.data, message.metadata.num_delivered) == (b"1", 2)


@test
async def a_refused_message_comes_back_when_it_was_told_to():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C")
        await (await sub.fetch(1))[0].nak(delay=0.8)
        await nothing(sub, 0.3)
        message = (await sub.fetch(1, timeout=3))[0]
        assert message.metadata.num_delivered == 2


@test
async def progress_puts_the_redelivery_off():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C", ack_wait=0.8)
        message = (await sub.fetch(1))[0]
        for _ in range(4):
            await asyncio.sleep(0.4)
            await message.in_progress()
        assert (await sub.consumer_info()).num_redelivered == 0
        await message.ack_sync()
        assert (await sub.consumer_info()).num_ack_pending == 0


@test
async def a_terminated_message_does_not_come_back():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C", ack_wait=0.3)
        await (await sub.fetch(1))[0].term()
        await nothing(sub, 0.8)
        assert (await sub.consumer_info()).num_ack_pending == 0


@test
async def a_message_is_given_no_more_often_than_allowed():
    async with Bench() as b:
        told = await b.nc.subscribe(f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{b.name}.C")
        await b.fill("1")
        sub = await b.pull("C", ack_wait=0.3, max_deliver=2)
        assert [(await sub.fetch(1, timeout=3))[0].metadata.num_delivered for _ in range(2)] == [1, 2]
        await nothing(sub, 0.8)
        advisory = await told.next_msg(timeout=3)
        assert b'"deliveries":2' in advisory.data.replace(b" ", b"")


@test
async def backoff_spaces_redeliveries():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C", backoff=[0.2, 1.5], max_deliver=3)
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(3):
            await sub.fetch(1, timeout=5)
            times.append(loop.time())
        first, second = times[1] - times[0], times[2] - times[1]
        assert 0.1 < first < 1.2 and 1.3 < second, (first, second)


@test
async def acknowledging_one_can_acknowledge_all_before():
    async with Bench() as b:
        await b.fill("1", "2", "3")
        sub = await b.pull("C", ack_policy="all")
        await (await sub.fetch(3))[1].ack_sync()
        info = await sub.consumer_info()
        assert (info.ack_floor.stream_seq, info.num_ack_pending) == (2, 1)


@test
async def a_consumer_can_do_without_acknowledgements():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.pull("C", ack_policy="none", ack_wait=0.3)
        await sub.fetch(1)
        await nothing(sub, 0.6)
        assert (await sub.consumer_info()).num_ack_pending == 0


@test
async def a_work_queue_forgets_what_was_done():
    async with Bench(retention="workqueue") as b:
        await b.fill("1", "2")
        sub = await b.pull("C")
        await fails(10099, b.js.add_consumer(b.name, durable_name="D"))
        await (await sub.fetch(1))[0].ack_sync()
        await soon(lambda: left(b, 1), "the message is still there")


@test
async def an_interest_stream_keeps_until_all_have_acknowledged():
    async with Bench(retention="interest") as b:
        await b.fill("nobody")
        assert (await b.state()).messages == 0
        one, two = await b.pull("A"), await b.pull("B")
        await b.fill("both")
        await (await one.fetch(1))[0].ack_sync()
        assert (await b.state()).messages == 1
        await (await two.fetch(1))[0].ack_sync()
        await soon(lambda: left(b, 0), "the message is still there")


# pushing


@test
async def a_push_consumer_delivers():
    async with Bench() as b:
        await b.fill("1")
        sub = await b.js.subscribe(b.at(">"), durable="P", stream=b.name)
        await b.fill("2")
        for body in (b"1", b"2"):
            message = await sub.next_msg(timeout=3)
            assert message.data == body
            await message.ack_sync()
        info = await sub.consumer_info()
        assert info.push_bound and info.ack_floor.stream_seq == 2
        await fails(nats.js.errors.Error, b.js.subscribe(b.at(">"), durable="P", stream=b.name))


@test
async def a_push_consumer_calls_back():
    async with Bench() as b:
        got = asyncio.Queue()

        async def callback(message):
            await got.put(message.data)

        await b.js.subscribe(b.at(">"), stream=b.name, cb=callback)
        await b.fill("1", "2")
        assert [await asyncio.wait_for(got.get(), 3) for _ in range(2)] == [b"1", b"2"]


@test
async def a_group_shares_a_push_consumer():
    async with Bench() as b:
        got = [[], []]

        def into(list_):
            async def callback(message):
                list_.append(message.data)
            return callback

        for list_ in got:
            await b.js.subscribe(b.at(">"), "workers", cb=into(list_), stream=b.name)
        await b.fill(*map(str, range(100)))

        async def all_there():
            return sum(map(len, got)) == 100

        await soon(all_there, "not all messages came")
        assert got[0] and got[1] and len(set(got[0] + got[1])) == 100


@test
async def a_push_consumer_delivers_again():
    async with Bench() as b:
        config = api.ConsumerConfig(ack_wait=0.4)
        sub = await b.js.subscribe(b.at(">"), stream=b.name, config=config, manual_ack=True)
        await b.fill("1")
        assert [(await sub.next_msg(timeout=3)).metadata.num_delivered for _ in range(2)] == [1, 2]


@test
async def an_ordered_consumer_sees_all_in_order():
    async with Bench() as b:
        for n in range(1000):
            await b.js.publish_async(b.at("a"), str(n).encode())
        await asyncio.wait_for(b.js.publish_async_completed(), 20)
        sub = await b.js.subscribe(b.at(">"), stream=b.name, ordered_consumer=True)
        assert [(await sub.next_msg(timeout=3)).data for _ in range(1000)] == [str(n).encode() for n in range(1000)]
        config = (await sub.consumer_info()).config
        assert config.flow_control and config.mem_storage and config.ack_policy == "none"


@test
async def flow_control_keeps_much_going():
    async with Bench() as b:
        await b.fill(*["x" * 100_000] * 60)
        sub = await b.js.subscribe(b.at(">"), stream=b.name, flow_control=True, idle_heartbeat=1)
        for n in range(60):
            message = await sub.next_msg(timeout=5)
            assert message.metadata.sequence.stream == n + 1
            await message.ack()


@test
async def heartbeats_come_to_a_push_consumer():
    async with Bench() as b:
        inbox = b.nc.new_inbox()
        heard = await b.nc.subscribe(inbox)
        await b.js.add_consumer(b.name, durable_name="P", deliver_subject=inbox, idle_heartbeat=0.3)
        message = await heard.next_msg(timeout=3)
        assert message.headers["Status"] == "100" and message.headers["Nats-Last-Consumer"] == "0"


@test
async def errors_have_their_class():
    async with Bench() as b:
        error = await fails(APIError, b.js.stream_info(fresh()))
        assert (error.code, error.err_code, error.description) == (404, 10059, "stream not found")
        assert isinstance(await fails(10052, b.js.add_stream(name=fresh(), subjects=["a b"])), ServerError)
        await asyncio.sleep(CALM)


main()
