"""Telemetry against a real collector (rotel): one trace from an HTTP request through the bus to an agent in Python and
back, over both protocols of OTLP; streams; logs; metrics; a collector that is away.

`cargo xtask peers` says in PEERS which binary to start and where it may write.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from pathlib import Path

import nats
import rotel
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

PEERS = json.loads(os.environ["PEERS"])
PATIENCE = 20  # seconds until something that must come has come
TESTS = []
PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET = "s3cret-that-nobody-may-see"


def test(function):
    TESTS.append(function)
    return function


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A program with its output in a file; ended when the block is over."""

    def __init__(self, name, command):
        self.log = Path(PEERS["certificates"]) / f"telemetry-{name}-{free_port()}.log"
        self.out = open(self.log, "wb")
        self.child = subprocess.Popen(command, stdout=self.out, stderr=subprocess.STDOUT)

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, found, what):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if (value := found(self.text())) :
                return value
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come; see {self.log}")

    def stop(self):
        self.child.terminate()
        status = self.child.wait(PATIENCE)
        self.out.close()
        return status


@contextlib.contextmanager
def running(name, command):
    process = Process(name, command)
    try:
        yield process
    finally:
        if process.child.poll() is None:
            process.child.kill()
            process.child.wait()


class Collector:
    """rotel with everything that it is given in its log."""

    def __init__(self, grpc, http, process):
        self.grpc, self.http, self.process = f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}", process

    def spans(self):
        """Every span as a dict, with its attributes and its service."""
        service, all_, at = "", [], None
        for line in self.process.text().splitlines():
            if m := re.search(r"-> service\.name: Str\((.*)\)", line):
                service = m[1]
            elif re.match(r"Span #", line.strip()):
                at = {"service": service}
                all_.append(at)
            elif at is not None and (m := re.match(r"\s+(Trace ID|Parent ID|ID|Name|Kind)\s+: ?(.*)", line)):
                at[m[1]] = m[2].strip()
            elif at is not None and (m := re.match(r"\s+-> (\S+): \w+\((.*)\)", line)):
                at[m[1]] = m[2]
        return all_

    def of(self, trace_id, *names):
        """The spans of a trace, by name, once all of these names are there."""

        def found(_):
            have = {s["Name"]: s for s in self.spans() if s.get("Trace ID") == trace_id and "Name" in s}
            return have if set(names) <= set(have) else None

        return self.process.wait_for(found, f"spans {names} of {trace_id}")


