"""`doctor --verify-aws`: what only a real AWS account can show, each check with what it proves.

A check is a generator: it yields verdicts, and a `Pause` where it has to wait, so that the checks wait side by side in
one thread. What a check creates it removes when it ends, however it ends.
"""
