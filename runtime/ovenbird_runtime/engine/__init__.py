"""Run programs: memory, queue, measured costs, and the one file that knows tvm_ffi."""
