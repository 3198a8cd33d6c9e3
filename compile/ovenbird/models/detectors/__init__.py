"""The detectors that have a name: a file each, as in the folder above."""
