"""What a probe costs in CPU: our source against the least that anybody could pay for the same requests.

    python -m benchmarks.probes [TARGETS]

A server in a process of its own answers each request after 100 ms. Each contender asks it for every target, 64 at once
over kept connections, in a fresh process; the CPU of that process is what counts, in several rounds in turn, the best
of each. `bare pycurl` only moves bytes: no parsing, no limits, no deadlines of its own.
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
Place = tuple[str, int, dict[str, str]]
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


def ours(place: Place) -> int:
    url, _, keys = place
    targets = [Target(name, name, name) for name in keys]
    source = Dialog360Source(Settings(base_url=url, concurrency=CONCURRENCY), Keys(keys), Clock())
    return sum(isinstance(one.outcome, Report) for one in source.observe(targets, until=None))


def bare_pycurl(place: Place) -> int:
    url, _, keys = place
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
        for curl in [*done, *(one[0] for one in failed)]:
            multi.remove_handle(curl)
            idle.append(curl)
        answered += len(done)
        busy -= len(done) + len(failed)
        if not done:
            multi.select(1.0)
    return answered


def threads_of_http_client(place: Place) -> int:
    _, port, keys = place
    mine = local()

    def ask(key: str) -> bool:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection("127.0.0.1", port)
        mine.connection.request("GET", "/health_status", headers={"D360-API-KEY": key})
        answer = mine.connection.getresponse()
        return bool(answer.read()) and answer.status == http.HTTPStatus.OK

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return sum(pool.map(ask, keys.values()))


def measured(contender: Callable[[Place], int], place: Place, results: multiprocessing.Queue[Cost]) -> None:
    """Ends the benchmark where a target was not answered."""
    before, started = time.process_time(), time.perf_counter()
    if contender(place) != len(place[2]):
        raise SystemExit(f"{contender.__name__}: not every target was answered")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((time.process_time() - before, time.perf_counter() - started, memory))


def serve(count: int, ready: multiprocessing.Queue[Place], done: Event) -> None:
    fleet = generated_fleet(count)
    with running(Scenario(fleet=fleet, latency=LATENCY), paused=True) as server:
        ready.put((server.url, server.port, {number.id: number.key for number in fleet.numbers}))
        done.wait()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    processes = multiprocessing.get_context("fork")
    ready, done, results = processes.Queue(), processes.Event(), processes.Queue()
    server = processes.Process(target=serve, args=(count, ready, done))
    server.start()
    place = ready.get()
    contenders = (bare_pycurl, ours, threads_of_http_client)
    best: dict[str, Cost] = {}
    for _ in range(ROUNDS):
        for contender in contenders:
            process = processes.Process(target=measured, args=(contender, place, results))
            process.start()
            best[contender.__name__] = min(results.get(), best.get(contender.__name__, (1e9, 1e9, 0)))
            process.join()
    done.set()
    server.join()
    report(best, count)


def report(best: dict[str, Cost], count: int) -> None:
    floor = best["bare_pycurl"][0]
    print(f"{count} targets, answers after {LATENCY.total_seconds() * 1000:.0f} ms, {CONCURRENCY} at once")
    for name, (cpu, wall, memory) in best.items():
        each = cpu / count * 1000
        print(
            f"{name:24}{each:6.3f} ms of CPU a probe{cpu / floor:6.2f} x the floor{wall:6.2f} s in all{memory:6.0f} MB"
        )


if __name__ == "__main__":
    main()
