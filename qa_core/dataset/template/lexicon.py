"""The English words the rules know.

There is no tagger behind the rules: a sentence whose verb is not listed here is passed over, so a word that is missing
costs a question and never makes a wrong one.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLEAR_VERBS = _words("""
    accelerate accept accumulate achieve adapt add adjust adopt affect aggregate agree allocate allow amortise
    amplify appear append apply approximate assign assume attain attend avoid balance become begin behave belong
    bind bring broadcast build carry choose claim collect combine commit communicate compare compete complete
    compress compute concentrate confirm consist consume contain continue contribute control convert correct
    correspond cover create decide decode define degrade deliver depend dequantise derail derive describe destroy
    detect determine differ disappear discard discover distribute divide do dominate draw eliminate embed emit
    enable encode encourage enter evict examine exceed execute exist expect explain exploit express extend fail
    favour fetch find finish fit follow form forward freeze fuse gather generate get give go grow guarantee halve
    happen help hide hold hurt ignore illustrate implement imply improve include increment index initialise insert
    interact introduce invalidate join keep know launch learn let lie live locate lose lower maintain make map
    materialise matter minimise miss mix modify multiply normalise obtain occupy occur operate outperform overlap
    overwrite own parallelise partition pass pay perform permit prefer preserve prevent produce propose protect
    prove provide prune punish push quantise raise reach react receive recommend recompute reconstruct recover
    reduce refer refuse reject rely remain remember remove repeat replace replicate represent require rescale resist
    restore retain retrieve reuse reveal rewrite satisfy save schedule see seem select send serve settle shard
    shrink simplify skip solve specify spend spoil spread stand stay store suffer suffice suggest suit survive swap
    synchronise take tell tend terminate tolerate translate traverse treat try understand unify vary verify want
    weaken win
""")
VERBS_THAT_ARE_NOUNS = _words("""
    access aim answer approach arrive attempt average block bound break call cause change charge check combat contact
    copy cost count crash cut deal decrease delay demand double drop exchange fall figure force gain grant group hand
    handle increase interrupt lack last lead leave limit link load look mask match mean measure merge move need offer
    overhead pack pad pair place plan point process pull queue read record release reply report request rescue reserve
    respect restart result return rise rotate round route run sample scale scan score search seed share shift show
    shuffle slow sort speed split start state step stop stream stress support target test time trade train transfer
    transform trust turn update use value visit vote wait waste weigh work write yield
""")
"""Verbs only where the next word shows it."""
AUXILIARIES = _words(
    "is are was were can could may might must should will would does do did has have had cannot"
)  # fmt: skip
ADVERBS = _words("""
    actually almost alone already also always both commonly directly easily effectively either entirely essentially
    eventually frequently generally immediately independently indirectly instead itself largely likewise mainly merely
    mostly much naturally nearly never normally now often only partly periodically quickly rarely repeatedly roughly
    simply slowly sometimes soon still surprisingly then typically usually well
""")
CONNECTIVES = _words("consequently hence however indeed nevertheless nonetheless then therefore thus")
NUMBER_WORDS = _words("two three four five six seven eight nine ten")
AFTER_A_VERB = NUMBER_WORDS | _words("""
    a about again all an any as at because both each every exactly far few fewer for hardly if its less little many more
    most much nearly no one only roughly several so some than the their to until up when while with
""")
"""Words that seldom follow a noun directly, so the word before them is a verb."""
BEFORE_A_NOUN = NUMBER_WORDS | _words("a an any each every few many no several some the its their")
LEADS = _words("""
    across after among at before between beyond by during for from given in on over under with within
""")
"""Prepositions that open a sentence whose subject comes behind a comma."""
NEVER_A_SUBJECT = _words("""
    although and another as because both but either even he here i if it just neither nor not or others she since so
    such than that there these they this those though unless unlike until we what when where whereas which while who
    without yet you
""")
RELATIVES = _words("although because how if that what when where whereas which while who whose why")
COMMON_STARTERS = (
    LEADS
    | BEFORE_A_NOUN
    | _words("""
    all another because both compared early even faster fewer full good high higher if instead large larger late less
    long longer low lower more most new old once one only other plain real short shorter since slower small smaller such
    unlike when without
""")
)
"""Words that are never part of a name at the start of a sentence."""
COMMON_ENDINGS = (
    "ing", "tion", "sion", "ment", "ness", "ity", "ance", "ence", "ism", "ally", "ous", "able", "ible", "ive", "ful",
    "ions", "ments", "ed", "al", "ency", "ancy", "ent", "ors", "age",
)  # fmt: skip

COUNTING_VERBS = _words("""
    add allow carry consume contain cost group have hold keep last lose move need occupy process produce reach read
    require reserve save send store support take tolerate use waste write
""")
"""Verbs whose object can be counted: *needs 16 bytes*."""
CONTENT_VERBS = _words("""
    assume carry consist contain define describe guarantee hold include map mean measure need record require separate
    store
""")
"""Verbs whose object says what a thing is about."""
CHANGING_VERBS = _words("bring cut increase limit lower raise reduce shrink")
REQUIRING_VERBS = _words("cost mean need require")
ANNOUNCED = _words("advantages benefits costs drawbacks ideas parts properties purposes reasons results roles ways")
"""*has two drawbacks* announces an answer that stands elsewhere."""
UNITS = {"ms": "milliseconds", "s": "seconds"} | {
    unit: unit for unit in _words("GB MB KB TB GiB MiB KiB GFLOP TFLOP GB/s MB/s tokens/s")
}
DISCOVERIES = _words(
    "coined described designed developed formulated introduced invented presented proposed proved published"
)  # fmt: skip
"""What a person is known for: asked with *who*."""
FINDINGS = {
    "argued": "argue", "concluded": "conclude", "demonstrated": "demonstrate", "found": "find", "measured": "measure",
    "observed": "observe", "report": "report", "reported": "report", "showed": "show",
}  # fmt: skip
"""What a person states about the world: asked with *what did ... find*."""


INTRANSITIVE = _words("change crash double drop fall increase decrease leave return rise run start stop wait work")
"""Verbs that may end a clause, where another word in *-s* is a plural noun."""


def _third_person(base: str) -> str:
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


BASE_OF_THIRD_PERSON = {_third_person(base): base for base in CLEAR_VERBS | VERBS_THAT_ARE_NOUNS}
"""``carries`` -> ``carry``."""
CLEAR_IN_THIRD_PERSON = CLEAR_VERBS | _words("hand lead leave mean need run show stop turn use wait")
"""Of these the form in *-s* is a verb whatever follows: *needs* against *costs*."""
