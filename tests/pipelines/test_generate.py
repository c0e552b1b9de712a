import io
import json
import shutil

import numpy as np
import pytest

from configs import generate as generate_config
from r1jax import config as configs
from r1jax.hub.artifacts import load_model
from r1jax.pipelines.generate import run as generate
from r1jax.reports.samples import visible
from r1jax.text import templates

ROWS = [
    {"question": "1+1?", "id": "first"},
    {"prompt": "User: 2+2?\nAssistant: <think>\n"},
    {"prompt_ids": [1, 20, 21, 22]},
    {"question": "3 * 4 等等?"},
    {"question": "5+5?"},
]


def answers(nano_base, workdir, rows=ROWS, **changes) -> list[dict]:
    """Runs the pipeline; rows=None asks in the terminal."""
    values = generate_config.get_config()
    values.update(
        model=str(nano_base),
        samples=2,
        batch=2,
        max_new_tokens=6,
        prompt_buckets=(64,),
        input="",
        chunk=2,
    )
    values.sampler.update(temperature=1.0, top_p=1.0, cache_segments=1)
    values.execution.block_size = 4
    values.update(changes)
    if rows is not None:
        path = workdir.parent / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        values.input = str(path)
    generate.run(configs.build(generate.GenerateConfig, values.to_dict()), workdir)
    name = "dialogue.jsonl" if rows is None else "completions.jsonl"
    return [json.loads(line) for line in (workdir / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(nano_base, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("generate") / "run"
    return workdir, answers(nano_base, workdir)


def test_completions_beyond_the_window_are_announced(nano_base, tmp_path, capsys):
    shutil.copytree(nano_base, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 69}))
    answers(tmp_path / "model", tmp_path / "run", ROWS[:1])
    wanted = "max_position_embeddings is 69, but prompt_buckets and max_new_tokens make up to 70"
    assert capsys.readouterr().err.count(wanted) == 1


def test_every_row_gets_its_completions_in_order(finished, nano_base):
    _, got = finished
    tokenizer = load_model(str(nano_base))[2]
    plain = templates.PromptConfig("plain", "", ())
    wanted = [
        templates.prompt(tokenizer, plain, "1+1?").ids,
        [tokenizer.bos_id, *tokenizer.encode(ROWS[1]["prompt"])],
        [1, 20, 21, 22],
        templates.prompt(tokenizer, plain, "3 * 4 等等?").ids,
        templates.prompt(tokenizer, plain, "5+5?").ids,
    ]
    assert [row["prompt_ids"] for row in got] == [ids for ids in wanted for _ in range(2)]
    assert [row["sample"] for row in got] == [0, 1] * 5
    assert got[0]["id"] == "first" and got[0]["question"] == "1+1?"
    for row in got:
        assert 1 <= len(row["completion_ids"]) == len(row["logps"]) <= 6
        assert row["text"] == tokenizer.decode(row["completion_ids"])
        assert row["truncated"] == (row["completion_ids"][-1] != tokenizer.eos_id)
        assert all(np.isfinite(row["logps"])) and max(row["logps"]) <= 0
    thinking = got[2:4]  # the prompt ended in <think>, and nothing closes it in 6 tokens
    assert [row["reasoning"] for row in thinking] == [r["text"].strip() or None for r in thinking]
    assert [row["answer"] for row in thinking] == [None, None]


def test_it_leaves_a_summary(finished):
    workdir, got = finished
    summary = json.loads((workdir / "summary.json").read_text())
    assert (summary["prompts"], summary["completions"]) == (5, 10)
    assert summary["tokens"]["sampled"] == sum(len(row["completion_ids"]) for row in got)


@pytest.mark.parametrize("lines", [0, 3, 7])
def test_a_killed_run_goes_on_to_the_same_file(lines, finished, nano_base, tmp_path):
    workdir, _ = finished
    whole = (workdir / "completions.jsonl").read_bytes()
    answers(nano_base, tmp_path / "run", rows=ROWS)
    path = tmp_path / "run" / "completions.jsonl"
    assert path.read_bytes() == whole
    kept = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:lines]) + kept[lines][:20])  # killed within a line
    answers(nano_base, tmp_path / "run", rows=ROWS)
    assert path.read_bytes() == whole
    once, again = (json.loads((w / "summary.json").read_text()) for w in (workdir, path.parent))
    assert once["tokens"] == again["tokens"]


def test_another_request_is_refused_where_one_was_answered(nano_base, tmp_path):
    answers(nano_base, tmp_path / "run", rows=ROWS[:2])
    before = (tmp_path / "run" / "completions.jsonl").read_bytes()
    for changes in ({"seed": 1}, {"rows": ROWS[1:3]}):
        with pytest.raises(ValueError, match=r"another request: \['(seed|input_sha256)'\] differ"):
            answers(nano_base, tmp_path / "run", **({"rows": ROWS[:2]} | changes))
    assert (tmp_path / "run" / "completions.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "x"}, r"rows.jsonl:2: wanted exactly one of .* got \[\] in \['text'\]"),
        ({"question": "x", "prompt": "y"}, r"rows.jsonl:2: .* got \['question', 'prompt'\]"),
        ({"question": 5}, "rows.jsonl:2: question is int"),
        ({"messages": [{"role": "user", "content": "x"}]}, "rows.jsonl:2: .*no chat template"),
        ({"messages": ["hi"]}, "rows.jsonl:2: messages: 'hi', wanted texts for"),
        ({"prompt_ids": [1, 9999]}, r"rows.jsonl:2: prompt_ids \[9999\] are no ids below"),
        ({"prompt_ids": []}, "rows.jsonl:2: sampler: prompt 0 is empty"),
        ({"prompt": "x " * 99}, "rows.jsonl:2: sampler: prompt 0 has"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(row, message, nano_base, tmp_path):
    with pytest.raises(ValueError, match=message):
        answers(nano_base, tmp_path / "run", rows=[ROWS[0], row])
    assert not (tmp_path / "run" / "completions.jsonl").exists()
    assert len(answers(nano_base, tmp_path / "run", rows=ROWS[:1])) == 2  # once it is mended


def test_a_conversation_is_shown_and_kept(nano_base, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("1+1?\n\n/new\n" + "9 " * 99 + "\n2+2?\n"))
    got = answers(nano_base, tmp_path / "run", rows=None)
    assert [row["question"] for row in got] == ["1+1?", "2+2?"]
    shown = capsys.readouterr().out
    assert "the largest bucket 64; /new starts afresh" in shown
    for row in got:
        assert 1 <= len(row["completion_ids"]) <= 6
        first = visible(row["text"].strip().split("\n")[0][:10])
        assert first.replace("<think>", "") in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 3, "input": "x", "mesh": {"data": 2}}, "batch 3 does not divide by mesh data x"),
        ({"mesh": {"expert": 4}}, "1 prompt of a conversation does not split over the 4"),
        ({"samples": 0}, "samples: got 0, wanted at least 1"),
    ],
)
def test_bad_settings_are_refused_before_the_model_is_read(changes, message):
    values = generate_config.get_config()
    values.update(changes)
    with pytest.raises(ValueError, match=message):
        configs.build(generate.GenerateConfig, values.to_dict())


def test_the_same_seed_says_the_same(nano_base, tmp_path, monkeypatch):
    said = []
    for run in ("one", "two"):
        monkeypatch.setattr("sys.stdin", io.StringIO("1+1?\n1+1?\n"))
        said.append([r["completion_ids"] for r in answers(nano_base, tmp_path / run, rows=None)])
    assert said[0] == said[1] and said[0][0] != said[0][1]
