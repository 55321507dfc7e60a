"""How often sentences of two papers are said to disagree, and how often they do.

    python -m benchmarks.conflicts --claims SCIFACT --papers FOLDER [--paragraphs QASPER]

`--claims`: a folder in BEIR's layout whose queries are claims with the answer "true" or "false" and whose judgements
name an abstract (SciFact, Wadden et al. 2020): every false claim contradicts its abstract, no true one does.
`--papers`: markdown files; `--paragraphs`: a corpus in BEIR's layout. All pairs of sentences of two papers are
compared, which is more than retrieval would ever put side by side, and what is found is printed to be judged by a
person. Last, copies of those sentences with another number or a "not" more: how many are found. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from qa_core.corpus.sentences import sentence_spans
from qa_core.generation.claims import Claim, read_claim
from qa_core.generation.conflicts import contradiction

COMMON = 400
"""Words in more sentences than that lead to no candidates."""
NUMBER = re.compile(r"(?<![\w.])\d{2,3}(?![\w.,])")
VERB = re.compile(r"\b(?:is|are|can)\b")

Told = tuple[str, Claim]
"""A claim and its paper."""


def main() -> None:
    arguments = _parse()
    figures: dict[str, Any] = {}
    if arguments.claims:
        figures["claims"] = judged_claims(arguments.claims)
    for name, texts in (("papers", _papers), ("paragraphs", _paragraphs)):
        if folder := getattr(arguments, name):
            told = [(paper, claim) for paper, text in texts(folder) for claim in _claims(text)]
            figures[name] = {"claims": len(told), "conflicts": all_pairs(told), **changed_copies(told)}
    print(json.dumps(figures))


def judged_claims(folder: Path) -> dict[str, int]:
    """Claims by what is known of them and by whether a sentence of their abstract is said to disagree."""
    queries, abstracts = (
        {row["_id"]: row for row in map(json.loads, (folder / name).read_text("utf-8").splitlines())}
        for name in ("queries.jsonl", "corpus.jsonl")
    )
    counts: Counter[str] = Counter()
    for line in (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        query, abstract = queries[line.split("\t")[0]], abstracts[line.split("\t")[1]]
        if (answer := query["metadata"]["answer"]) not in ("true", "false") or query["text"].rstrip().endswith("?"):
            continue
        pairs = ((one, other) for one in _claims(query["text"]) for other in _claims(abstract["text"]))
        counts[answer] += 1
        counts[f"{answer}_found"] += any(contradiction(one, other) for one, other in pairs)
    return dict(sorted(counts.items()))


def all_pairs(told: list[Told]) -> dict[str, int]:
    """Conflicts by kind; each is printed."""
    often = Counter(word for _, claim in told for word in claim.words)
    seen: dict[str, list[int]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for place, (paper, claim) in enumerate(told):
        rare = [word for word in claim.words if often[word] <= COMMON]
        for other in {other for word in rare for other in seen[word]}:
            if told[other][0] != paper and (found := contradiction(told[other][1], claim)):
                counts[found[0]] += 1
                print(
                    found,
                    *(f"\n    {source}: {' '.join(one.text.split())}" for source, one in (told[other], told[place])),
                )
        for word in rare:
            seen[word].append(place)
    return dict(counts)


def changed_copies(told: list[Told]) -> dict[str, int]:
    """Copies that say something else, and how many of them are found."""
    counts: Counter[str] = Counter()
    for _, claim in told:
        for kind, pattern, new in (("number", NUMBER, lambda old: str(int(old[0]) + 7)), ("negation", VERB, _denied)):
            if pattern.search(claim.text) and (copy := read_claim(pattern.sub(new, claim.text, count=1))):
                counts[f"changed_{kind}"] += 1
                counts[f"changed_{kind}_found"] += contradiction(claim, copy) is not None
    return dict(counts)


def _denied(verb: re.Match[str]) -> str:
    return f"{verb[0]} not"


def _claims(text: str) -> Iterator[Claim]:
    return filter(None, (read_claim(text[start:end]) for start, end in sentence_spans(text)))


def _papers(folder: Path) -> Iterable[tuple[str, str]]:
    for file in sorted(folder.rglob("*.md")):
        yield str(file.relative_to(folder)), file.read_text("utf-8", errors="replace")


def _paragraphs(folder: Path) -> Iterable[tuple[str, str]]:
    for row in map(json.loads, (folder / "corpus.jsonl").read_text("utf-8").splitlines()):
        yield row["title"], row["text"]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("claims", "papers", "paragraphs"):
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER")
    return parser.parse_args()


if __name__ == "__main__":
    main()
