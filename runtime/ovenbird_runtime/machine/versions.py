"""This package's version, and the exact pair of TVM libraries that it is built with and every artifact must name.

    from ovenbird_runtime.machine.versions import TVM_VERSION, TVM_FFI_VERSION

`hatch_build.py` reads this file too: it is the one place where the pair is written.
"""

__version__ = "0.1.0"

TVM_VERSION = "0.27.0.post1"
TVM_FFI_VERSION = "0.1.14.post1"
