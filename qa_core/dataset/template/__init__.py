"""Questions by rule: sentences are taken apart, and four rules, one a question type, put them into question frames."""

from __future__ import annotations

from qa_core.dataset.template.analytical import analytical
from qa_core.dataset.template.comparative import comparative
from qa_core.dataset.template.factual import factual
from qa_core.dataset.template.hypothetical import hypothetical
from qa_core.dataset.template.sentences import Rule

RULES: dict[str, Rule] = {
    "factual": factual,
    "analytical": analytical,
    "comparative": comparative,
    "hypothetical": hypothetical,
}
