"""The core protocol as nats-py uses it. Run by `cargo xtask peers`, which says in PEERS where the servers are.

Every expectation here holds for the real nats-server: `cargo xtask peers --only python --against nats-server`.
"""

import asyncio
import inspect
import json
import logging
import os
import socket
import ssl
import sys
import traceback

import nats
from nats.errors import MaxPayloadError, NoRespondersError, TimeoutError as NatsTimeout

PEERS = json.loads(os.environ["PEERS"])
CERTIFICATES = PEERS["certificates"]
TESTS = []
logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns about TLS connections that end
CALM = 0.3  # seconds in which something that must not happen would have happened


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


def url(setup="plain", scheme="nats"):
    return f"{scheme}://127.0.0.1:{PEERS['ports'][setup]}"


async def connect(setup="plain", **options):
    options.setdefault("allow_reconnect", False)
    options.setdefault("error_cb", quiet)
    return await nats.connect(url(setup), connect_timeout=5, **options)


async def quiet(_error):
    pass


async def settle(*clients):
    """Returns when the server has seen everything that these clients sent so far. One flush is not enough: its PING
    overtakes what nats-py still holds back; by the second one that has been written."""
    for client in clients * 2:
        await client.flush(timeout=20)


class Errors:
    """An error callback that remembers."""

    def __init__(self):
        self.seen = asyncio.Queue()

    async def put(self, error):
        await self.seen.put(str(error) or repr(error))

    async def next(self):
        return await asyncio.wait_for(self.seen.get(), 5)


async def bodies(sub, count):
    return [(await sub.next_msg(timeout=5)).data for _ in range(count)]


async def nothing_more(sub):
    try:
        message = await sub.next_msg(timeout=CALM)
    except NatsTimeout:
        return
    raise AssertionError(f"unexpected {message.subject}: {message.data!r}")


# publish and subscribe


@test
async def a_publish_reaches_every_subscriber():
    a, b = await connect(), await connect()
    subs = [await a.subscribe("news"), await b.subscribe("news")]
    await settle(a, b)
    await a.publish("news", b"one")
    await a.publish("news", b"")
    for sub in subs:
        assert await bodies(sub, 2) == [b"one", b""]
    await asyncio.gather(a.close(), b.close())


@test
async def order_is_kept_over_many_messages():
    a, b = await connect(), await connect()
    sub = await b.subscribe("count", pending_msgs_limit=-1, pending_bytes_limit=-1)
    await settle(b)
    for n in range(20_000):
        await a.publish("count", str(n).encode())
    await settle(a)
    assert await bodies(sub, 20_000) == [str(n).encode() for n in range(20_000)]
    await asyncio.gather(a.close(), b.close())


@test
async def wildcards_match_whole_tokens():
    nc = await connect()
    one, rest = await nc.subscribe("w.*.end"), await nc.subscribe("w.>")
    for subject in ["w.a.end", "w.a.b.end", "w", "w.x", "ww.a.end"]:
        await nc.publish(subject, subject.encode())
    await settle(nc)
    assert await bodies(one, 1) == [b"w.a.end"]
    assert await bodies(rest, 3) == [b"w.a.end", b"w.a.b.end", b"w.x"]
    await asyncio.gather(nothing_more(one), nothing_more(rest))
    await nc.close()


@test
async def overlapping_subscriptions_each_get_their_copy():
    nc = await connect()
    subs = [await nc.subscribe(p) for p in ["o.a", "o.*", "o.>", ">"]]
    await nc.publish("o.a", b"x")
    for sub in subs:
        assert await bodies(sub, 1) == [b"x"]
    await nc.close()


@test
async def a_subject_may_hold_any_printable_bytes():
    nc = await connect()
    subject = "größe.日本.a-b_c$d/e"
    sub = await nc.subscribe(subject)
    await nc.publish(subject, b"x")
    assert (await sub.next_msg(timeout=5)).subject == subject
    await nc.close()


# queue groups


