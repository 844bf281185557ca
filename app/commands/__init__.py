"""One module a command, imported only when its command is called; each holds a click command named `command`."""
