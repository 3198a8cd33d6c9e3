"""Timing artifacts against other engines on the same network, weights, inputs, threads and precision.

    plan -> preparing (artifact, ONNX file, inputs, reference; once) -> rounds (fresh worker processes, in turn)
         -> results -> report (markdown, JSON), plot (PNG), layer_profile

The process that orders the rounds imports neither torch nor tvm: nothing of it may run while a worker is timed.
"""