@test
async def a_queue_group_shares_without_duplicates():
    clients = [await connect() for _ in range(4)]
    publisher, got = clients[0], [[], [], []]

    def into(n):
        async def handler(message):
            got[n].append(int(message.data))

        return handler

    for n, client in enumerate(clients[1:]):
        await client.subscribe("jobs.*", queue="workers", cb=into(n))
        await settle(client)
    for n in range(600):
        await publisher.publish("jobs.x", str(n).encode())
    await settle(publisher)
    for _ in range(100):
        if sum(map(len, got)) >= 600:
            break
        await asyncio.sleep(0.05)
    assert sorted(sum(got, [])) == list(range(600))
    assert all(len(share) > 60 for share in got), [len(share) for share in got]
    for client in clients:
        await client.close()


@test
async def each_queue_group_and_each_plain_subscriber_gets_one():
    nc = await connect()
    red = [await nc.subscribe("q", queue="red") for _ in range(2)]
    blue = [await nc.subscribe("q", queue="blue") for _ in range(2)]
    plain = await nc.subscribe("q")
    for n in range(20):
        await nc.publish("q", str(n).encode())
    await settle(nc)
    await asyncio.sleep(CALM)
    assert sum(s.pending_msgs for s in red) == 20
    assert sum(s.pending_msgs for s in blue) == 20
    assert plain.pending_msgs == 20
    await nc.close()


@test
async def a_member_that_leaves_a_group_gets_no_more():
    a, b = await connect(), await connect()
    stays, goes = await a.subscribe("g", queue="g"), await b.subscribe("g", queue="g")
    await settle(a, b)
    await goes.unsubscribe()
    await settle(b)
    for n in range(50):
        await a.publish("g", str(n).encode())
    assert len(await bodies(stays, 50)) == 50
    await asyncio.gather(a.close(), b.close())


# request and reply


@test
async def a_request_is_answered():
    server, client = await connect(), await connect()

    async def double(message):
        await message.respond(str(2 * int(message.data)).encode())

    await server.subscribe("double", cb=double)
    await settle(server)
    answers = await asyncio.gather(*(client.request("double", str(n).encode(), timeout=5) for n in range(100)))
    assert [int(answer.data) for answer in answers] == [2 * n for n in range(100)]
    old = await client.request("double", b"21", timeout=5, old_style=True)
    assert old.data == b"42"
    await asyncio.gather(server.close(), client.close())


@test
async def a_request_that_nobody_serves_fails_at_once():
    nc = await connect()
    try:
        await nc.request("nobody.home", b"", timeout=5)
    except NoRespondersError:
        pass
    else:
        raise AssertionError("no NoRespondersError")
    await nc.close()


@test
async def a_request_to_a_silent_service_times_out():
    nc = await connect()
    await nc.subscribe("silent")
    try:
        await nc.request("silent", b"", timeout=CALM)
    except NoRespondersError:
        raise AssertionError("somebody listens, yet no responders were reported")
    except NatsTimeout:
        pass
    await nc.close()


# headers


@test
async def headers_go_round():
    nc = await connect()
    sub = await nc.subscribe("h")
    headers = {"Trace-Id": "42", "Empty": "", "X": "a: b; c", "Umlaut": "größe"}
    await nc.publish("h", b"body", headers=headers)
    await nc.publish("h", b"", headers={"Only": "headers"})
    await nc.publish("h", b"plain")
    message = await sub.next_msg(timeout=5)
    assert message.data == b"body"
    assert message.headers["Trace-Id"] == "42" and message.headers["X"] == "a: b; c", message.headers
    message = await sub.next_msg(timeout=5)
    assert message.data == b"" and message.headers == {"Only": "headers"}, message.headers
    message = await sub.next_msg(timeout=5)
    assert message.data == b"plain" and not message.headers
    await nc.close()


@test
async def a_reply_carries_headers():
    nc = await connect()

    async def serve(message):
        await nc.publish(message.reply, b"x", headers={"Seen": message.headers["Ask"]})

    await nc.subscribe("hr", cb=serve)
    answer = await nc.request("hr", b"", timeout=5, headers={"Ask": "me"})
    assert answer.headers == {"Seen": "me"}
    await nc.close()


