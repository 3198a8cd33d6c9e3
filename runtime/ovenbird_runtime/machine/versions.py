"""The exact pair of TVM libraries that this runtime is built with, and that every artifact must name.

    from ovenbird_runtime.machine.versions import TVM_VERSION, TVM_FFI_VERSION

`hatch_build.py` reads this file too: it is the one place where the pair is written.
"""

TVM_VERSION = "0.27.0.post1"
TVM_FFI_VERSION = "0.1.14.post1"
