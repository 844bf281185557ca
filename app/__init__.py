"""The dsr command: one file a command, console output, nothing a library user would miss."""
