"""The Open Inference Protocol, version 2 (KServe, Triton), with the binary tensor extension.

https://github.com/kserve/open-inference-protocol and Triton's protocol/extension_binary_data.md
"""
