"""Reading `.pt2` files from anybody: `torch.export.load` unpickles, evaluates and loads code; it gets a checked copy.

program = read_program(Path("net.pt2"))

`archive.py` takes the file's members out under limits, `program.py` checks the graph, `tensors.py` the weights and
the example inputs. Only what passed is written into the copy.
"""
