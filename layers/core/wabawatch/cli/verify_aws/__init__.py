"""Checks for `doctor --verify-aws`, which need a real AWS account.

A check is a generator: it yields verdicts, and a `Pause` when it waits, so that all checks run concurrently in one
thread. Each check removes what it created when it ends, also after an error.
"""
