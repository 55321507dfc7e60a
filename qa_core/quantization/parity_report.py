"""What the gate between conversion and service measured, and what of it was not good enough."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """A figure and its limit."""

    value: float
    comparison: Literal["<=", ">="]
    limit: float
    detail: str = ""
    """The first thing that was wrong."""

    @property
    def passed(self) -> bool:
        """A value that is no number fails."""
        return self.value <= self.limit if self.comparison == "<=" else self.value >= self.limit


class ParityFailed(RuntimeError):
    """A converted file is not the model it was made from."""


@dataclass
class ParityReport:
    """Writes every figure to ``path`` as soon as it is known, so that a kill leaves its evidence."""

    path: Path
    checks: dict[str, Check] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    """Figures without a limit."""

    def require(self, name: str, value: float, comparison: Literal["<=", ">="], limit: float, detail: str = "") -> None:
        """Record a check, whether it holds or not."""
        self.checks[name] = Check(_rounded(value), comparison, limit, detail)
        self._write()

    def record(self, **figures: float) -> None:
        self.measured |= {name: _rounded(value) for name, value in figures.items()}
        self._write()

    @property
    def figures(self) -> dict[str, float]:
        """Every value by its name."""
        return {name: check.value for name, check in self.checks.items()} | self.measured

    @property
    def failure(self) -> str:
        """The checks that do not hold, in one line; empty when all do."""
        return "; ".join(
            f"{name} is {check.value:g} instead of {check.comparison} {check.limit:g}"
            f"{check.detail and f' ({check.detail})'}"
            for name, check in self.checks.items()
            if not check.passed
        )

    @property
    def table(self) -> list[tuple[str, str, str]]:
        """A row for each check: its name, its value, and its limit."""
        return [
            (
                name.replace("_", " "),
                f"{check.value:.4g}",
                f"{check.comparison} {check.limit:g}{'' if check.passed else '  FAILED'}",
            )
            for name, check in self.checks.items()
        ]

    def _write(self) -> None:
        checks = {name: asdict(check) | {"passed": check.passed} for name, check in self.checks.items()}
        content: dict[str, Any] = {"passed": not self.failure, "checks": checks, "measured": self.measured}
        self.path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _rounded(value: float) -> float:
    """Six digits of a measurement: the rest is noise of the order of summation. Counts stay whole."""
    return value if isinstance(value, int) else float(f"{value:.6g}")
