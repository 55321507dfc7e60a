"""Footnotes, citations and references of a LaTeX paper."""

from __future__ import annotations

import re

from qa_core.corpus.readers.latex.characters import Characters

CITATION = re.compile(r"\\(?:(?:full|foot|auto|paren|text|super|online)?[cC]ite[a-zA-Z]*)\*?")
REFERENCE = re.compile(r"\\(?:auto|eq|page|name|c|C|v|V|sub|th)?ref\*?")
_MAX_NESTING = 16
"""Captions within cells within notes and so on; deeper ones join the words around them."""


class Marks(Characters):
    def footnote(self, i: int, body: tuple[int, int]) -> int:
        start, end = self.tokens.all[i].start, self.tokens.all[body[1]].end
        if len(self.captured) < _MAX_NESTING:
            label = self.flow.next_note()
            self.line.add(f"[^{label}]", start, end)
            self.flow.add_note(label, self.words(*body), start, end)
            return body[1] + 1
        return body[0]

    def bibitem(self, i: int, key: tuple[int, int]) -> int:
        self.flow.flush()
        start, end = self.tokens.all[i].start, self.tokens.all[key[1]].end
        self.line.add(f"[{self.tokens.slice(*key).strip()}] ", start, end)
        return key[1] + 1

    def citation(self, i: int, keys: tuple[int, int]) -> int:
        """``[see a, b, Sec. 2]``, with the notes before and after the keys where there are any."""
        notes = []
        j = i + 1
        while note := self.tokens.group(j, "["):
            notes.append(self.words(*note))
            j = note[1] + 1
        names = ", ".join(key.strip() for key in self.tokens.slice(*keys).split(","))
        before = f"{notes[0]} " if len(notes) > 1 and notes[0] else ""
        after = f", {notes[-1]}" if notes and notes[-1] else ""
        self.line.add(f"[{before}{names}{after}]", self.tokens.all[i].start, self.tokens.all[keys[1]].end)
        return keys[1] + 1

    def reference(self, i: int) -> int:
        token = self.tokens.all[i]
        if label := self.tokens.group(i + 1):
            words = f"{token.text}{{{self.tokens.slice(*label)}}}"
            self.line.add(words, token.start, self.tokens.all[label[1]].end)
            return label[1] + 1
        return i + 1
