"""The error of everything that is kept on disk."""

from models.errors import UserError


class ArtefactError(UserError):
    """A folder, shard or record is missing, damaged, in use, or not what it should be; the text names the file."""
