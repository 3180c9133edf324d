"""Measure a cold start of the poll function, compared with a bare DynamoDB client.

Both are measured alternately in new processes, as CPU time; the result is the ratio of the medians. "Ready" is
everything up to the first call to AWS: the module of the handler, the application, its store, source and notifiers.

    python -m benchmarks.start
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 9

BASELINE = """
import boto3
from botocore.config import Config
boto3.client("dynamodb")
"""
IMPORT = f"""
import sys
sys.path.insert(0, {str(ROOT / "functions" / "poll")!r})
import app
"""
READY = (
    IMPORT
    + """
from wabawatch.bootstrap import _PARAMETERS
application = app.runtime.lambda_monitor().monitor
application.store
application._config._accept(_PARAMETERS)
application.rules
application.source
"""
)
TIMED = "import time; start = time.process_time()\n{}\nprint(time.process_time() - start)"


def measure_cpu(code: str) -> float:
    environment = os.environ | {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "WABAWATCH_STATE": "dynamodb:none",
        "WABAWATCH_CONFIG": "s3://none/config.json",
        "WABAWATCH_API_KEY_SECRET": "wabawatch/key",
        "WABAWATCH_ALERTS_TOPIC_ARN": "arn:aws:sns:eu-central-1:123456789012:alerts",
    }
    done = subprocess.run(
        [sys.executable, "-c", TIMED.format(code)], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    cases = {"a bare DynamoDB client": BASELINE, "poll: ready": READY}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, code in cases.items():
            times[name].append(measure_cpu(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    baseline = medians["a bare DynamoDB client"]
    for name, median in medians.items():
        print(f"{name:24} {1000 * median:6.0f} ms   {median / baseline:.2f}")
    print(json.dumps({"ratio": round(medians["poll: ready"] / baseline, 2)}))


if __name__ == "__main__":
    main()
