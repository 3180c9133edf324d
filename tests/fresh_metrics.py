"""The metrics of Powertools, as a new execution environment of Lambda has them."""

from aws_lambda_powertools import Metrics


def forget_metrics() -> None:
    """Remove metrics and dimensions, which Powertools keeps for the whole process."""
    metrics = Metrics()
    metrics.clear_default_dimensions()
    metrics.clear_metrics()
