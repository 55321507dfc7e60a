"""The English words the rules know.

There is no tagger behind the rules: a sentence whose verb is not listed here is passed over, so a word that is missing
costs a question and never makes a wrong one.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _third_person(base: str) -> str:
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


CLEAR_VERBS = _words("""
    absorb accelerate accept accumulate achieve adapt add adjust adopt advise affect aggregate agree align allocate
    allow amortise amplify appear append apply approximate arrange assign assume attach attain attend attract avoid
    balance beat become begin behave belong bind bring broadcast build cancel carry choose claim collect combine
    come commit communicate compare compete complete compress compute concentrate confirm consider consist consume
    contain continue contribute control convert correct correspond cover create decide decline decode define
    degenerate degrade deliver depend dequantise derail derive descend describe deserve destroy detect determine
    differ disappear discard discover distribute divide do dominate draw duplicate eliminate embed emit enable
    encode encourage entail enter equalise estimate evict examine exceed execute exist expect explain exploit expose
    express extend fail favour fetch find finish fit follow form forward freeze fuse gather generate get give go
    govern grow guarantee halve happen help hide hold hurt identify ignore illustrate implement imply improve
    include increment index initialise insert interact introduce invalidate join keep know launch learn lengthen let
    lie live locate lose lower maintain make map materialise matter meet minimise miss mix modify multiply normalise
    obtain occupy occur omit operate outperform outweigh overlap overstate overwrite own parallelise partition pass
    pay perform permit pick precede predict prefer preserve prevent proceed produce propose protect prove provide
    prune publish punish push put quantise raise reach react receive recommend recompute reconstruct recover reduce
    refer refuse reject rely remain remember remove repeat replace replicate represent reproduce require rescale
    resist respond restore retain retrieve reuse reveal reward rewrite satisfy save say schedule see seem select
    send serve settle shard shorten shrink simplify skip solve specify spend spoil spread stand stay store strike
    succeed suffer suffice suggest suit survive sustain swap synchronise take tell tend terminate tolerate translate
    traverse treat try understand understate unify vary verify want waste weaken win
""")
VERBS_THAT_ARE_NOUNS = _words("""
    access aim answer approach arrive attack attempt average block bound break call cause change charge check combat
    contact copy cost count crash cross cut deal decrease delay demand double drop exchange fall figure fill force
    gain grant group guess hand handle hash increase interrupt lack last lead leave limit link load look mask match
    mean measure merge move need offer overhead pack pad pair place plan point process pull queue read record
    release reply report request rescue reserve respect restart result return rise rotate round route run sample
    scale scan score search seed share shift show shuffle slow sort speed split start state step stop stream stress
    sum support switch target test time trade train transfer transform trust tune turn update use value visit vote
    wait weigh work write yield
""")
"""Verbs only where the next word shows it."""
AUXILIARIES = _words(
    "is are was were can could may might must should will would does do did has have had cannot"
)  # fmt: skip
ADVERBS = _words("""
    actually almost alone already also always both commonly directly easily effectively either entirely essentially
    eventually frequently generally immediately independently indirectly instead itself largely likewise mainly
    merely mostly much naturally nearly never normally now often only partly periodically quickly rarely repeatedly
    roughly simply slowly sometimes soon still surprisingly then typically usually well
""")
CONNECTIVES = _words(
    "again also consequently hence however indeed likewise nevertheless nonetheless then therefore thus"
)
NUMBER_WORDS = _words("two three four five six seven eight nine ten")
AFTER_A_VERB = NUMBER_WORDS | _words("""
    a about again all an any as at because both each every exactly far few fewer for hardly if its less little many
    more most much nearly no one only roughly several so some than the their to until up when while with
""")
"""Words that seldom follow a noun directly, so the word before them is a verb."""
BEFORE_A_NOUN = NUMBER_WORDS | _words("a an any each every few many no several some the its their")
LEADS = _words("""
    according across after against among at before between beyond by during for from given in on over under with
    within
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
    all another because both compared early even faster fewer full good high higher if instead large larger late
    less long longer low lower more most new old once one only other plain real short shorter since slower small
    smaller such unlike when without
