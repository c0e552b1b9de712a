import time

import pytest

from r1jax.text import chat
from r1jax.text.chat import ChatTemplate

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURNS = [{"role": "user", "content": "a {{ 1 }} b"}, {"role": "assistant", "content": "c"}]


def render(source: str, messages=TURNS, *, generate=False) -> str:
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "image_token": "<i>"}
    template = ChatTemplate(source, tokens=tokens)
    return template.render(messages, add_generation_prompt=generate)


def test_chatml_by_hand_and_contents_are_never_read_as_jinja():
    whole = "<|im_start|>user\na {{ 1 }} b<|im_end|>\n<|im_start|>assistant\nc<|im_end|>\n"
    assert render(CHATML) == whole
    assert render(CHATML, generate=True) == whole + "<|im_start|>assistant\n"


def test_templates_write_bos_and_eos_themselves():
    assert render("{{ bos_token }}x{{ eos_token }}") == "<s>x</s>"


def test_r1s_template_forgets_thoughts():
    """The rule of DeepSeek-R1's own: of an assistant's turn only what follows </think> stays."""
    source = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<｜User｜>{{ m.content }}"
        "{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}{% endif %}"
        "{% endfor %}"
    )
    turns = [TURNS[0], {"role": "assistant", "content": "<think>t</think>c"}]
    assert render(source, turns) == "<s><｜User｜>a {{ 1 }} b<｜Assistant｜>c</s>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for i in range(10000000) %}x{% endfor %}",
    ],
)
def test_foreign_code_does_not_leave_the_sandbox(source):
    with pytest.raises(ValueError, match="chat template: fails"):
        render(source)


def test_a_template_can_refuse_and_break():
    with pytest.raises(ValueError, match=r"refuses the roles \['user', 'assistant'\]: no system"):
        render("{{ raise_exception('no system') }}")
    assert render("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}") == "user"


@pytest.mark.parametrize(
    "source", ["{{ 1 / 0 }}", "{{ strftime_now() }}", "{{ messages[9].role }}"]
)
def test_a_template_that_fails_says_why(source):
    with pytest.raises(
        ValueError, match=r"fails on the roles \['user', 'assistant'\]: [A-Z]\w+Error"
    ):
        render(source)


def test_what_other_readers_know_is_known():
    marked = "{% for m in messages %}{% generation %}{{ m.role }} {% endgeneration %}{% endfor %}"
    assert render(marked) == "user assistant "
    assert render("{{ {'b': '<é>'} | tojson }}") == '{"b": "<é>"}'
    ordered = "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}"
    assert render(ordered) == '{"a":2,"b":1}'


def test_it_sees_what_transformers_shows():
    assert render("{{ 'TOOLS' if tools is not none else 'none' }}") == "none"
    assert render("{{ documents is none }}, {{ tools is defined }}") == "True, True"
    assert render("{{ bos_token }}{{ image_token }}{{ pad_token is defined }}") == "<s><i>False"


def test_the_time_is_that_of_reading_the_template(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    template = ChatTemplate("{{ strftime_now('%Y') }}", tokens={})
    monkeypatch.undo()
    assert template.render(TURNS, add_generation_prompt=True) == "2001"


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("{{ 'x' * 10**9 }}", "MiB of memory"),
        ("{% for i in range(99) %}{{ 'x' * 200000 }}{% endfor %}", "letters of text"),
        (
            "{% set n = namespace(x='x') %}"
            "{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            "(MiB of memory|s of processor time)",
        ),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "s of processor time",
        ),
        ("{{ 10 ** (10 ** (8 + messages | length)) }}", "s of processor time"),
    ],
    ids=["text", "output", "doubling", "loops", "a power"],
)
def test_endless_work_is_ended_and_named(source, limit):
    with pytest.raises(ValueError, match=rf"chat template: takes more than \d+ {limit}"):
        render(source)
    assert render("{{ messages[1].content }}") == "c"  # another process is there


def test_a_process_that_was_killed_is_replaced():
    render("a")
    assert chat._RENDERER._process is not None
    chat._RENDERER._process.kill()
    assert render("b") == "b"


@pytest.mark.parametrize("source", ["{% if %}", "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}"])
def test_no_jinja_is_refused(source):
    with pytest.raises(ValueError, match="chat template: no Jinja"):
        ChatTemplate(source, tokens={})
