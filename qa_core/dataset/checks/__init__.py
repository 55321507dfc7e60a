"""What stands between a teacher's reply and the data set: one module a check, each says why it rejects."""

from __future__ import annotations

from qa_core.dataset.checks.examination import examine, is_worth_asking, reject_row
from qa_core.dataset.checks.rejection import Rejection

__all__ = ["Rejection", "examine", "is_worth_asking", "reject_row"]
