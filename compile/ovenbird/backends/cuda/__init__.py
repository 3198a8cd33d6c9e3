"""Code for NVIDIA GPUs: lowering in channels-last layout, schedules, nvcc. No GPU is needed to compile.

Example: `build_gpu_module({1: module}, load_target("cuda-sm90"))`, called by `ovenbird.backends.building.build_module`.
"""
