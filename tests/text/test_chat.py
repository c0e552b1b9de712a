import pytest

from r1jax.text.chat import ChatTemplate

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURNS = [{"role": "user", "content": "a {{ 1 }} b"}, {"role": "assistant", "content": "c"}]


def render(source: str, messages=TURNS, *, generate=False) -> str:
    template = ChatTemplate(source, bos="<s>", eos="</s>")
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
    with pytest.raises(ValueError, match="chat template: refuses"):
        render(source)


def test_a_template_can_refuse_and_break():
    with pytest.raises(ValueError, match=r"refuses the roles \['user', 'assistant'\]: .*no system"):
        render("{{ raise_exception('no system') }}")
    assert render("{% for m in messages %}{{ m.role }}{% break %}{% endfor %}") == "user"


@pytest.mark.parametrize(
    "source", ["{{ 1 / 0 }}", "{{ strftime_now('%d') }}", "{{ messages[9].content }}"]
)
def test_a_template_that_fails_is_told(source):
    with pytest.raises(ValueError, match="chat template: refuses"):
        render(source)


def test_what_other_readers_know_is_known():
    marked = "{% for m in messages %}{% generation %}{{ m.role }} {% endgeneration %}{% endfor %}"
    assert render(marked) == "user assistant "
    assert render("{{ {'b': '<é>'} | tojson }}") == '{"b": "<é>"}'


def test_no_jinja_is_refused():
    with pytest.raises(ValueError, match="no Jinja"):
        ChatTemplate("{% if %}", bos="", eos="")
