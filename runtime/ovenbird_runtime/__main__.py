"""`python -m ovenbird_runtime` is `ovenbird-rt`."""

from ovenbird_runtime.cli import main

main(prog_name="ovenbird-rt")
