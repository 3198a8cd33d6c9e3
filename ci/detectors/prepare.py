"""Write what the peers run, in a process of its own: the network, its decoding with it, as ONNX files.

python ci/detectors/prepare.py REQUEST.json     # as ovenbird.benchmarking.preparing takes it
"""

from __future__ import annotations

import sys

from onnx_forms import register

from ovenbird.benchmarking.preparing import main

if __name__ == "__main__":
    register()
    sys.exit(main(sys.argv[1:]))
