from __future__ import annotations

import pytest

from qa_core.errors import UserError
from qa_core.generation.template import ChatTemplate
from qa_core.schemas import Message

HELLO = [Message(role="user", content="<b>héllo</b>")]


def test_text_is_not_escaped() -> None:
    assert ChatTemplate("{{ messages[0].content }}").render(HELLO) == "<b>héllo</b>"
    assert ChatTemplate("{{ messages[0].content | tojson }}").render(HELLO) == '"<b>héllo</b>"'


def test_the_special_tokens_are_at_hand() -> None:
    assert ChatTemplate("{{ bos_token }}|{{ eos_token }}", "<s>", "</s>").render(HELLO) == "<s>|</s>"


def test_a_template_may_refuse_a_chat() -> None:
    with pytest.raises(UserError, match="roles must alternate"):
        ChatTemplate("{{ raise_exception('roles must alternate') }}").render(HELLO)


def test_a_broken_template_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be parsed"):
        ChatTemplate("{% if %}")


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__['json'].dumps(1) }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(attack: str) -> None:
    with pytest.raises(UserError):
        ChatTemplate(attack).render(HELLO)
