"""`python -m ovenbird` is `ovenbird`."""

from ovenbird.cli import main

main()
