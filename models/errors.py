"""The one exception the command line prints without a traceback."""


class UserError(Exception):
    """Something the user can put right: its text says what is wrong, with which file, and what to do.

    Every layer derives its own from this (`DatasetError`, `CodecError`, `ArtefactError`, `ConfigError`).
    """
