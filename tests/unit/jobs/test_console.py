from __future__ import annotations

import errno
import os

from jobs.console import gist, is_disk_full


def test_an_error_from_a_worker_is_told_by_the_line_that_names_it():
    text = (
        "\x1b[36mray::MapBatches(CutTask)()\x1b[39m (pid=1, ip=10.0.0.1)\n"
        '  File "jobs/chunk_files.py", line 9, in write\n    raise OSError\n'
        "OSError: [Errno 28] No space left on device\n\nThe above exception was the direct cause of\n"
        "ray.exceptions.UserCodeException: UDF failed to process a data block."
    )
    assert gist(RuntimeError(text)) == "OSError: [Errno 28] No space left on device"


def test_any_other_error_is_told_by_its_first_line():
    assert gist(ValueError("one\ntwo")) == "one"
    assert gist(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_a_full_disk_is_seen_behind_whatever_failed_for_it():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    behind = RuntimeError("the group of workers is gone")
    behind.__cause__ = full
    assert is_disk_full(full)
    assert is_disk_full(behind)
    assert not is_disk_full(OSError(errno.EIO, os.strerror(errno.EIO)))
