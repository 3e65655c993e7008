"""Which file system holds a path, and whether others than this machine may write there."""

from __future__ import annotations

import pytest

from metaads.mounts import holding

pytestmark = pytest.mark.fault("F104")

TABLE = """\
/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
nas:/export /srv nfs4 rw,vers=4.2,hard 0 0
/dev/sdb1 /srv/metaads/var xfs rw 0 0
//nas/share /media/my\\040share cifs rw 0 0
//nas/share /media/gro\\303\\237 smb3 rw 0 0
user@host:/var /home/alice/var fuse.sshfs rw 0 0
/dev/fuse /home/alice/sealed fuse.gocryptfs rw 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs 0 0
overlay /var/lib/app overlay rw 0 0
nas:/late /late nfs rw 0 0
/dev/sdc1 /late ext4 rw 0 0
a line that is cut
"""


@pytest.mark.parametrize(
    ("path", "kind", "target"),
    [
        ("/srv", "nfs4", "/srv"),
        ("/srv/metaads/metaads.sqlite3", "nfs4", "/srv"),
        ("/media/my share/metaads.sqlite3", "cifs", "/media/my share"),
        ("/media/groß/metaads.sqlite3", "smb3", "/media/groß"),
        ("/home/alice/var/metaads.sqlite3", "fuse.sshfs", "/home/alice/var"),
        ("/mnt/c/metaads/var/metaads.sqlite3", "9p", "/mnt/c"),
    ],
)
def test_a_path_on_a_network_disk_is_far(path: str, kind: str, target: str) -> None:
    mount = holding(path, TABLE)
    assert mount is not None and (mount.kind, mount.target, mount.far) == (kind, target, True)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/var/metaads.sqlite3", "/"),
        ("/srvother/metaads.sqlite3", "/"),  # begins alike, lies elsewhere
        ("/srv/metaads/var/metaads.sqlite3", "/srv/metaads/var"),  # a local disk below a network one
        ("/tmp/metaads.sqlite3", "/tmp"),
        ("/var/lib/app/metaads.sqlite3", "/var/lib/app"),
        ("/home/alice/sealed/metaads.sqlite3", "/home/alice/sealed"),  # FUSE over a local folder
        ("/late/metaads.sqlite3", "/late"),  # what was mounted last is what is seen
    ],
)
def test_a_path_on_a_disk_of_this_machine_is_not(path: str, target: str) -> None:
    mount = holding(path, TABLE)
    assert mount is not None and (mount.target, mount.far) == (target, False)


def test_a_sandbox_whose_own_root_comes_by_9p_is_not_far() -> None:
    mount = holding("/var/metaads.sqlite3", "none / 9p rw,trans=fd 0 0\n")
    assert mount is not None and not mount.far


def test_a_table_that_does_not_say_says_nothing() -> None:
    assert holding("/var/metaads.sqlite3", "") is None
