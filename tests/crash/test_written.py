"""What reaches the SD card: nothing on a healthy day, and little on a bad one."""

import subprocess
from pathlib import Path

import pytest

from tests.crash.written import GROUPS, measure, table

START_AND_END = 20  # fsyncs: the run's number twice over, new files, and folding the log in at the end


def test_writes_little_and_waits_once_a_commit(tmp_path: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True)
    if kind.stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the temporary directory is in memory: nothing reaches a device")
    rows = {group: measure(tmp_path, group, 40) for group in (0, *GROUPS)}
    print("\n" + table(list(rows.values())))
    assert rows[0].bytes == 0
    assert rows[0].commits == 0
    assert rows[1].a_commit <= 12 * 1024
    assert rows[1000].of_payload <= 6
    for row in rows.values():
        folded = row.bytes // (256 * 4096) + 1  # the log, about once a MiB: two fsyncs each
        if row.syncs is not None:
            assert row.commits <= row.syncs <= row.commits + 2 * folded + START_AND_END
