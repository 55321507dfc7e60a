"""`lectern submit` against a head node of its own, with the token on, through the command line as a person would."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

PROJECT = Path(__file__).resolve().parents[2]
TINY = ("--config", "tiny", f"chunk.papers={PROJECT / 'examples' / 'papers'}")


@dataclass(frozen=True)
class Head:
    address: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    folder: Path

    def lectern(self, *arguments: str, cwd: Path = PROJECT, **variables: str) -> subprocess.CompletedProcess[str]:
        assert self.process.poll() is None, self.last_words()
        return subprocess.run(
            [sys.executable, "-m", "jobs", *arguments, "--address", self.address],
            cwd=cwd,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def last_words(self) -> str:
        """Why the head went away, for the test's report."""
        logs = [self.folder / "head.log", *self.folder.glob("session_2*/logs/ray_process_exit.log")]
        logs += self.folder.glob("session_2*/logs/raylet.out")
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in logs)


def free_ports(count: int) -> list[int]:
    """Ports below the range that outgoing connections use, and outside Ray's own range for workers."""
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) and port not in found:
                found.append(port)
    return found


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    folder = Path(tempfile.mkdtemp(prefix="rK", dir="/tmp"))  # Ray's socket paths must stay short
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    binaries = str(Path(sys.executable).parent)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",  # jobs run `python`
        "PYTHONPATH": str(PROJECT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(folder),  # otherwise Ray tells every other program of this user about this head
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    gcs, client, dashboard, agent = free_ports(4)
    command = [
        f"{binaries}/ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={gcs}",
        f"--ray-client-server-port={client}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}", "--min-worker-port=0", "--max-worker-port=0", "--num-cpus=2",
        "--object-store-memory=100000000", f"--temp-dir={folder}",
    ]  # fmt: skip
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        started = Head(f"http://127.0.0.1:{dashboard}", environment, process, folder)
        wait_for_dashboard(started, dashboard)
        yield started
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_dashboard(head: Head, port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and head.process.poll() is None:
        with socket.socket() as probe:
            started = "Ray runtime started" in (head.folder / "head.log").read_text()
            if started and not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.5)
    pytest.fail(f"no head node\n{head.last_words()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Only this head, by its own id: `ray stop` would end every Ray on the machine."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_dry_run_is_planned_on_the_cluster_and_its_log_comes_back(head: Head, tmp_path: Path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("run: {name: carried}\n")

    job = head.lectern("submit", "run", *TINY, "--config", str(mine), "--dry-run", cwd=tmp_path)

    assert job.returncode == 0, job.stdout + job.stderr
    assert re.search(r"^job raysubmit_\w+", job.stdout, re.MULTILINE)
    assert f"ray job stop --address {head.address} raysubmit_" in job.stdout
    assert f"plan for {tmp_path}/runs/carried" in job.stdout, "storage is the submitter's own, not Ray's copy"
    assert "finetune" in job.stdout
    assert not (tmp_path / "runs").exists()


def test_the_users_mistake_in_a_job_is_the_users_mistake_here(head: Head, tmp_path: Path):
    job = head.lectern("submit", "finetune", *TINY, cwd=tmp_path)

    assert job.returncode == 2, job.stdout + job.stderr
    assert "finetune needs" in job.stdout
    assert "Traceback" not in job.stdout + job.stderr


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(head: Head, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "jobs", "submit", "config", *TINY, "--address", head.address],
        cwd=tmp_path,
        env=head.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    job_id = process.stdout.readline().split()[1]
    assert "stop:" in "".join(process.stdout.readline() for _ in range(3))
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]

    assert process.returncode == 130
    assert f"job {job_id} goes on" in rest
    follow = [f"{Path(sys.executable).parent}/ray", "job", "logs", "--address", head.address, "--follow", job_id]
    log = subprocess.run(follow, env=head.environment, capture_output=True, text=True, timeout=120)
    assert "name: tiny" in log.stdout
    assert "succeeded" in log.stdout.lower()


def test_a_wrong_token_is_refused_with_where_tokens_are_looked_for(head: Head):
    job = head.lectern("submit", "config", "--config", "tiny", RAY_AUTH_TOKEN=secrets.token_hex(32))

    assert job.returncode == 2
    assert "refused" in job.stderr
    assert "RAY_AUTH_TOKEN" in job.stderr
    assert "Traceback" not in job.stderr


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"RAY_ADDRESS": "http://10.0.0.1:8265"}, "unset RAY_ADDRESS"),
        ({"RAY_AUTH_TOKEN_PATH": "/no/such/token"}, "cannot be read"),
    ],
)
def test_an_environment_that_would_mislead_is_told(head: Head, variables: dict[str, str], word: str):
    job = head.lectern("submit", "config", "--config", "tiny", **variables)

    assert job.returncode == 2
    assert word in job.stderr


def test_no_cluster_at_the_address_is_told_with_a_remedy():
    command = [sys.executable, "-m", "jobs", "submit", "config", "--config", "tiny", "--address"]
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    for address, word in ((closed, "nothing answers"), ("127.0.0.1:8265", "http://HEAD:8265")):
        job = subprocess.run([*command, address], cwd=PROJECT, capture_output=True, text=True, timeout=60)
        assert job.returncode == 2
        assert word in job.stderr
