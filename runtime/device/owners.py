"""Whose the files are that a device goes on with: who may change them decides what it does."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def foreign_owner(path: Path) -> str | None:
    """The user whom a file belongs to, if that is neither root nor who this process runs as. Raises OSError."""
    owner = path.lstat().st_uid
    if owner in (0, os.geteuid()):
        return None
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)
