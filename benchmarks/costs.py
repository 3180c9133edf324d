"""Compute the monthly costs on AWS: the table of the README, from counts and prices.

    python -m benchmarks.costs            # print the table, from the counts in costs.json
    python -m benchmarks.costs --count    # count again (takes minutes), write costs.json, and print the table
    python -m benchmarks.costs --write    # write the table into README.md

`cost_counts.py` does the counting. The assumptions are below, and under the table. The alarms are read from
template.yaml. Nothing is taken from a bill.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.template.template import resources

ROOT: Final = Path(__file__).parents[1]
COUNTS: Final = Path(__file__).with_name("costs.json")
BEGIN, END = "<!-- costs: python -m benchmarks.costs --write -->", "<!-- end of costs -->"

PRICES_OF: Final = "us-east-1, as of 2025"
PRICE: Final = {
    "lambda GB-second, arm64": 0.0000133334,
    "lambda request": 0.20e-6,
    "dynamodb read unit": 0.125e-6,
    "dynamodb write unit": 0.625e-6,
    "dynamodb GB": 0.25,
    "dynamodb backup GB": 0.20,
    "secret": 0.40,
    "secret read": 0.05 / 10_000,
    "metric": 0.30,
    "alarm metric": 0.10,
    "composite alarm": 0.50,
    "log GB": 0.50,
    "sqs request": 0.40e-6,
    "schedule start": 1.00e-6,
    "s3 GET or HEAD": 0.40e-6,
    "GB out": 0.09,
}
"""Dollars, on demand, without taxes. Storage of logs ($0.03 per GB) is omitted. Each secret of a batch is counted as a
read, because the billing of batches is not documented."""
FREE: Final = {
    "lambda GB-seconds": 400_000,
    "lambda requests": 1_000_000,
    "dynamodb GB": 25,
    "metrics": 10,
    "alarm metrics": 10,
    "log GB": 5,
    "sqs requests": 1_000_000,
    "schedule starts": 14_000_000,
    "GB out": 100,
}
"""The monthly free tier of every account, without a time limit."""

RUNS: Final = 30 * 24 * 12
"""Every 5 minutes."""
ROUNDS: Final = 30 * 24 * 60
"""Every minute."""
EMPTY_QUEUE: Final = 15 * 60 * 24 * 30
"""Receive requests of Lambda to an empty queue: five pollers, each of which waits for 20 seconds."""
SHARD_MESSAGE: Final = 3
"""SQS requests for a shard's message after it was sent: receive, delete, and a receive that returns nothing."""
MEMORY: Final = 0.5
"""GB of each function."""
CPU_SHARE: Final = 512 / 1769
"""Of a processor: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
CALL_SECONDS: Final = 0.006
"""Duration of a call to AWS. The store makes up to eight calls at once, which is not considered."""
ANSWER_SECONDS: Final = 0.5
"""Response time of the health API."""
CONCURRENCY: Final = 64
ENVIRONMENTS: Final = 5
"""Environments of poll that read a large fleet in parallel; each reads the secrets."""
PACKET_BYTES: Final = 250
"""Overhead of a request: TLS, TCP and IP headers, of it and of three acknowledgements."""
LAMBDA_LOG_BYTES: Final = 400
"""START, END and REPORT lines, which Lambda writes."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counts for a fleet without changes, for a run (one pass over all shards) and for a run of notify (`round`).

    `calls` are to DynamoDB, S3, SQS and Secrets Manager; `cpu` is seconds on the machine that counted; `stored` is
    bytes after a year, including indexes; `metrics` are distinct names with dimensions.
    """

    numbers: int
    shards: int
    secrets: int
    run_reads: float
    run_writes: float
    run_calls: float
    run_s3: float
    run_queue_requests: float
    run_secret_reads: float
    run_log: float
    run_cpu: float
    round_reads: float
    round_writes: float
    round_calls: float
    round_s3: float
    round_log: float
    round_cpu: float
    metrics: int
    request_bytes: float
    stored: float

    @property
    def starts(self) -> int:
        """Return the invocations of the poll function in a run."""
        return 1 if self.shards == 1 else 1 + self.shards

    @property
    def run_seconds(self) -> float:
        """Return the billed seconds of all invocations of a run."""
        waits = self.shards * -(-self.numbers // (self.shards * CONCURRENCY)) * ANSWER_SECONDS
        return waits + self.run_calls * CALL_SECONDS + self.run_cpu / CPU_SHARE

    @property
    def round_seconds(self) -> float:
        return self.round_calls * CALL_SECONDS + self.round_cpu / CPU_SHARE


class Line(msgspec.Struct, frozen=True):
    """A line of the table: dollars for each fleet, their calculation, and the part that is free."""

    name: str
    dollars: tuple[float, ...]
    arithmetic: str
    free: str = "–"
    free_dollars: tuple[float, ...] = ()


def alarm_count() -> tuple[int, int]:
    """Return the number of metrics that alarms use, and of composite alarms."""
    alarms = resources("AWS::CloudWatch::Alarm").values()
    watched = sum(sum("MetricStat" in metric for metric in alarm.get("Metrics", ())) or 1 for alarm in alarms)
    return watched, len(resources("AWS::CloudWatch::CompositeAlarm"))


def lines(fleets: Sequence[Counts]) -> list[Line]:
    """Compute all lines, in the order of the table."""
    compute = _each(fleets, lambda fleet: (RUNS * fleet.run_seconds + ROUNDS * fleet.round_seconds) * MEMORY)
    free_share = [min(1.0, FREE["lambda GB-seconds"] / used) for used in compute]
    watched, composite = alarm_count()
    alarms = watched * PRICE["alarm metric"] + composite * PRICE["composite alarm"]
    logs = _each(fleets, lambda fleet: (RUNS * fleet.run_log + ROUNDS * fleet.round_log) / 1e9)
    queue = _each(fleets, lambda fleet: EMPTY_QUEUE + RUNS * fleet.run_queue_requests)
    out = _each(fleets, lambda fleet: RUNS * fleet.numbers * (fleet.request_bytes + PACKET_BYTES) / 1e9)
    stored = _each(fleets, lambda fleet: fleet.stored / 1e9)
    poll, notify = _each(fleets, _poll_dollars), _each(fleets, _notify_dollars)
    free_requests = [min(1.0, FREE["lambda requests"] / (ROUNDS + RUNS * fleet.starts)) for fleet in fleets]
    return [
        Line(
            "Lambda, poll",
            poll,
            f"{RUNS:,} runs of {_listed(fleets, lambda fleet: fleet.run_seconds, ',.1f')} s × {MEMORY} GB × $0.0000133;"
            f" {_listed(fleets, lambda fleet: fleet.starts, ',.0f')} requests each × $0.20 a million",
            "400,000 GB-s, 1 million requests",
            tuple(
                RUNS
                * (
                    fleet.run_seconds * MEMORY * PRICE["lambda GB-second, arm64"] * share
                    + fleet.starts * free_request * 0.2e-6
                )
                for fleet, share, free_request in zip(fleets, free_share, free_requests, strict=True)
            ),
        ),
        Line(
            "Lambda, notify",
            notify,
            f"{ROUNDS:,} rounds of {_listed(fleets, lambda fleet: fleet.round_seconds, '.2f')} s, priced as above",
            "as above",
            tuple(
                ROUNDS
                * (fleet.round_seconds * MEMORY * PRICE["lambda GB-second, arm64"] * share + free_request * 0.2e-6)
                for fleet, share, free_request in zip(fleets, free_share, free_requests, strict=True)
            ),
        ),
        Line(
            "DynamoDB, requests",
            _each(
                fleets,
                lambda fleet: (
                    (RUNS * fleet.run_reads + ROUNDS * fleet.round_reads) * PRICE["dynamodb read unit"]
                    + (RUNS * fleet.run_writes + ROUNDS * fleet.round_writes) * PRICE["dynamodb write unit"]
                ),
            ),
            f"a run reads {_listed(fleets, lambda fleet: fleet.run_reads, ',.0f')} units and writes"
            f" {_listed(fleets, lambda fleet: fleet.run_writes, ',.0f')}, a round reads"
            f" {_listed(fleets, lambda fleet: fleet.round_reads, ',.0f')} and writes"
            f" {_listed(fleets, lambda fleet: fleet.round_writes, ',.0f')}; $0.125 and $0.625 a million",
        ),
        Line(
            "DynamoDB, storage and backups",
            _times(stored, PRICE["dynamodb GB"] + PRICE["dynamodb backup GB"]),
            f"{_joined(stored, '.2f')} GB after a year × ($0.25 + $0.20 for recovery to any point in time)",
            "25 GB, not the backups",
            tuple(min(each, FREE["dynamodb GB"]) * PRICE["dynamodb GB"] for each in stored),
        ),
        Line(
            "Secrets Manager",
            _each(
                fleets,
                lambda fleet: fleet.secrets * PRICE["secret"] + RUNS * fleet.run_secret_reads * PRICE["secret read"],
            ),
            f"{_listed(fleets, lambda fleet: fleet.secrets, ',.0f')} secrets × $0.40;"
            f" {_listed(fleets, lambda fleet: fleet.run_secret_reads, ',.0f')} reads a run × $0.05 for 10,000",
        ),
        Line(
            "CloudWatch metrics",
            _each(fleets, lambda fleet: fleet.metrics * PRICE["metric"]),
            f"{_listed(fleets, lambda fleet: fleet.metrics, ',.0f')} × $0.30",
            "10 metrics",
            tuple(min(fleet.metrics, FREE["metrics"]) * PRICE["metric"] for fleet in fleets),
        ),
        Line(
            "CloudWatch alarms",
            (alarms,) * len(fleets),
            f"{watched} metrics × $0.10" + (f", {composite} composite × $0.50" if composite else ""),
            "10 metrics",
            (min(watched, FREE["alarm metrics"]) * PRICE["alarm metric"],) * len(fleets),
        ),
        Line(
            "CloudWatch logs",
            _times(logs, PRICE["log GB"]),
            f"{_joined(logs, '.2f')} GB × $0.50",
            "5 GB",
            tuple(min(each, FREE["log GB"]) * PRICE["log GB"] for each in logs),
        ),
        Line(
            "SQS",
            _times(queue, PRICE["sqs request"]),
            f"Lambda asks the empty queue {EMPTY_QUEUE:,} times;"
            f" {_listed(fleets, lambda fleet: fleet.run_queue_requests, ',.0f')} requests a run; × $0.40 a million",
            "1 million requests",
            tuple(min(each, FREE["sqs requests"]) * PRICE["sqs request"] for each in queue),
        ),
        Line(
            "Scheduler, S3",
            _each(
                fleets,
                lambda fleet: (
                    (RUNS + ROUNDS) * PRICE["schedule start"]
                    + (RUNS * fleet.run_s3 + ROUNDS * fleet.round_s3) * PRICE["s3 GET or HEAD"]
                ),
            ),
            f"{RUNS + ROUNDS:,} starts × $1 a million; {_listed(fleets, lambda fleet: fleet.run_s3, ',.0f')} looks at"
            " the configuration a run, 1 a round, × $0.40 a million",
            "14 million starts",
            ((RUNS + ROUNDS) * PRICE["schedule start"],) * len(fleets),
        ),
        Line(
            "Data transfer out",
            _times(out, PRICE["GB out"]),
            f"{_joined(out, ',.1f')} GB: {fleets[0].request_bytes + PACKET_BYTES:,.0f} bytes a probe × $0.09 a GB",
            "100 GB",
            tuple(min(each, FREE["GB out"]) * PRICE["GB out"] for each in out),
        ),
    ]


def table(fleets: Sequence[Counts]) -> str:
    """Render the table in Markdown."""
    found = lines(fleets)
    totals = [sum(line.dollars[column] for line in found) for column in range(len(fleets))]
    free = [sum(line.free_dollars[column] for line in found if line.free_dollars) for column in range(len(fleets))]
    beyond = [total - free_part for total, free_part in zip(totals, free, strict=True)]
    names = " | ".join(f"{fleet.numbers:,} number{'' if fleet.numbers == 1 else 's'}" for fleet in fleets)
    rows = [
        f"| | {names} | arithmetic | free each month |",
        f"|---|{'---|' * (len(fleets) + 2)}",
        *(f"| {line.name} | {_money(line.dollars)} | {line.arithmetic} | {line.free} |" for line in found),
        f"| **together** | {_money(totals, '**')} | | |",
        f"| **beyond what is free** | {_money(beyond, '**')} | | |",
    ]
    return "\n".join(rows)


def write_into(readme: str, text: str) -> str:
    """Return the README with the table between its markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def read_counts() -> list[Counts]:
    return msgspec.json.decode(COUNTS.read_bytes(), type=list[Counts])


