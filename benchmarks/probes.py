"""Measure the CPU of a probe: the source of Wabawatch, compared with the least possible work for the same requests.

    python -m benchmarks.probes [TARGETS]

A server in a separate process responds to each request after 100 ms. Each candidate requests every target, 64 at once
over persistent connections, in a new process; the least CPU time of that process in several rounds is printed.
`bare_pycurl` only transfers bytes: no parsing, limits or deadlines.
"""

from __future__ import annotations

import http.client
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from threading import local

import pycurl

from wabawatch.adapters.dialog360 import Dialog360Source, Settings
from wabawatch.application.ports import Target
from wabawatch.domain.health import Report
from wabawatch.simulator import Scenario, generated_fleet, running

ROUNDS = 3
CONCURRENCY = 64
LATENCY = timedelta(milliseconds=100)
Server = tuple[str, int, dict[str, str]]
"""URL, port, and API keys by target."""
Cost = tuple[float, float, float]
"""Seconds of CPU, seconds in all, and the most memory in MB."""


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Keys(dict[str, str]):
    def prefetch(self, _: object, __: object) -> None: ...

    def refresh(self, _: object, __: object) -> None: ...

    def held_key(self, reference: str) -> str:
        return self[reference]


def wabawatch(server: Server) -> int:
    url, _, keys = server
    targets = [Target(name, name, name) for name in keys]
    source = Dialog360Source(Settings(base_url=url, concurrency=CONCURRENCY), Keys(keys), Clock())
    return sum(isinstance(observation.outcome, Report) for observation in source.observe(targets, until=None))


def bare_pycurl(server: Server) -> int:
    url, _, keys = server
    multi, answered, waiting = pycurl.CurlMulti(), 0, list(keys.values())
    idle = [pycurl.Curl() for _ in range(CONCURRENCY)]
    busy = 0
    while waiting or busy:
        while idle and waiting:
            curl = idle.pop()
            curl.setopt(pycurl.URL, f"{url}/health_status")
            curl.setopt(pycurl.HTTPHEADER, [f"D360-API-KEY: {waiting.pop()}"])
            curl.setopt(pycurl.WRITEFUNCTION, bytearray().extend)
            multi.add_handle(curl)
            busy += 1
        multi.perform()
        _, done, failed = multi.info_read(CONCURRENCY)
        for curl in [*done, *(failure[0] for failure in failed)]:
            multi.remove_handle(curl)
            idle.append(curl)
        answered += len(done)
        busy -= len(done) + len(failed)
        if not done:
            multi.select(1.0)
    return answered


def threads_of_http_client(server: Server) -> int:
    _, port, keys = server
    thread = local()

    def request(key: str) -> bool:
        if not hasattr(thread, "connection"):
            thread.connection = http.client.HTTPConnection("127.0.0.1", port)
        thread.connection.request("GET", "/health_status", headers={"D360-API-KEY": key})
        response = thread.connection.getresponse()
        return bool(response.read()) and response.status == http.HTTPStatus.OK

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return sum(pool.map(request, keys.values()))


def measure(candidate: Callable[[Server], int], server: Server, results: multiprocessing.Queue[Cost]) -> None:
    """Put the cost of one candidate into `results`. Exit if a target got no response."""
    before, started = time.process_time(), time.perf_counter()
    if candidate(server) != len(server[2]):
        raise SystemExit(f"{candidate.__name__}: not every target got a response")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((time.process_time() - before, time.perf_counter() - started, memory))


def serve(count: int, ready: multiprocessing.Queue[Server], done: Event) -> None:
    fleet = generated_fleet(count)
    with running(Scenario(fleet=fleet, latency=LATENCY), paused=True) as server:
        ready.put((server.url, server.port, {number.id: number.key for number in fleet.numbers}))
        done.wait()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    processes = multiprocessing.get_context("fork")
    ready, done, results = processes.Queue(), processes.Event(), processes.Queue()
    serving = processes.Process(target=serve, args=(count, ready, done))
    serving.start()
    server = ready.get()
    best: dict[str, Cost] = {}
    for _ in range(ROUNDS):
        for candidate in (bare_pycurl, wabawatch, threads_of_http_client):
            process = processes.Process(target=measure, args=(candidate, server, results))
            process.start()
            best[candidate.__name__] = min(results.get(), best.get(candidate.__name__, (1e9, 1e9, 0)))
            process.join()
    done.set()
    serving.join()
    report(best, count)


def report(best: dict[str, Cost], count: int) -> None:
    baseline = best["bare_pycurl"][0]
    print(f"{count} targets, responses after {LATENCY.total_seconds() * 1000:.0f} ms, {CONCURRENCY} at once")
    for name, (cpu, wall, memory) in best.items():
        each, ratio = cpu / count * 1000, cpu / baseline
        print(f"{name:24}{each:6.3f} ms of CPU a probe{ratio:6.2f} x the baseline{wall:6.2f} s in all{memory:6.0f} MB")


if __name__ == "__main__":
    main()
