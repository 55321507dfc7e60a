"""A small lexicon of English verbs, enough to turn a plain technical statement into a question.

There is no tagger behind it: a sentence whose verb is not found here is passed over, so an unknown word costs a
question and never makes a wrong one.
"""

from __future__ import annotations

_CLEAR = """
accelerate accept accumulate achieve adapt add adjust adopt affect aggregate agree allocate allow amplify amortise appear append apply
approximate assign assume attain attend avoid balance become begin behave belong bind bring broadcast build carry choose claim
collect combine commit communicate compare compete complete compress compute concentrate confirm consist consume contain
continue contribute control convert correct correspond cover create decide decode define dequantise derail degrade deliver depend derive
describe destroy detect determine differ disappear do discard discover distribute divide dominate draw eliminate embed
emit enable encode encourage enter evict examine exceed execute exist expect explain exploit express extend fail favour
fetch find finish fit follow form forward freeze fuse gather generate get give go grow guarantee halve happen help hide hurt
hold ignore illustrate implement imply improve include increment index initialise insert interact introduce invalidate
join keep know launch learn let lie live locate lose lower maintain make map materialise matter minimise miss mix modify
multiply normalise obtain occupy occur operate outperform overlap overwrite parallelise partition pass pay perform
permit preserve prevent produce propose protect prove provide prune punish push quantise raise reach react receive
prefer recommend recompute reconstruct recover reduce refer refuse reject rely remain remember remove repeat replace replicate
represent require rescale resist restore retain retrieve reuse reveal rewrite satisfy save schedule see seem select send
serve settle shard shrink simplify skip solve specify spend spoil spread stand stay store suffer suffice suggest suit survive
swap synchronise take tell tend terminate tolerate translate traverse treat try understand unify vary verify want weaken
win
"""

_ALSO_NOUNS = """
access aim answer approach arrive attempt average block bound break call cause change charge check combat contact copy cost
count crash cut deal decrease delay demand double drop exchange fall figure force gain grant group hand handle increase
interrupt lack last lead leave limit link load look mask match mean measure merge move need offer overhead pack pad
pair place plan point process pull queue read record release reply report request rescue reserve respect restart result
return rise rotate round route run sample scale scan score search seed share shift show shuffle slow sort speed split
start state step stop stream stress support target test time trade train transfer transform trust turn update use value
visit vote wait waste weigh work write yield
"""
"""Words that are a verb only where the next word shows it."""


def _third_person(base: str) -> str:
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


_NEVER_PLURAL_NOUNS = [
    "need",
    "use",
    "show",
    "run",
    "leave",
    "lead",
    "mean",
    "stop",
    "wait",
    "serve",
    "lose",
    "turn",
    "make",
    "hand",
]
CLEAR_BASES = frozenset(_CLEAR.split())
AMBIGUOUS_BASES = frozenset(_ALSO_NOUNS.split())
BASE_OF_THIRD_PERSON = {_third_person(base): base for base in CLEAR_BASES | AMBIGUOUS_BASES}
"""``carries`` -> ``carry``."""
CLEAR_IN_THIRD_PERSON = CLEAR_BASES | set(_NEVER_PLURAL_NOUNS)
"""Of these the form in *-s* is a verb whatever follows: *needs* against *costs*."""

AUXILIARIES = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "can",
        "could",
        "may",
        "might",
        "must",
        "should",
        "will",
        "would",
        "does",
        "do",
        "did",
        "has",
        "have",
        "had",
        "cannot",
    ]
)

PAST_OF_DISCOVERY = {
    "introduced": "introduce", "designed": "design", "proposed": "propose", "proved": "prove", "invented": "invent",
    "published": "publish", "developed": "develop", "presented": "present", "described": "describe",
    "coined": "coin", "formulated": "formulate",
}  # fmt: skip
"""What a person is known for: asked with *who*."""

PAST_OF_FINDING = {
    "argued": "argue", "concluded": "conclude", "found": "find", "showed": "show", "reported": "report",
    "report": "report", "observed": "observe", "measured": "measure", "demonstrated": "demonstrate",
}  # fmt: skip
"""What a person states about the world: asked with *what did ... find*."""