def _poll_dollars(fleet: Counts) -> float:
    seconds = fleet.run_seconds * MEMORY * PRICE["lambda GB-second, arm64"]
    return RUNS * (seconds + fleet.starts * PRICE["lambda request"])


def _notify_dollars(fleet: Counts) -> float:
    return ROUNDS * (fleet.round_seconds * MEMORY * PRICE["lambda GB-second, arm64"] + PRICE["lambda request"])


def _each(fleets: Sequence[Counts], value: Callable[[Counts], float]) -> tuple[float, ...]:
    return tuple(map(value, fleets))


def _times(values: Sequence[float], price: float) -> tuple[float, ...]:
    return tuple(value * price for value in values)


def _listed(fleets: Sequence[Counts], value: Callable[[Counts], float], form: str) -> str:
    return _joined(_each(fleets, value), form)


def _joined(values: Sequence[float], form: str) -> str:
    """Format as `(1; 20; 300)`, or as one value if all are equal."""
    written = [format(value, form) for value in values]
    return written[0] if len(set(written)) == 1 else f"({'; '.join(written)})"


def _money(values: Sequence[float], mark: str = "") -> str:
    return " | ".join(f"{mark}{value:,.2f}{mark}" for value in values)


def main(arguments: Sequence[str]) -> None:
    if "--count" in arguments:
        from benchmarks.cost_counts import count_all  # noqa: PLC0415 - moto, only to count

        COUNTS.write_bytes(msgspec.json.format(msgspec.json.encode(count_all()), indent=1) + b"\n")
    text = table(read_counts())
    print(text)
    if "--write" in arguments:
        readme = ROOT / "README.md"
        readme.write_text(write_into(readme.read_text(), text))


if __name__ == "__main__":
    main(sys.argv[1:])
