"""What reading arrays from files may raise."""

from __future__ import annotations

import zipfile

UNREADABLE = (OSError, KeyError, ValueError, TypeError, AttributeError, MemoryError, EOFError, zipfile.BadZipFile)
"""What NumPy raises for .npz files that are damaged, no archives, or without the array asked for."""