# payloads


@test
async def a_payload_of_the_largest_size_arrives_whole():
    nc = await connect()
    sub = await nc.subscribe("big")
    payload = os.urandom(nc.max_payload)
    for _ in range(3):
        await nc.publish("big", payload)
    assert await bodies(sub, 3) == [payload] * 3
    await nc.close()


@test
async def the_client_knows_the_limit_from_info():
    nc = await connect("small")
    assert nc.max_payload == 1024
    await nc.publish("x", bytes(1024))
    try:
        await nc.publish("x", bytes(1025))
    except MaxPayloadError:
        pass
    else:
        raise AssertionError("no MaxPayloadError")
    await settle(nc)
    await nc.close()


@test
async def a_payload_too_large_ends_the_connection():
    closed = asyncio.Event()

    async def on_close():
        closed.set()

    nc = await connect("small", closed_cb=on_close)
    nc._max_payload = 1 << 20  # as a client that ignores INFO would
    await nc.publish("x", bytes(1025))
    await asyncio.wait_for(closed.wait(), 5)
    # the client may meet the closed socket before the sentence that explains it
    said = str(nc.last_error).lower()
    assert "maximum payload" in said or "reset" in said or "eof" in said or "broken pipe" in said, said


# unsubscribe, drain, echo


@test
async def unsubscribe_after_a_number():
    nc = await connect()
    got = []

    async def handler(message):
        got.append(message.data)

    sub = await nc.subscribe("five", cb=handler)
    await sub.unsubscribe(limit=5)
    for n in range(10):
        await nc.publish("five", str(n).encode())
    await settle(nc)
    await asyncio.sleep(CALM)
    assert got == [b"0", b"1", b"2", b"3", b"4"], got
    await nc.close()


@test
async def unsubscribe_at_once():
    a, b = await connect(), await connect()
    got = []

    async def handler(message):
        got.append(message.data)

    sub = await a.subscribe("gone", cb=handler)
    await settle(a)
    await b.publish("gone", b"seen")
    await settle(b)
    await settle(a)
    await sub.unsubscribe()
    await settle(a)
    await b.publish("gone", b"unseen")
    await settle(b)
    await asyncio.sleep(CALM)
    assert got == [b"seen"], got
    await asyncio.gather(a.close(), b.close())


@test
async def drain_delivers_what_is_on_its_way():
    a, b = await connect(), await connect()
    got = []

    async def slowly(message):
        await asyncio.sleep(0.001)
        got.append(message.data)

    await a.subscribe("d", cb=slowly)
    await settle(a)
    for n in range(200):
        await b.publish("d", str(n).encode())
    await settle(b)
    await a.drain()
    assert len(got) == 200, len(got)
    await b.close()


@test
async def without_echo_ones_own_messages_stay_away():
    a, b = await connect(no_echo=True), await connect()
    mine, other = await a.subscribe("e"), await b.subscribe("e")
    await settle(a, b)
    await a.publish("e", b"from a")
    assert await bodies(other, 1) == [b"from a"]
    await b.publish("e", b"from b")
    assert await bodies(mine, 1) == [b"from b"]
    await nothing_more(mine)
    await asyncio.gather(a.close(), b.close())


# who may come in, and what they may do


async def refused(setup, **options):
    errors = Errors()
    try:
        nc = await connect(setup, error_cb=errors.put, **options)
    except Exception as error:
        said = [str(error)]
        while not errors.seen.empty():
            said.append(errors.seen.get_nowait())
        assert any("authorization violation" in text.lower() for text in said), said
        return
    await nc.close()
    raise AssertionError("was let in")


@test
async def the_right_password_opens_and_a_wrong_one_does_not():
    nc = await connect("users", user="alice", password="wonderland")
    sub = await nc.subscribe("x")
    await nc.publish("x", b"hi")
    assert await bodies(sub, 1) == [b"hi"]
    await nc.close()
    await refused("users", user="alice", password="wrong")
    await refused("users", user="nobody", password="wonderland")
    await refused("users")


