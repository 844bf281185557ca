"""Scripts that measure: each prints a table, and its docstring gives the command and the expected result."""
