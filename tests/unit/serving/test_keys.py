from __future__ import annotations

import os
from pathlib import Path

import pytest

from qa_core.errors import UserError
from serving.keys import KeyFile, RateLimit, read_keys

FIRST, SECOND = "first-key-of-24-letters!", "second-key-of-24-letters"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_every_key_of_the_file_opens_and_no_other(tmp_path: Path) -> None:
    write(tmp_path / "keys", "# the team", FIRST, f"{SECOND}  # a guest", "")
    keys = KeyFile(tmp_path / "keys")
    assert keys.holder(FIRST)
    assert keys.holder(SECOND)
    assert keys.holder(FIRST) != keys.holder(SECOND)
    for wrong in ("", "# the team", FIRST[:-1], FIRST.upper(), "\ud800"):
        assert keys.holder(wrong) is None


def test_the_name_of_a_holder_does_not_give_the_key_away(tmp_path: Path) -> None:
    write(tmp_path / "keys", FIRST)
    assert FIRST[:4] not in (KeyFile(tmp_path / "keys").holder(FIRST) or "")


def test_keys_are_rotated_by_writing_the_file_anew(tmp_path: Path) -> None:
    clock = Clock()
    write(tmp_path / "keys", FIRST)
    keys = KeyFile(tmp_path / "keys", clock)
    write(tmp_path / "keys", SECOND)
    clock.now += 2
    assert keys.holder(SECOND)
    assert keys.holder(FIRST) is None


@pytest.mark.parametrize("content", [None, "", "short\n"])
def test_a_file_that_is_gone_or_broken_leaves_the_keys_as_they_were(tmp_path: Path, content: str | None) -> None:
    clock = Clock()
    write(tmp_path / "keys", FIRST)
    keys = KeyFile(tmp_path / "keys", clock)
    if content is None:
        (tmp_path / "keys").unlink()
    else:
        (tmp_path / "keys").write_text(content)
    clock.now += 2
    assert keys.holder(FIRST)
    write(tmp_path / "keys", SECOND)
    clock.now += 2
    assert (keys.holder(FIRST), bool(keys.holder(SECOND))) == (None, True)


@pytest.mark.parametrize(("content", "problem"), [("", "no key"), ("# only\n", "no key"), ("short\n", "5 characters")])
def test_a_file_without_a_safe_key_is_refused_with_the_remedy(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(UserError, match=problem) as caught:
        read_keys(tmp_path / "keys")
    assert "openssl rand" in caught.value.remedy


def test_a_holder_may_send_a_minutes_worth_at_once_and_then_waits_its_turn() -> None:
    clock = Clock()
    rate = RateLimit(per_minute=6, clock=clock)
    assert [rate.wait("a") for _ in range(6)] == [0] * 6
    assert rate.wait("a") == 10
    assert rate.wait("b") == 0
    clock.now += 10
    assert rate.wait("a") == 0
    assert rate.wait("a") == 10
