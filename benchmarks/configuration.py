"""What validation costs: loading a fleet of 100,000 targets, as a multiple of bare json.loads on the same text.

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
    """A configuration of so many targets, each with a key of its own and two labels."""
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


def best(work: Callable[[], object]) -> float:
    """The least processor time of a few rounds, in seconds."""

    def once() -> float:
        began = process_time()
        work()
        return process_time() - began

    return min(once() for _ in range(ROUNDS))


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    text = fleet(size)
    settings = load(text, "fleet", environment={}, destination_kinds=OPTIONS)
    bare = best(lambda: json.loads(text))
    whole = best(lambda: load(text, "fleet", environment={}, destination_kinds=OPTIONS))
    written = best(lambda: canonical_json(settings))
    print(f"{size:,} targets, {len(text) / 1e6:.1f} MB")
    print(f"json.loads     {bare:6.2f} s")
    print(f"load           {whole:6.2f} s  {whole / bare:.1f} times")
    print(f"canonical_json {written:6.2f} s  {written / bare:.1f} times")


if __name__ == "__main__":
    main()
