"""The memory that a command and all its children hold at once, Ray's processes included."""

from __future__ import annotations

import threading

import psutil


class PeakMemory:
    """Samples a process tree until stopped."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        """Largest sum over all processes of their proportional set sizes, in which shared pages count once."""
        self.peak_process_bytes = 0
        """Largest resident set of one process."""
        self._root = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.peak_bytes

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            sizes = [_sizes(process) for process in self._tree()]
            self.peak_bytes = max(self.peak_bytes, sum(pss for pss, _ in sizes))
            self.peak_process_bytes = max(self.peak_process_bytes, *(rss for _, rss in sizes), 0)

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _sizes(process: psutil.Process) -> tuple[int, int]:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0, 0
    return memory.pss, memory.rss
