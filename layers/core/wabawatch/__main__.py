"""`python -m wabawatch`, where the command is not on the path."""

from wabawatch.cli.main import main

main()
