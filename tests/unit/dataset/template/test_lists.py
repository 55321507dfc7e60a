from __future__ import annotations

from tests.unit.dataset.template.asking import pairs, request, source

POLICY = (
    "A good load balancing policy has two properties:\n\n"
    "- The policy keeps all servers busy.\n- The policy decides in constant time.\n\nNo policy has both."
)
ROUND = "A round of speculative decoding has two steps:\n\n1. The draft model proposes.\n2. The target model verifies."


def test_a_numbered_announcement_is_asked_and_answered_with_all_items() -> None:
    (pair,) = [pair for pair in pairs(request("factual", source(POLICY, "list"))) if "What two" in pair["question"]]
    assert pair["question"] == "What two properties does a good load balancing policy have?"
    assert pair["answer"].splitlines() == [
        "A good load balancing policy has two properties:",
        "- The policy keeps all servers busy.",
        "- The policy decides in constant time.",
    ]
    assert pair["evidence"][0]["quote"] == POLICY.partition("\n\nNo policy")[0]


def test_steps_are_a_procedure() -> None:
    found = {pair["question"] for pair in pairs(request("procedure", source(ROUND, "list")))}
    assert "What two steps does a round of speculative decoding have?" in found


def test_ways_are_a_procedure() -> None:
    text = "Contiguous allocation wastes memory in two ways:\n\n- Reserved memory is idle.\n- Free memory is scattered."
    found = {pair["question"] for pair in pairs(request("procedure", source(text, "list")))}
    assert "In what two ways does contiguous allocation waste memory?" in found


def test_a_list_that_goes_on_in_another_passage_is_not_asked_for() -> None:
    cut = POLICY.replace("two properties", "three properties")
    assert not any("properties" in pair["question"] for pair in pairs(request("factual", source(cut, "list"))))
