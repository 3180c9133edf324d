"""Measure validation: load a configuration of 100,000 targets, as a multiple of bare json.loads on the same text.

python -m benchmarks.configuration [TARGETS]
"""

import json
import sys
from collections.abc import Callable
from time import process_time

from wabawatch.adapters.notifiers.registry import OPTIONS
from wabawatch.config import canonical_json, load

ROUNDS = 5


def fleet(size: int) -> str:
    """Build a configuration of `size` targets, each with its own key and two labels."""
    targets = [
        {
            "id": f"number-{place}",
            "name": f"Number {place}",
            "api_key": f"secretsmanager:wabawatch/keys-{place // 500}#number-{place}",
            "labels": {"team": f"team-{place % 20}", "client": f"client-{place % 300}"},
        }
        for place in range(size)
    ]
    return json.dumps({"targets": targets})


def measure_cpu(function: Callable[[], object]) -> float:
    """Return the least CPU time of a few calls, in seconds."""
    times = []
    for _ in range(ROUNDS):
        started = process_time()
        function()
        times.append(process_time() - started)
    return min(times)


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    text = fleet(size)
    settings = load(text, "fleet", environment={}, destination_kinds=OPTIONS)
    baseline = measure_cpu(lambda: json.loads(text))
    loading = measure_cpu(lambda: load(text, "fleet", environment={}, destination_kinds=OPTIONS))
    encoding = measure_cpu(lambda: canonical_json(settings))
    print(f"{size:,} targets, {len(text) / 1e6:.1f} MB")
    print(f"json.loads     {baseline:6.2f} s")
    print(f"load           {loading:6.2f} s  {loading / baseline:.1f} times")
    print(f"canonical_json {encoding:6.2f} s  {encoding / baseline:.1f} times")


if __name__ == "__main__":
    main()
