"""What this machine has: CPUs, memory, disk, and libraries that really load."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from qa_core.artifacts import RunStore
from qa_core.config import BaseModelSettings, LecternConfig
from qa_core.errors import UserError
from qa_core.packaged import is_packaged

GIB = 1024**3

Size = Literal["small", "large"]

MEMORY_GIB: dict[Size, tuple[int, int]] = {"small": (3, 6), "large": (6, 16)}
"""GiB below which a run on this machine cannot work, and below which it may not; by the size of the base model."""
DISK_GIB: dict[Size, tuple[int, int]] = {"small": (1, 3), "large": (10, 30)}

_PROBE_SECONDS = 180

TORCH_PROBE = """
import json, torch
gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "gpus": [[g.name, g.total_memory] for g in gpus]}))
"""
LLAMA_PROBE = """
import json, llama_cpp
print(json.dumps({"version": llama_cpp.__version__, "gpu": bool(llama_cpp.llama_supports_gpu_offload())}))
"""


class Probe:
    """A library loaded in a process of its own: one built for another CPU kills the process that loads it."""

    def __init__(self, code: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def result(self) -> tuple[dict[str, Any], str]:
        """What the code printed as JSON and "", or nothing and the reason in one line."""
        try:
            output, errors = self._process.communicate(timeout=_PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return {}, f"no answer within {_PROBE_SECONDS} s"
        if code := self._process.returncode:
            lines = errors.strip().splitlines()
            return {}, f"killed by {signal.Signals(-code).name}" if code < 0 else (
                lines[-1] if lines else f"exit {code}"
            )
        return json.loads(output.splitlines()[-1]), ""


def cpus() -> float:
    """CPUs this process may use, container limits counted."""
    own = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    quota = _control_group("cpu.max").split()
    return min(own, int(quota[0]) / int(quota[1])) if len(quota) == 2 and quota[0] != "max" else own


def available_memory() -> int:
    """Bytes that can still be taken, container limits counted."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    else:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, used = _control_group("memory.max"), _control_group("memory.current")
    return min(free, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else free


def require_room(config: LecternConfig, store: RunStore) -> None:
    """Raise :class:`UserError` where a run on this machine would end in the middle for want of memory or disk."""
    size = base_model_size(config.base_model)
    room = {"memory": (available_memory(), MEMORY_GIB[size][0], "Close other programs, or run on a cluster.")}
    if store.is_local:
        free = shutil.disk_usage(existing_parent(Path(store.path))).free
        room["disk"] = (free, DISK_GIB[size][0], f"Free some below {store.path}, or set run.storage=FOLDER.")
    for name, (have, least, remedy) in room.items():
        if have < least * GIB:
            raise UserError(f"a run needs {least} GiB of {name} and {have / GIB:.1f} GiB are free", remedy)


def base_model_size(settings: BaseModelSettings) -> Size:
    """What is built here or ships with a package is small; of a hub's model nothing is known before it is fetched."""
    is_small = settings.source == "scratch" or is_packaged(settings.name_or_path)
    return "small" if is_small else "large"


def existing_parent(path: Path) -> Path:
    """``path`` or its nearest parent that is there."""
    path = path.expanduser().absolute()
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _control_group(name: str) -> str:
    """A limit of the container (cgroup v2), or "" where there is none."""
    file = Path("/sys/fs/cgroup") / name
    return file.read_text().strip() if file.is_file() else ""
