"""Auto-tuning: tasks from a network, candidates from MetaSchedule, measured alone, recorded at once.

    run.py: tasks.py -> search/ -> measure/candidates.py (build all) -> measuring.py | remote.py (time) -> log_writer.py

Nothing is built while something is timed, and every candidate runs in a process that may die.
"""