@contextlib.contextmanager
def collector():
    binary = Path(rotel.__file__).with_name("rotel-agent")
    grpc, http = free_port(), free_port()
    command = [binary, "start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]
    for signal in ["traces", "logs", "metrics"]:
        command += ["--debug-log", signal]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
    with running("rotel", command) as process:
        process.wait_for(lambda text: "Starting Rotel" in text, "the collector")
        deadline = time.monotonic() + PATIENCE
        for port in [grpc, http]:
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
        yield Collector(grpc, http, process)


class Node:
    def __init__(self, process):
        self.process = process
        ready = process.wait_for(lambda text: re.search(r'\{"event":"ready".*', text), "the node")
        self.ready = json.loads(ready[0])

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.ready["http"] + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()


@contextlib.contextmanager
def node(endpoint, protocol="http/protobuf", ratio=0.0, level="info"):
    folder = Path(PEERS["certificates"]) / f"telemetry-node-{free_port()}"
    folder.mkdir()
    config = folder / "neuroplex.toml"
    config.write_text(
        f'[telemetry]\ntrace_ratio = {ratio}\notlp_endpoint = "{endpoint}"\notlp_protocol = "{protocol}"\n'
        f'otlp_interval_ms = 100\notlp_metrics_interval_ms = 1000\notlp_headers = ["x-key={SECRET}"]\n'
        f'[log]\nformat = "json"\nlevel = "{level}"\n'
    )
    command = [PEERS["binary"], "up", "--json", "--http", "127.0.0.1:0", "--nats", "127.0.0.1:0"]
    command += ["--data", folder / "data", "--config", config, "--node-id", "traced"]
    with running("neuroplex", command) as process:
        yield Node(process)


def agent_tracer(collector_):
    provider = TracerProvider(resource=Resource.create({"service.name": "agent"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector_.http}/v1/traces")))
    return provider, provider.get_tracer("agent")


async def there_and_back(protocol):
    with collector() as c, node(c.grpc if protocol == "grpc" else c.http, protocol) as n:
        provider, tracer = agent_tracer(c)
        agent = await nats.connect(n.ready["nats"])
        heard = []

        async def answer(message):
            heard.append(message.headers)
            context = propagate.extract(message.headers)
            with tracer.start_as_current_span("think", context=context, kind=trace.SpanKind.SERVER):
                back = {}
                propagate.inject(back)
                await message.respond(b"forty-two")
                await agent.publish("seen", b"", headers=back)

        await agent.subscribe("ask.me", cb=answer)
        await agent.flush()
        parent = f"00-{PARENT}-00f067aa0ba902b7-01"
        headers = {"traceparent": parent, "tracestate": "vendor=1", "X_Correlation_ID": "c-7"}
        status, back, body = await asyncio.to_thread(n.ask, "POST", "/v1/request/ask.me", b"?", **headers)
        assert (status, body) == (200, b"forty-two"), (status, body)
        assert heard[0]["tracestate"] == "vendor=1", heard
        assert heard[0]["Np-Correlation-Id"] == "c-7", heard
        await agent.close()
        await asyncio.to_thread(provider.shutdown)
        name = "POST /v1/request/{subject}"
        spans = await asyncio.to_thread(c.of, PARENT, name, "think")
        request, think = spans[name], spans["think"]
        assert request["Parent ID"] == "00f067aa0ba902b7", request
        assert request["service"] == "neuroplex" and think["service"] == "agent", spans
        assert think["Parent ID"] == request["ID"], spans
        assert request["Kind"] == "SPAN_KIND_SERVER", request
        assert request.get("http.route") == "/v1/request/{subject}", request
        assert back["traceparent"] == f"00-{PARENT}-{request['ID']}-01", back
        assert back["x-trace-id"] == PARENT and back["x-correlation-id"] == "c-7", back


@test
async def one_trace_from_http_through_the_bus_to_an_agent_and_back_over_http():
    await there_and_back("http/protobuf")


@test
async def one_trace_from_http_through_the_bus_to_an_agent_and_back_over_grpc():
    await there_and_back("grpc")


@test
async def a_stored_message_keeps_its_trace_until_it_is_delivered():
    with collector() as c, node(c.http) as n:
        agent = await nats.connect(n.ready["nats"])
        js = agent.jetstream()
        await js.add_stream(name="JOBS", subjects=["jobs.>"])
        asked = {"X_Trace_ID": "unique-trace-id", "X_Sampling_Priority": "1"}
        path = "/v1/publish/jobs.a?ack=disk"
        status, back, _ = await asyncio.to_thread(n.ask, "POST", path, b"{}", **asked)
        assert status == 200 and back["x-trace-id"] == "unique-trace-id", (status, back)
        trace_id = back["traceparent"].split("-")[1]
        pull = await js.pull_subscribe("jobs.>", durable="worker")
        [message] = await pull.fetch(1, timeout=PATIENCE)
        assert message.headers["traceparent"] == back["traceparent"], message.headers
        await message.ack_sync(timeout=PATIENCE)
        headers = {"traceparent": back["traceparent"]}
        await agent.request("$JS.API.STREAM.INFO.JOBS", b"", timeout=PATIENCE, headers=headers)
        await agent.close()
        http, api = "POST /v1/publish/{subject}", "$JS.API.STREAM.INFO.JOBS"
        spans = await asyncio.to_thread(c.of, trace_id, http, "store JOBS", "deliver JOBS", api)
        for name in ["store JOBS", "deliver JOBS", api]:
            assert spans[name]["Parent ID"] == spans[http]["ID"], spans
        assert spans["deliver JOBS"]["neuroplex.consumer"] == "worker", spans


@test
async def what_is_not_sampled_is_not_told_and_still_travels():
    with collector() as c, node(c.http) as n:
        agent = await nats.connect(n.ready["nats"])
        heard = await agent.subscribe("quiet")
        await agent.flush()
        quiet = f"00-{PARENT}-00f067aa0ba902b7-00"
        await asyncio.to_thread(n.ask, "POST", "/v1/publish/quiet", b"1", traceparent=quiet)
        message = await heard.next_msg(timeout=PATIENCE)
        assert message.headers["traceparent"] == quiet, message.headers
        loud = quiet.replace(PARENT, "a" * 32)
        await asyncio.to_thread(n.ask, "POST", "/v1/publish/quiet", b"2", traceparent=loud, X_Sampling_Priority="1")
        await agent.close()
        await asyncio.to_thread(c.of, "a" * 32, "POST /v1/publish/{subject}")
        assert PARENT not in c.process.text()


@test
async def log_lines_and_metrics_arrive_with_their_ids():
    with collector() as c, node(c.http, level="debug") as n:
        parent = f"00-{PARENT}-00f067aa0ba902b7-01"
        await asyncio.to_thread(n.ask, "POST", "/v1/publish/a", b"1", traceparent=parent, X_Correlation_ID="c-9")

        def lines(text):
            lines = [json.loads(line) for line in text.splitlines() if line.startswith('{"') and '"level"' in line]
            return [line for line in lines if line.get("trace_id") == PARENT]

        [line] = await asyncio.to_thread(n.process.wait_for, lines, "a line with the trace")
        assert line["node"] == "traced" and line["correlation_id"] == "c-9", line
        assert line["route"] == "/v1/publish/{subject}" and line["message"] == "answered", line
        assert set(line) >= {"time", "level", "target", "span_id"}, line

        def all_arrived(text):
            return all(word in text for word in ["LogRecord", "answered", "http_requests_total", "neuroplex_store_syncs"])

        await asyncio.to_thread(c.process.wait_for, all_arrived, "logs and metrics")


@test
async def what_waits_is_sent_at_the_end():
    with collector() as c, node(c.http) as n:
        await asyncio.to_thread(n.ask, "POST", "/v1/publish/a", b"1", traceparent=f"00-{PARENT}-00f067aa0ba902b7-01")
        assert n.process.stop() == 0
        await asyncio.to_thread(c.of, PARENT, "POST /v1/publish/{subject}")


@test
async def a_collector_that_is_away_costs_a_counter_and_one_warning():
    with node(f"http://127.0.0.1:{free_port()}", ratio=1.0) as n:
        for _ in range(50):
            status, back, _ = await asyncio.to_thread(n.ask, "POST", "/v1/publish/a", b"1")
            assert status == 202 and back["traceparent"].endswith("-01"), (status, back)

        def dropped(_):
            _, _, text = n.ask("GET", "/metrics")
            m = re.search(rb'neuroplex_telemetry_dropped_total\{signal="traces"\} (\d+)', text)
            return int(m[1]) > 0

        await asyncio.to_thread(n.process.wait_for, dropped, "a counter")
        await asyncio.sleep(1)
        start = time.monotonic()
        assert n.process.stop() == 0
        assert time.monotonic() - start < 8
        warnings = [line for line in n.process.text().splitlines() if "takes no telemetry" in line]
        assert len(warnings) == 1, warnings
        assert SECRET not in n.process.text()


async def main():
    for function in TESTS:
        name = function.__name__
        if PEERS.get("only", "") not in name:
            continue
        try:
            await asyncio.wait_for(function(), 80)
            error = None
        except Exception:
            error = traceback.format_exc(limit=-4)
        print(json.dumps({"test": name, "error": error}), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
