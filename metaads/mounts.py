"""PURE: which file system holds a path, from the kernel's table of mounts (`/proc/mounts`), and whether it is far away.

SQLite needs locks that every opener sees, memory that they share, and a flush that is one. File systems over a network
promise none of them, and a database there is damaged in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

#: As the kernel names them; of FUSE the part behind the dot.
# fmt: off
FAR: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
    "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs", "vboxsf", "vmhgfs",
})
FAR_BY_FUSE: Final = frozenset({
    "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "curlftpfs", "davfs", "davfs2", "gcsfuse", "glusterfs", "goofys",
    "juicefs", "mount-s3", "mountpoint-s3", "rclone", "s3fs", "seaweedfs", "smbnetfs", "sshfs", "vmhgfs-fuse",
})
# fmt: on
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    source: str
    target: str
    kind: str

    @property
    def far(self) -> bool:
        """Whether others than this kernel may write there as well."""
        name, _, program = self.kind.partition(".")
        if name == "fuse":
            return program in FAR_BY_FUSE
        # A sandbox's own root comes by 9p, too, and nobody else opens it; a folder of another system does not.
        return name in FAR and not (name == "9p" and self.target == "/")


def holding(path: str, table: str) -> Mount | None:
    """The mount that holds `path` (absolute, links followed); None where the table does not say.

    Of two mounts on one place the later one covers the earlier.
    """
    found: Mount | None = None
    for mount in _read(table):
        inside = f"{path}/".startswith(f"{mount.target.rstrip('/')}/")
        if inside and (found is None or len(mount.target) >= len(found.target)):
            found = mount
    return found


def _read(table: str) -> list[Mount]:
    rows = [line.split() for line in table.splitlines()]
    return [Mount(_plain(row[0]), _plain(row[1]), row[2]) for row in rows if len(row) >= 3]


def _plain(text: str) -> str:
    r"""Spaces, tabs, line ends and backslashes stand there as `\040` and the like, byte by byte."""
    as_bytes = re.sub(_ESCAPED.pattern.encode(), lambda one: bytes([int(one[1], 8) & 255]), text.encode())
    return as_bytes.decode(errors="replace")
