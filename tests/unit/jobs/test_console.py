from __future__ import annotations

from jobs.console import gist


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