""")
)
"""Words that are never part of a name at the start of a sentence."""
COMMON_ENDINGS = (
    "ing", "tion", "sion", "ment", "ness", "ity", "ance", "ence", "ism", "ally", "ous", "able", "ible", "ive", "ful",
    "ions", "ments", "ed", "al", "ency", "ancy", "ent", "ors", "age",
)  # fmt: skip

COUNTING_VERBS = _words("""
    add allow carry consume contain contribute cost emit expand fill give group have hold keep last leave lose make
    move need occupy process produce reach read receive recommend require reserve save send spend store support take
    tolerate use visit waste write yield
""")
"""Verbs whose object can be counted: *needs 16 bytes*."""
CONTENT_VERBS = _words("""
    adopt assume attain avoid carry combine consist contain count define depend describe eliminate ensure exploit
    express favour guarantee hide hold ignore include lack list measure minimise need offer overlap partition pay
    preserve prevent propose provide record rely remove replace require return reveal reward satisfy separate shard
    split store suit support target tolerate track use
""")
"""Verbs whose object says what a thing is about."""
DUTY_VERBS = _words("check compare count discard follow keep know make process record report save skip")
"""Verbs whose object can be asked for after *must* and *should*."""
AGENT_VERBS = {
    base: _third_person(base)
    for base in _words("""
    accelerate achieve amplify avoid cause control cut decide degrade determine dominate eliminate enable hide hurt
    improve increase limit lower make prevent protect reduce remove shorten simplify solve spoil
""")
}
"""Verbs whose subject can be asked for: *what makes ... rare*."""
ACTING_VERBS = _words("""
    append arrange assign broadcast build cancel choose collect commit compare copy cut derive discard distribute
    divide draft draw drop encode evict exchange fetch filter gather give group hash increment launch link load map
    merge multiply pass predict process propose publish push put quantise replace return sample schedule score
    select send shard sort split start store sum walk
""")
"""What a method does in one of its steps."""
TELLING_ACTS = _words("arrange assign compare copy divide hash map partition sample search send sort split sum")
"""One of them tells how the whole method goes."""
METHOD_VERBS = _words("""
    assign build check choose compress compute connect control cover describe detect divide drive encode estimate
    express find group identify judge limit link map measure model organise partition place rank reconstruct recover
    refine represent score search select separate share sort split store summarise train
""")
"""What is done by means of a thing: *identifies a block by a hash*."""
DIVIDING_VERBS = _words("cut divide group partition separate shard split")
TURNING_VERBS = _words("convert map transform translate turn")
ADVISING_VERBS = _words("advise consider prefer recommend suggest")
CHANGING_VERBS = _words(
    "bring cut decrease halve improve increase limit lower overstate raise reduce shrink understate"
)
GOING_VERBS = _words("climb decline decrease drop fall grow increase rise shrink")
MEASURES = _words("""
    accuracy alpha bandwidth bound capacity cost coverage deviation dimension efficiency error factor fraction
    interval length load maximum mean minimum overhead peak percentage percentile precision probability rank rate
    ratio recall share size speed speed-up throughput time timeout utilisation variance width
