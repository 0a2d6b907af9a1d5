"""Where a lane may be mapped: the mounts are read as the kernel tells them, and the directory is tried."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentrace.journal.filesystem import file_system, judge

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /home rw shared:5 master:2 - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /home/you/cache rw - tmpfs tmpfs rw
32 27 0:42 / /mnt/with\040blank rw - xfs /dev/sdb rw
33 27 0:43 / /data rw - btrfs /dev/sdc rw
34 27 0:44 / /data rw - ext4 /dev/sdd rw
35 27 0:45 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/a
an unreadable line
36 27 0:46 /
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv/agent/.agentrace", "ext4"),
        ("/home/you/project", "nfs4"),
        ("/home/you/cache/store", "tmpfs"),
        ("/home/you/cached", "nfs4"),
        ("/homestead", "ext4"),
        ("/mnt/with blank/store", "xfs"),
        ("/data/store", "ext4"),
        ("/var/lib/docker/overlay2/x/merged/app", "overlay"),
        ("/proc/self", "proc"),
    ],
)
def test_the_mount_that_holds_a_path_is_found(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_no_mounts_no_answer() -> None:
    assert file_system(Path("/srv"), "") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="mapping is used on Linux only")
def test_the_reason_names_the_place_and_its_file_system(tmp_path: Path) -> None:
    kind = file_system(tmp_path, Path("/proc/self/mountinfo").read_text())

    verdict = judge(tmp_path / "not" / "there" / "yet")

    assert verdict.why.startswith(f"{tmp_path} is on {kind}")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ramfs(tmp_path: Path) -> Iterator[Path]:
    """A file system that is not known to be safe."""
    mounted = subprocess.run(["mount", "-t", "ramfs", "ramfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_an_unknown_file_system_is_not_mapped(ramfs: Path) -> None:
    verdict = judge(ramfs / "store")

    assert not verdict.safe
    assert verdict.why == f"{ramfs} is on ramfs, where mapped pages may not be backed"


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    """An overlay on the file system of the tests."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    layers = ",".join(f"{name}dir={tmp_path / name}" for name in ("lower", "upper", "work"))
    command = ["mount", "-t", "overlay", "overlay", "-o", layers, str(tmp_path / "merged")]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield tmp_path / "merged"
    subprocess.run(["umount", "-l", str(tmp_path / "merged")], check=True)


def test_an_overlay_is_mapped_after_a_probe(overlay: Path) -> None:
    verdict = judge(overlay / "store")

    assert verdict == (True, f"{overlay} is on overlay, which passed a probe")
    assert list(overlay.iterdir()) == []
