"""`python -m avsnn_cli`: the same as `avsnn`."""

from avsnn_cli.main import main

main()
