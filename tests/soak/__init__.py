"""The long forms of tests, which `make soak` runs: a table of what was done, and a fault if a promise did not hold.

Each is a function in a module of its own that takes a :class:`~tests.soak.run.Run`, goes on until that says it is
enough, and returns its figures; it is listed in ``__main__``. The suite runs each for a moment.
"""
