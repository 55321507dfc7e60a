"""Serve one run on this machine (or on a Ray cluster) until Ctrl-C.

    python -m serving --config tiny [section.key=value ...]

Exit codes: 0 stopped by the user, 1 failed, 2 the user's mistake, 130 stopped before the service was up.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from qa_core.artifacts import RunStore
from qa_core.config import ServeSettings
from qa_core.config_loader import load_config
from qa_core.errors import UserError
from qa_core.screen import log_path, screen
from serving.app import build
from serving.checks import require_free_port, require_resources, require_safe_address
from serving.guard import is_unspecified
from serving.transport import Transport

STOPPED, FAILED, USER_MISTAKE, INTERRUPTED = 0, 1, 2, 130

APPLICATION = "lectern"
DRAIN_S = 6.0
"""Seconds for answers in flight after Ctrl-C; with the end of Ray itself the service is gone within ten."""

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; returns the exit code."""
    parsed = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupt)  # Ray replaces this one when it starts
    try:
        return run(parsed)
    except UserError as error:
        print(f"lectern: {error}", file=sys.stderr)
        return USER_MISTAKE
    except (KeyboardInterrupt, SystemExit):
        print("lectern: stopped before the service was up", file=sys.stderr)
        return INTERRUPTED


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m serving", description="Serve a run's model and index.")
    parser.add_argument("--config", "-c", action="append", default=[], help="shipped name or YAML file; may repeat")
    parser.add_argument(
        "--address", default=os.environ.get("RAY_ADDRESS"), help="a Ray cluster; left out: this machine"
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    return parser.parse_intermixed_args(arguments)  # leaves with code 2, and the usage, when it cannot read them


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked without Ray, then start, serve and stop."""
    config = load_config(arguments.config, arguments.overrides)
    application = build(config.model_dump(mode="json"))
    require_safe_address(config.serve)
    if not arguments.address:
        require_free_port(config.serve.host, config.serve.port)
    store = RunStore.open(config.run.storage, config.run.name)
    log_file = log_path(store, "serve")
    with screen(log_file) as out:
        say = partial(print, file=out, flush=True)
        say(f"lectern {config.run.name}: starting the service; log {log_file}")
        try:
            own = not arguments.address
            transport = (Transport.on_this_machine if own else Transport.through_proxy)(config.serve)
            with ray_cluster(arguments.address, transport.environment):
                if own:  # a cluster that grows gets its nodes when replicas wait
                    require_resources(config.serve)
                return serve_until_stopped(application, config.serve, transport, say)
        except UserError:
            raise
        except Exception as error:  # the traceback goes to the log, one line to the person
            traceback.print_exception(error)
            say(f"lectern: the service failed: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
            say(f"  The whole story is in {log_file}.")
            return FAILED


def serve_until_stopped(application: Application, settings: ServeSettings, transport: Transport, say: Say) -> int:
    serve.start(proxy_location="HeadOnly", http_options=http_options(settings, transport))
    start(application)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _signal, _frame: stop.set())
    say(welcome(settings))
    stop.wait()
    say("stopping")
    drain = threading.Thread(target=serve.shutdown, daemon=True)
    drain.start()
    drain.join(DRAIN_S)
    return STOPPED


def http_options(settings: ServeSettings, transport: Transport) -> dict[str, Any]:
    return {"host": settings.host, "port": transport.proxy_port, "request_timeout_s": settings.request_timeout_s}


def start(application: Application) -> None:
    """Deploy and wait until every replica is up; a mistake that a replica found is raised as its own error."""
    try:
        serve.run(application, name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        deployments = serve.status().applications[APPLICATION].deployments.values()
        raise mistake_in("\n".join(deployment.message for deployment in deployments)) or error from error


def mistake_in(message: str) -> UserError | None:
    """The :class:`UserError` whose traceback a replica left in its status; Serve passes on nothing but this text."""
    _, found, text = message.rpartition(f"{UserError.__module__}.{UserError.__qualname__}: ")
    problem, _, remedy = text.partition("\n")
    return UserError(problem, remedy.strip()) if found else None


def welcome(settings: ServeSettings) -> str:
    name = settings.host if not is_unspecified(settings.host) else next(iter(settings.allowed_hosts), "127.0.0.1")
    host = f"[{name}]" if ":" in name else name
    url = f"http://{host}:{settings.port}"
    name, rag = settings.model_name, f"{settings.model_name}-rag"
    body = f'{{"model": "{rag}", "messages": [{{"role": "user", "content": "What is a hedged request?"}}]}}'
    key = " -H 'Authorization: Bearer KEY'" if settings.api_keys_file else ""
    adapters = "".join(
        f"          {each}, {each}-rag  under the adapter {path}\n" for each, path in settings.adapters.items()
    )
    return (
        f"\nLectern answers at {url}\n"
        f"  page    {url}/  ask in a browser, and read the cited passages in their papers\n"
        f"  models  {name}  the {'base' if settings.base_file else 'tuned'} model alone\n"
        f"          {rag}  the same with passages from the papers and citations\n"
        f"{adapters}"
        f"          {name}-embedding  vectors of the papers' embedder\n"
        f"  try     curl -s {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'\n"
        f"  health  {url}/health   metrics  {url}/metrics\n"
        f"  stop    Ctrl-C\n"
    )


# --------------------------------------------------------------------------------------------------------------- Ray


@contextmanager
def ray_cluster(address: str | None, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Ray for the length of the block: the cluster at ``address``, or one that lives and dies with this process.

    Args:
        environment: of every process that is started in the block.
    """
    try:
        connect(address, environment or {})
        yield
    finally:
        ray.shutdown()


def connect(address: str | None, environment: Mapping[str, str]) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")  # what it colours goes to a file
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    where: dict[str, Any] = {"address": address}
    if not address:
        os.environ.setdefault("RAY_worker_niceness", "0")  # as in jobs/ray_session.py
        # Unix socket paths end at 107 bytes; Ray adds about 60 to the temporary folder's name.
        folder = os.path.join(tempfile.gettempdir(), f"ray-{os.getuid()}")
        where = {"address": "local", "include_dashboard": False, "_temp_dir": folder}
        where["object_store_memory"] = 128 * 1024**2  # requests and passages are small
    runtime_env = {"env_vars": {"TOKENIZERS_PARALLELISM": "false", **environment}}
    try:
        ray.init(runtime_env=runtime_env, logging_level=logging.WARNING, **where)
    except (ConnectionError, ValueError, ray.exceptions.AuthenticationError) as error:
        if not address:
            raise
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"no Ray cluster at {address}: {reason}", "Check the address and its token.") from error


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