""")
"""What has a value: *a rank of 16*."""
REQUIRING_VERBS = _words("cost mean need require")
ANNOUNCED = _words("advantages benefits costs drawbacks ideas parts properties purposes reasons results roles ways")
"""*has two drawbacks* announces an answer that stands elsewhere."""
UNITS = {"ms": "milliseconds", "s": "seconds"} | {
    unit: unit for unit in _words("GB MB KB TB GiB MiB KiB GFLOP TFLOP GB/s MB/s tokens/s")
}
DISCOVERIES = {
    "coined": "coin", "described": "describe", "designed": "design", "developed": "develop",
    "formulated": "formulate", "introduced": "introduce", "invented": "invent", "presented": "present",
    "proposed": "propose", "proved": "prove", "published": "publish",
}  # fmt: skip
"""What a person is known for: asked with *who*."""
FINDINGS = {
    "argued": "argue", "concluded": "conclude", "demonstrated": "demonstrate", "found": "find", "measured": "measure",
    "observed": "observe", "report": "report", "reported": "report", "showed": "show",
}  # fmt: skip
"""What a person states about the world: asked with *what did ... find*."""


INTRANSITIVE = _words("change crash double drop fall increase decrease leave return rise run start stop wait work")
"""Verbs that may end a clause, where another word in *-s* is a plural noun."""


BASE_OF_THIRD_PERSON = {_third_person(base): base for base in CLEAR_VERBS | VERBS_THAT_ARE_NOUNS}
"""``carries`` -> ``carry``."""
CLEAR_IN_THIRD_PERSON = CLEAR_VERBS | _words("hand lead leave mean need run show stop turn use wait")
"""Of these the form in *-s* is a verb whatever follows: *needs* against *costs*."""

FUNCTION_WORDS = (
    LEADS
    | BEFORE_A_NOUN
    | NEVER_A_SUBJECT
    | RELATIVES
    | AFTER_A_VERB
    | CONNECTIVES
    | _words("""
    a an the of or nor through around among behind beyond despite like minus plus since until into than per via out
    off its their his her them us our own same other another one once twice above below billion million thousand
    trillion whose upon toward towards along beside besides against instead following using based
""")
)
"""Words that end a noun phrase."""
PLAIN_ADJECTIVES = COMMON_STARTERS | _words("""
    available bad best better big broad cheap cheaper clear close common complete correct current different
    difficult direct easy enough equal exact extra fast final first fixed free further general given good great
    greater hard heavy important independent individual initial joint last likely main many mean minimum maximum
    modern narrow natural near necessary next open ordinary original possible previous private public random rare
    real recent regular related right second separate several shared similar simple single slow small special
    specific stable standard strict strong third total true typical unknown usual useful various very weak whole
    wide wrong
""")
"""They say how a thing is, not which one."""
GENERIC_NOUNS = _words("""
    accelerator activation algorithm amount answer approach arithmetic attention author bandwidth batch benefit bit
    block book bound byte case cause chance change choice chunk cluster code communication computation copy core
    cost data decision decoding default dimension document effect error estimate example experience factor failure
    figure form formula fraction function gain generation goal gradient graph group hardware hashing hour index
    inference information input interval item job kernel key kind latency layer length level library limit line link
    list load loss machine majority matrice matrix measure memory message method minute model moment network node
    number operation order output paper parameter part pass passage percentile performance phase place point policy
    position practice price probability problem process processor program property protocol quality query question
    range rank rate ratio read reason request result row rule run sample scale scheme search second sequence server
    service set shape share size space speed stage state step storage structure system table task team tensor term
    text throughput time token training tree type unit update use user value vector version volume weight word work
    worker
""")
"""One of them alone does not tell what is compared."""
COMMON_WORDS = (
    PLAIN_ADJECTIVES | GENERIC_NOUNS | CLEAR_VERBS | VERBS_THAT_ARE_NOUNS | ADVERBS | FUNCTION_WORDS | NUMBER_WORDS
    | _words("""
    against approximate cache careful cold consistent constant custom deep delay dense despite distant dominant
    double duplicate dynamic eleven fair flat frequent gang global gradient histogram honest hot hourly hybrid joint
    jump local lookup lost lossless manual nearest noisy optimizer optimiser particular power prefix queue random
    reader recall recovery replica round safety sharp sixteen smooth soft sparse stale static structure synchronous
    tail tensor tight together twelve wise
    """)
)  # fmt: skip
"""Words that are no names at the start of a sentence, whatever the passage shows of them."""
