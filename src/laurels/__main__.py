"""``python -m laurels``: the command line."""

from laurels.cli import main

main()
