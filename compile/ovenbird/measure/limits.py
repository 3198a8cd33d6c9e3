"""Every number of the tuner that is a limit or a habit, with its unit in its name."""

from __future__ import annotations

BUILD_LIMIT_S = 60.0
"""A candidate that takes longer to compile is failed."""

RUN_LIMIT_S = 20.0
"""A candidate that takes longer for one request (a check, a round of timing) is failed, its process replaced."""

START_LIMIT_S = 120.0
"""How long a worker may take to import TVM on a busy machine."""

BATCH_TRIALS = 16
"""Candidates of one task that are built, then measured, in one go."""

POPULATION = 96
"""MetaSchedule's default is 512, for spaces a thousand times as large as ours."""

WARMUP_RECORDS = 24
"""Below this many records XGBoost is not asked: it ranks at random."""

ROUNDS = 3
"""How often a batch is gone through; a candidate's time is its best round's median."""

CONFIRM_ROUNDS = 9
"""The same for a new best, the one before it and the default, timed again in alternation."""

ROUND_CALLS_MIN = 3
ROUND_CALLS_MAX = 30
ROUND_SECONDS = 0.008
"""Calls in a round: as many as fit in this time, between the two bounds."""

HOPELESS_RATIO = 3.0
"""A candidate whose first run takes this many times the default's best is not timed again."""

ROTATION_BYTES_MIN = 64 << 20
"""Copies of the weights are rotated through at least this much memory: in the network they come from memory too."""

ROTATION_COPIES_MAX = 64

RELATIVE_TOLERANCE = 1e-4
"""Largest error of a candidate against the default schedule, relative to the largest output: sums in another order."""

HALF_TOLERANCE = 2e-3
"""The same for float16 outputs, which are rounded to 1/2048: sums that differ little may be rounded apart."""

GPU_ROUND_SECONDS = 0.02
GPU_ROUND_CALLS_MIN = 3
GPU_ROUND_CALLS_MAX = 2000
"""Calls of a round on a GPU, begun one behind the other and waited for once: as many as fit in this time."""

SPACES_MAX = 16
"""Combinations of structures that are searched for one task."""

IMPROVEMENT = 0.01
"""A best that is faster by less than this share does not count as progress when the next task is chosen."""

PATIENCE_DECAY = 0.6
"""What a batch without progress leaves of a task's expected gain."""

UNKNOWN_HEADROOM = 0.3
"""Share of its time that a task without arithmetic may win, for all we know."""

RPC_SESSION_S = 60.0
"""How long a device may take for one candidate."""

RPC_TIMED_CALLS = 10
"""Calls of a candidate on a device, the caches flushed before each."""

FAILED_S = 1e10
"""MetaSchedule's own mark of a candidate that failed, in seconds."""
