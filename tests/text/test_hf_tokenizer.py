import json
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from r1jax.text.files import write_tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import Tokenizer

SPECIAL = ["<|begin|>", "<|end|>", "<|turn|>", "<|pad|>"]
CHAT = "{{ bos_token }}{% for m in messages %}<|turn|>{{ m.content }}{{ eos_token }}{% endfor %}"


def core() -> tokenizers.Tokenizer:
    """Byte-level BPE of a few merges, as Llama 3's and Qwen's are built; ids 0 to 3 are special."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(["the cat sat on the mat", "等等 the end"] * 9, trainer)
    return made


def write(directory: Path, *, changes=None, generation=None, model=None, made=None) -> Path:
    settings = {"bos_token": "<|begin|>", "eos_token": {"content": "<|end|>"}, "pad_token": None}
    files = {
        "tokenizer_config.json": settings | (changes or {}),
        "generation_config.json": generation,
        "config.json": model,
    }
    for name, document in files.items():
        if document is not None:
            (directory / name).write_text(json.dumps(document))
    (made or core()).save(str(directory / "tokenizer.json"))
    return directory


def test_it_is_what_the_rest_of_the_code_asks_for(tmp_path):
    assert isinstance(HfTokenizer.load(write(tmp_path)), Tokenizer)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=30))
def test_any_text_comes_back_whole(text):
    tokenizer = HfTokenizer(
        core_once(),
        bos_id=0,
        add_bos=True,
        eos_id=1,
        stop_ids=(1,),
        pad_id=3,
        tokens={},
        template=None,
        generation={},
    )
    ids = tokenizer.encode(text)
    assert tokenizer.decode([0, *ids, 1, 3]) == text
    assert all(0 <= i < tokenizer.size for i in ids)


def core_once(made=[]) -> tokenizers.Tokenizer:  # noqa: B006  # trained once for all examples
    if not made:
        made.append(core())
    return made[0]


def test_bos_comes_by_the_settings_or_the_post_processor(tmp_path):
    assert HfTokenizer.load(write(tmp_path)).bos_id is None
    added = HfTokenizer.load(write(tmp_path, changes={"add_bos_token": True}))
    assert added.bos_id == 0
    written = tokenizers.Tokenizer.from_str(added.files()["tokenizer.json"].decode())
    assert written.encode("the").ids == [0, *added.encode("the")]  # for programs that ask no flag
    made = core()
    made.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", 0)]
    )
    assert HfTokenizer.load(write(tmp_path, made=made)).bos_id == 0
    off = write(tmp_path, made=made, changes={"add_bos_token": False})
    assert HfTokenizer.load(off).bos_id is None
    assert HfTokenizer.load(off).encode("the") == core().encode("the").ids


def test_completions_end_at_every_id_that_any_file_names(tmp_path):
    assert HfTokenizer.load(write(tmp_path)).stop_ids == (1,)
    assert HfTokenizer.load(write(tmp_path, model={"eos_token_id": 3})).stop_ids == (1, 3)
    both = write(tmp_path, generation={"eos_token_id": [2, 1]}, model={"eos_token_id": 3})
    assert HfTokenizer.load(both).stop_ids == (1, 2)


def test_a_stop_token_gives_no_text_whatever_its_flag(tmp_path):
    made = core()
    made.add_tokens([tokenizers.AddedToken("<turn_end>", special=False)])
    stop = made.token_to_id("<turn_end>")
    directory = write(tmp_path, made=made, generation={"eos_token_id": [1, stop]})
    tokenizer = HfTokenizer.load(directory)
    assert tokenizer.decode([*tokenizer.encode("the cat"), stop]) == "the cat"


def test_padding_is_the_end_where_no_other_is_named(tmp_path):
    assert HfTokenizer.load(write(tmp_path)).pad_id == 1
    assert HfTokenizer.load(write(tmp_path, changes={"pad_token": "<|pad|>"})).pad_id == 3


@pytest.mark.parametrize(
    "given", [CHAT, [{"name": "tool", "template": "x"}, {"name": "default", "template": CHAT}]]
)
def test_the_chat_template_comes_with_it(given, tmp_path):
    tokenizer = HfTokenizer.load(write(tmp_path, changes={"chat_template": given}))
    assert tokenizer.chat is not None
    turn = [{"role": "user", "content": "hi"}]
    text = tokenizer.chat.render(turn, add_generation_prompt=False)
    assert text == "<|begin|><|turn|>hi<|end|>"
    assert [i for i in tokenizer.encode(text) if i < 4] == [0, 2, 1]  # markers become tokens
    (tmp_path / "chat_template.jinja").write_text("other")
    later = HfTokenizer.load(tmp_path).chat
    assert later is not None and later.source == "other"


def test_templates_by_name_are_kept_beside_the_default(tmp_path):
    """One of them for tools, in the settings or, as transformers 5 has it, in a folder."""
    entries = [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]
    tokenizer = HfTokenizer.load(write(tmp_path, changes={"chat_template": entries}))
    again = reload(tokenizer, tmp_path / "again")
    assert (tmp_path / "again/additional_chat_templates/tool_use.jinja").read_text() == "t"
    settings = json.loads((tmp_path / "again/tokenizer_config.json").read_text())
    assert settings.pop("chat_template") == entries
    (tmp_path / "again/tokenizer_config.json").write_text(json.dumps(settings))
    for kept in (tokenizer, again, HfTokenizer.load(tmp_path / "again")):
        assert kept.chat and kept.chat.source == "d"
        assert kept.others == {"tool_use": "t"}
    assert tokenizer.with_chat("x").others == {}
    write_tokenizer(tmp_path / "again", tokenizer.with_chat("x"))
    assert HfTokenizer.load(tmp_path / "again").others == {}  # nothing of the other is left


def test_files_that_it_writes_make_the_same_tokenizer(tmp_path):
    changes = {"chat_template": CHAT, "pad_token": "<|pad|>", "add_bos_token": False}
    tokenizer = HfTokenizer.load(
        write(tmp_path, changes=changes, generation={"eos_token_id": [1, 2]})
    )
    same = reload(tokenizer, tmp_path / "again")
    assert same.files() == tokenizer.files() and same.fingerprint == tokenizer.fingerprint
    assert (same.bos_id, same.named_bos_id, same.stop_ids) == (None, 0, (1, 2))


def reload(tokenizer: HfTokenizer, directory: Path) -> HfTokenizer:
    directory.mkdir()
    write_tokenizer(directory, tokenizer)
    return HfTokenizer.load(directory)


EVERY = (
    "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ image_token }}{{ hint }}"
    "{{ bos_token is defined }}"
)


@pytest.mark.parametrize(
    ("changes", "old", "text"),
    [
        ({"pad_token": "<|pad|>"}, None, "<|begin|><|end|><|pad|>True"),
        ({"bos_token": None, "eos_token": None}, None, "False"),
        ({"image_token": "<|pad|>", "add_bos_token": True}, None, "<|begin|><|end|><|pad|>True"),
        ({"extra_special_tokens": {"hint": "<|turn|>"}}, None, "<|begin|><|end|><|turn|>True"),
        ({"extra_special_tokens": ["<|turn|>"]}, None, "<|begin|><|end|>True"),
        ({}, {"unk_token": {"content": "<|pad|>"}}, "<|begin|><|end|><|pad|>True"),
        ({"bos_token": None}, {"bos_token": "<|pad|>"}, "<|pad|><|end|>True"),
        ({"added_tokens_decoder": {}}, {"unk_token": "<|pad|>"}, "<|begin|><|end|>True"),
    ],
)
def test_a_template_sees_every_named_token(changes, old, text, tmp_path):
    """As transformers 5 shows them, also after saving and loading."""
    generation = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 3}
    directory = write(tmp_path, changes={"chat_template": EVERY, **changes}, generation=generation)
    if old:
        (directory / "special_tokens_map.json").write_text(json.dumps(old))
    tokenizer = HfTokenizer.load(directory)
    again = reload(tokenizer, tmp_path / "again")
    for chat in (tokenizer.chat, again.chat):
        assert chat is not None and chat.render([], add_generation_prompt=True) == text

    def ids(t):
        return (t.bos_id, t.named_bos_id, t.eos_id, t.stop_ids, t.pad_id)

    assert ids(again) == ids(tokenizer)


def test_padding_may_be_named_by_its_id_alone(tmp_path):
    assert HfTokenizer.load(write(tmp_path, generation={"pad_token_id": 3})).pad_id == 3


def test_how_to_sample_comes_back_with_it(tmp_path):
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20}
    written = {"bos_token_id": 0, "eos_token_id": [1, 2], "pad_token_id": 1}
    tokenizer = HfTokenizer.load(write(tmp_path, generation=written | sampling))
    for kept in (tokenizer, reload(tokenizer, tmp_path / "again"), tokenizer.with_chat("x")):
        assert json.loads(kept.files()["generation_config.json"]) == written | sampling


@pytest.mark.parametrize("special", [True, False])
def test_tags_are_decoded_whatever_their_flag(special, tmp_path):
    made, text = core(), "<think>the</think> <answer>cat</answer>"
    tags = ("<think>", "</think>", "<answer>", "</answer>")
    made.add_tokens([tokenizers.AddedToken(tag, special=special) for tag in tags])
    stop = made.token_to_id("</answer>")
    directory = write(tmp_path, made=made, generation={"eos_token_id": [1, stop]})
    tokenizer = HfTokenizer.load(directory)
    ids = tokenizer.encode(f"<|turn|>{text}")
    assert {made.token_to_id(tag) for tag in tags} <= set(ids)
    assert tokenizer.decode([*ids, 1]) == text


def test_truncation_in_the_file_does_not_cut_texts(tmp_path):
    made = core()
    made.enable_truncation(3)
    made.enable_padding(length=50)
    ids = HfTokenizer.load(write(tmp_path, made=made)).encode("the cat sat on the mat")
    assert ids == core().encode("the cat sat on the mat").ids


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", "{}", r"tokenizer\.json: no tokenizer"),
        ("tokenizer.json", "\x80\x04", r"tokenizer\.json: no tokenizer"),
        ("tokenizer_config.json", "{", r"tokenizer_config\.json: not JSON"),
        ("generation_config.json", "[]", r"generation_config\.json: got \[\], wanted an object"),
        ("tokenizer_config.json", '{"eos_token": "<x>"}', "eos_token '<x>' is not in tokenizer"),
        ("tokenizer_config.json", "{}", "names an eos token, so no completion would end"),
        ("chat_template.jinja", "{% if %}", "chat template: no Jinja"),
        ("generation_config.json", '{"eos_token_id": "2"}', "eos_token_id is '2', wanted an id"),
        ("tokenizer_config.json", '{"eos_token": 1}', "eos_token is 1"),
        (
            "tokenizer_config.json",
            '{"eos_token": "<|end|>", "chat_template": 5}',
            "chat_template 'default' is 5, wanted Jinja",
        ),
        (
            "generation_config.json",
            '{"eos_token_id": 999}',
            r"g\.json: eos_token_id: ids \[999\] are",
        ),
        ("config.json", '{"eos_token_id": [1, -1]}', r"config\.json: eos_token_id: ids \[-1\] are"),
        ("config.json", '{"eos_token_id": true}', "eos_token_id is True, wanted an id"),
        ("config.json", "[" * 100_000, r"config\.json: not JSON"),
        (
            "special_tokens_map.json",
            '{"unk_token": 5}',
            r"special_tokens_map\.json: unk_token is 5",
        ),
        (
            "tokenizer_config.json",
            '{"eos_token": "<|end|>", "chat_template": [{"name": "tools", "template": "x"}]}',
            r"chat_template names \['tools'\], wanted one named 'default'",
        ),
    ],
)
def test_a_damaged_file_is_named(file, content, message, tmp_path):
    directory = write(tmp_path)
    (directory / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        HfTokenizer.load(directory)


def test_without_its_file_there_is_no_tokenizer(tmp_path):
    with pytest.raises(ValueError, match=r"lacks tokenizer\.json"):
        HfTokenizer.load(tmp_path)
