"""From a file's bytes to a program's inputs: decoding, then the steps that the manifest lists."""