@test
async def the_right_token_opens_and_a_wrong_one_does_not():
    nc = await connect("token", token="open-sesame")
    await settle(nc)
    await nc.close()
    await refused("token", token="close-sesame")
    await refused("token")


@test
async def credentials_in_the_url_work():
    nc = await nats.connect(url("users").replace("//", "//alice:wonderland@"), allow_reconnect=False)
    await settle(nc)
    await nc.close()


@test
async def a_forbidden_publish_is_told_and_the_connection_lives():
    errors = Errors()
    bob = await connect("users", user="bob", password="builder", error_cb=errors.put)
    alice = await connect("users", user="alice", password="wonderland")
    sub = await alice.subscribe(">")
    await settle(alice)
    for subject in ["closed.door", "open.secret", "open.door"]:
        await bob.publish(subject, subject.encode())
    await settle(bob)
    assert await errors.next() == 'nats: permissions violation for publish to "closed.door"'
    assert await errors.next() == 'nats: permissions violation for publish to "open.secret"'
    assert await bodies(sub, 1) == [b"open.door"]
    await nothing_more(sub)
    await asyncio.gather(alice.close(), bob.close())


@test
async def a_forbidden_subscription_is_told_and_gets_nothing():
    errors = Errors()
    bob = await connect("users", user="bob", password="builder", error_cb=errors.put)
    alice = await connect("users", user="alice", password="wonderland")
    closed, queue = await bob.subscribe("closed.door"), await bob.subscribe("closed.door", queue="q")
    deep = await bob.subscribe("open.deep.*")
    allowed = await bob.subscribe("open.>")
    await settle(bob)
    said = [await errors.next() for _ in range(3)]
    assert said[0] == 'nats: permissions violation for subscription to "closed.door"', said
    assert said[1] == 'nats: permissions violation for subscription to "closed.door" using queue "q"', said
    assert said[2] == 'nats: permissions violation for subscription to "open.deep.*"', said
    for subject in ["closed.door", "open.secret", "open.deep.x", "open.door"]:
        await alice.publish(subject, subject.encode())
    await settle(alice)
    # a wide pattern is allowed, and what is denied inside it does not come through
    assert await bodies(allowed, 1) == [b"open.door"]
    for sub in [closed, queue, deep, allowed]:
        await nothing_more(sub)
    await asyncio.gather(alice.close(), bob.close())


@test
async def a_user_with_limits_can_ask_and_be_answered():
    bob = await connect("users", user="bob", password="builder")
    alice = await connect("users", user="alice", password="wonderland")

    async def echo(message):
        await message.respond(message.data)

    await alice.subscribe("echo", cb=echo)
    await settle(alice)
    assert (await bob.request("echo", b"hello", timeout=5)).data == b"hello"
    await asyncio.gather(alice.close(), bob.close())


# TLS


def trust():
    return ssl.create_default_context(cafile=f"{CERTIFICATES}/ca.pem")


async def talk(nc):
    sub = await nc.subscribe("t")
    payload = os.urandom(200_000)
    for _ in range(5):
        await nc.publish("t", payload)
    assert await bodies(sub, 5) == [payload] * 5
    await nc.close()


@test
async def tls_after_info():
    await talk(await connect("tls", tls=trust()))


@test
async def tls_before_anything_else():
    await talk(await connect("tls-first", tls=trust(), tls_handshake_first=True))


@test
async def tls_with_a_client_certificate():
    context = trust()
    context.load_cert_chain(f"{CERTIFICATES}/client.pem", f"{CERTIFICATES}/client.key")
    await talk(await connect("tls-mutual", tls=context))
    try:
        nc = await connect("tls-mutual", tls=trust())
        await nc.flush(timeout=2)
    except Exception:
        return
    raise AssertionError("a client without a certificate was let in")


