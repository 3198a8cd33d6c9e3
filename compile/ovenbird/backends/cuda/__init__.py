"""Code for NVIDIA GPUs: lowering in channels-last layout, schedules, nvcc. No GPU is needed to compile.

Example: `build_module({EntryKey("main", 1): module}, load_target("cuda-sm90"))` of `backends.building`.
"""
