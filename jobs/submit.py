"""Running a ``lectern`` command as a job on a Ray cluster, through the cluster's job endpoint.

The token is found as everywhere in Ray: RAY_AUTH_MODE=token, then RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or
~/.ray/auth_token. The job goes on when the submitter goes away.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape

from jobs.console import person_console
from jobs.job_package import JobPackage, packed
from qa_core.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

DONE, FAILED, USER_MISTAKE, STOPPED = 0, 1, 2, 130
_CONNECT_SECONDS = 10
_TOKEN_REMEDY = (
    "Set RAY_AUTH_MODE=token, and put the cluster's token in RAY_AUTH_TOKEN, in the file that RAY_AUTH_TOKEN_PATH"
    " names, or in ~/.ray/auth_token."
)


def submit(argv: list[str], address: str, *, wait: bool = True, console: Console | None = None) -> int:
    """Send ``python -m jobs ARGV`` to the cluster at ``address`` (``http://HEAD:8265``) and follow its log.

    Returns the job's exit code: 0 done, 1 failed, 2 the user's mistake; 0 at once without ``wait``; 130 after Ctrl-C,
    which leaves the job running. Raises :class:`UserError` when the cluster cannot be reached or refuses the token.
    """
    console = console or person_console()
    client = connect(address)
    with packed(argv, same_machine=_is_this_machine(address)) as package:
        job_id = _send(client, package)
    try:
        console.print(f"[bold]job {job_id}[/bold]  lectern {escape(shlex.join(package.argv))}")
        console.print(f"  artifacts: {escape(package.storage)}")
        console.print(f"  follow:    ray job logs --address {address} --follow {job_id}")
        console.print(f"  stop:      ray job stop --address {address} {job_id}")
        return follow(client, job_id, console) if wait else DONE
    except KeyboardInterrupt:
        console.print(f"lectern: stopped following; job {job_id} goes on. The commands above follow or stop it.")
        return STOPPED


def connect(address: str) -> JobSubmissionClient:
    """A client for the job endpoint at ``address``, or :class:`UserError` with the remedy."""
    host, port = _host_and_port(address)
    _check_environment(address)
    try:
        # Ray's own request has no time limit; a silent firewall would hold it for minutes.
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"nothing answers at {address}: {error}",
            "Is the cluster up, and its dashboard? `ray dashboard cluster.yaml` brings a remote one to 127.0.0.1:8265.",
        ) from error
    return _open_client(address)


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{address!r} is no job endpoint", "Give the dashboard's address: --address http://HEAD:8265")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _check_environment(address: str) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name, address).rstrip("/") != address.rstrip("/"):
            # Ray's client would silently prefer the variable to what was asked for.
            raise UserError(f"{name}={os.environ[name]} is set and would win over --address {address}", f"unset {name}")
    token_file = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if token_file and not os.environ.get("RAY_AUTH_TOKEN") and not os.access(token_file, os.R_OK):
        raise UserError(f"RAY_AUTH_TOKEN_PATH={token_file} cannot be read", _TOKEN_REMEDY)


def _open_client(address: str) -> JobSubmissionClient:
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    # Ray tells of every file that it packs; two of its modules set a level of their own.
    for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise UserError(f"{address} refused: {str(error).splitlines()[0]}", _TOKEN_REMEDY) from error
    except (ConnectionError, RuntimeError, ValueError, requests.RequestException) as error:
        raise UserError(
            f"{address} answers, but not as a Ray dashboard: {error}",
            "Give the dashboard's address (port 8265 unless it was changed), not that of Serve or of the Ray client.",
        ) from error


def _is_this_machine(address: str) -> bool:
    """Whether every node is this machine. The address cannot tell: 127.0.0.1 may be a tunnel to another."""
    from ray.util import get_node_ip_address
    from ray.util.state import list_nodes

    here = {"127.0.0.1", get_node_ip_address()}
    return {node.node_ip for node in list_nodes(address=address) if node.state == "ALIVE"} <= here


def _send(client: JobSubmissionClient, package: JobPackage) -> str:
    try:
        return client.submit_job(
            entrypoint=shlex.join(["python", "-m", "jobs", *package.argv]), runtime_env=package.runtime_env
        )
    except ValueError as error:  # Ray's word for a working directory above its size limit
        raise UserError(
            f"the project cannot be sent: {str(error).splitlines()[0]}",
            "Leave large files out under `excludes` in cluster/runtime_env.yaml, and keep papers in shared storage.",
        ) from error


def follow(client: JobSubmissionClient, job_id: str, console: Console) -> int:
    """Print the job's log until the job ends; its exit code, or 1 when the connection is lost."""
    import aiohttp

    try:
        asyncio.run(_print_log(client, job_id))
        return _exit_code(client, job_id, console)
    except (aiohttp.ClientError, OSError, RuntimeError) as error:
        console.print(f"lectern: lost the connection ({escape(str(error))}); job {job_id} goes on. Follow it again.")
        return FAILED


async def _print_log(client: JobSubmissionClient, job_id: str) -> None:
    async for lines in client.tail_job_logs(job_id):
        sys.stdout.write(lines)
        sys.stdout.flush()


def _exit_code(client: JobSubmissionClient, job_id: str, console: Console) -> int:
    while not (job := client.get_job_info(job_id)).status.is_terminal():
        time.sleep(0.5)  # the log may end a moment before the status says so
    if job.status == "SUCCEEDED":
        return DONE
    if job.driver_exit_code is None:  # the job did not get as far as its own messages, or was stopped
        console.print(f"lectern: job {job_id} {job.status.lower()}: {escape(job.message or '')}")
    return USER_MISTAKE if job.driver_exit_code == USER_MISTAKE else FAILED
