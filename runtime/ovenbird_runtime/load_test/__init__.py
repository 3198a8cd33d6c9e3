"""A load generator for our server, or any that answers the same routes (`ovenbird-runtime[load]`).

    ovenbird-rt load http://127.0.0.1:8000 --workers 2 --threads 8 --time-based 10

`client.py` sends one request, `sending.py` many from the threads of a process, `workers.py` has several of those;
`plan.py` says how much, `figures.py` makes numbers of what they saw, `plots.py` pictures of the numbers.
"""