@test
async def a_server_that_the_client_does_not_trust_is_left_alone():
    try:
        await connect("tls", tls=ssl.create_default_context())
    except Exception as error:
        assert "certificate" in str(error).lower(), error
        return
    raise AssertionError("connected without trust")


# trouble


def raw(setup="plain"):
    """A plain socket that has read INFO and sent CONNECT."""
    sock = socket.create_connection(("127.0.0.1", PEERS["ports"][setup]), timeout=20)
    lines = sock.makefile("rb")
    assert lines.readline().startswith(b"INFO ")
    sock.sendall(b'CONNECT {"verbose":false,"protocol":1,"lang":"raw","version":"0"}\r\n')
    return sock, lines


@test
async def a_client_that_does_not_read_is_cut_off_and_nobody_else_suffers():
    sock, lines = raw()
    sock.sendall(b"SUB flood 1\r\nPING\r\n")
    assert (await asyncio.to_thread(lines.readline)) == b"PONG\r\n"
    reader, publisher = await connect(), await connect(pending_size=256 << 20)
    got = 0

    async def count(_message):
        nonlocal got
        got += 1

    await reader.subscribe("flood", cb=count, pending_bytes_limit=-1, pending_msgs_limit=-1)
    await settle(reader)
    payload = bytes(256 * 1024)
    for n in range(400):  # 100 MiB; no server keeps that much for one client
        await publisher.publish("flood", payload)
        if n % 20 == 0:
            await settle(publisher)
    await settle(publisher)
    for _ in range(400):
        if got == 400:
            break
        await asyncio.sleep(0.02)
    assert got == 400, f"the reader that kept up got {got} of 400"

    def read_to_the_end():
        total = 0
        try:
            while chunk := sock.recv(1 << 20):
                total += len(chunk)
        except ConnectionResetError:
            pass
        return total

    total = await asyncio.to_thread(read_to_the_end)
    assert total < 100 << 20, "the slow client got everything"
    await asyncio.gather(reader.close(), publisher.close())


@test
async def a_client_comes_back_after_the_server_was_killed():
    back = asyncio.Event()

    async def reconnected():
        back.set()

    nc = await connect(
        allow_reconnect=True, reconnect_time_wait=0.1, max_reconnect_attempts=100, reconnected_cb=reconnected
    )
    sub = await nc.subscribe("again")
    await nc.publish("again", b"before")
    assert await bodies(sub, 1) == [b"before"]
    await please("restart plain")
    await asyncio.wait_for(back.wait(), 15)
    await nc.publish("again", b"after")
    assert await bodies(sub, 1) == [b"after"]
    await nc.close()


@test
async def a_server_that_leaves_says_so_first():
    sock, lines = raw("retiring")
    sock.sendall(b"PING\r\n")
    assert (await asyncio.to_thread(lines.readline)) == b"PONG\r\n"
    await please("retire retiring")
    while line := await asyncio.to_thread(lines.readline):
        if line.startswith(b"INFO ") and json.loads(line[5:]).get("ldm"):
            break
    assert line, "the connection was closed without a word"
    sock.close()


@test
async def many_connections_come_and_go():
    for _ in range(5):
        clients = await asyncio.gather(*(connect() for _ in range(40)))
        await asyncio.gather(*(client.subscribe(f"c.{n}") for n, client in enumerate(clients)))
        await asyncio.gather(*(client.close() for client in clients))
    nc = await connect()
    await settle(nc)
    await nc.close()


async def main():
    for function in TESTS:
        name = function.__name__.replace("_", " ")
        if PEERS["only"] not in name:
            continue
        try:
            await asyncio.wait_for(function(), 60)
            say(test=name, error=None)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)
            line = next((f"core.py:{f.lineno}: {f.line}" for f in reversed(where) if f.filename == __file__), "")
            say(test=name, error=f"{type(error).__name__}: {error}\n{line}")
            if not isinstance(error, Exception):
                raise


assert all(inspect.iscoroutinefunction(function) for function in TESTS)
asyncio.run(main())
