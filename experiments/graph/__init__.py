"""A study as a graph: artefacts, making them, the hosts that do, and telling what is done."""
