import ast
import dataclasses
import functools
import json
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import r1jax
from r1jax.hub.artifacts import load_model, save_model
from r1jax.integrations.lm_eval import adapter, text_model
from r1jax.integrations.lm_eval.adapter import read_args, read_gen_kwargs
from r1jax.integrations.lm_eval.text_model import TextModel, Window
from r1jax.model import forward
from r1jax.sampling.sampler import Sampler
from r1jax.text.files import read_tokenizer
from r1jax.text.sentencepiece_export import to_hugging_face

GREEDY = {"do_sample": False, "max_gen_toks": 8}
PAIRS = [
    ("User: 1+1?\nAssistant:", " 2"),
    ("User: 3 * 4 等等?", " twelve, or 13"),
    ("", "User: 5"),
    ("a b  ", "c"),
    ("User: " + "7 + " * 16, "8 = 148"),
]


def args(model, **changes):
    return read_args({"model": str(model), "buckets": [32, 64], "logit_chunk": 24, **changes}, None)


@functools.cache
def forwards(m: TextModel):
    def logits(ids, segments):
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1])[None], ids.shape)
        out = forward.forward(
            m.weights,
            ids,
            positions,
            segments,
            config=m.model,
            routes_LBTK=None,
            with_mtp=False,
            keep_cache=False,
            layers=None,
        )
        return forward.logits(out.hidden_BTD, m.weights, config=m.model)

    return jax.jit(logits)


def logits_of(m: TextModel, ids: list[int], *, width: int) -> np.ndarray:
    """Logits at every id of one text, behind which there are `width` positions for nothing."""
    real = np.array([[*ids, *[0] * width]], np.int32)
    segments = (np.arange(real.shape[1])[None] < len(ids)).astype(np.int32)
    return np.asarray(forwards(m)(real, segments), np.float64)[0, : len(ids)]


def slow_logp(m: TextModel, window: Window, *, width: int) -> tuple[float, bool]:
    """One text alone, without chunks, in float64."""
    ids = [*window.given, *window.scored]
    rows, total, greedy = logits_of(m, ids, width=width), 0.0, True
    for at in range(len(window.given), len(ids)):
        row, target = rows[at - 1], ids[at]
        total += row[target] - row.max() - np.log(np.exp(row - row.max()).sum())
        greedy = greedy and int(row.argmax()) == target
    return total, greedy


@functools.cache
def sampler_of(m: TextModel) -> Sampler:
    return Sampler(
        model=m.model,
        config=read_gen_kwargs(GREEDY, m.config).sampler,
        max_new=12,
        stop_ids=m.tokenizer.stop_ids,
        pad_id=m.tokenizer.pad_id,
        buckets=(96,),
    )


def slow_greedy(m: TextModel, prompt: str, cap: int) -> str:
    """One prompt alone, by our sampler."""
    ids = [m.tokenizer.bos_id, *m.tokenizer.encode(prompt)]
    draw = sampler_of(m)
    out = jax.device_get(draw(m.weights, [ids], jax.random.key(9), group=1, cap=cap))
    return m.tokenizer.decode(out.completion_BC[0][out.mask_BC[0]].tolist())


def answers(m: TextModel, prompts, *kwargs) -> list[str]:
    requests = [read_gen_kwargs(k, m.config) for k in kwargs]
    requests = requests * len(prompts) if len(requests) == 1 else requests
    return [text for _, text in sorted(m.completions(prompts, requests))]


@pytest.fixture(scope="module")
def small(nano_base, models, tmp_path_factory) -> Path:
    """A dense layer, which compiles sooner, with the tokenizer of the nano base."""
    folder, tokenizer = tmp_path_factory.mktemp("small"), read_tokenizer(nano_base)
    model = dataclasses.replace(models["gqa_small"], vocab_size=448, n_tokens=tokenizer.size)
    weights = forward.init(jax.random.key(1), config=model)
    save_model(folder, weights, model=model, tokenizer=tokenizer, made_by={})
    return folder


@pytest.fixture(scope="module")
def nano(small) -> TextModel:
    return TextModel(args(small, batch_size=2))


# the pure parts


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9))), st.integers(1, 5))
def test_batches_hold_every_row_once_and_are_of_one_kind(rows, size):
    kinds, lengths = [k for k, _ in rows], [n for _, n in rows]
    batches = text_model.batches(kinds, lengths, size=size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(rows)))
    assert all(len({kinds[i] for i in batch}) == 1 for batch in batches)
    for kind in set(kinds):
        of_kind = [b for b in batches if kinds[b[0]] == kind]
        assert [len(b) for b in of_kind[:-1]] == [size] * (len(of_kind) - 1)
        in_turn = [lengths[i] for b in of_kind for i in b]
        assert in_turn == sorted(in_turn) and len(of_kind[-1]) <= size


@pytest.mark.parametrize(
    ("text", "until", "think_end", "want"),
    [
        ("a b c", [], "", "a b c"),
        ("a b c", ["c", "b"], "", "a "),
        ("xab", ["b", "ab"], "", "x"),  # the first that begins
        ("a\n\nb", ["\n\n", ""], "", "a"),
        ("a", ["a"], "", ""),
        ("so\n\nso</think>\n 4\n\n5", ["\n\n"], "</think>", "4"),
        ("so</think>no</think> 4", [], "</think>", "4"),
        ("so</think> 4", [], "", "so</think> 4"),
        (" so, cut off", [","], "</think>", " so"),
    ],
)
def test_a_text_is_cut_at_the_first_stop_behind_the_thought(text, until, think_end, want):
    assert text_model.cut(text, until, think_end=think_end) == want


@given(st.text("abc", max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3))
def test_what_is_left_is_the_longest_beginning_without_a_stop(text, until):
    left = text_model.cut(text, until, think_end="")
    assert text.startswith(left) and not any(stop in left for stop in until)
    assert left == text or any(text.startswith(stop, len(left)) for stop in until)


def test_rolling_windows_by_hand():
    """The example in the docstring of lm-eval's interface."""
    assert text_model.rolling_windows([*range(10)], -1, length=4) == [
        Window([-1], [0, 1, 2, 3]),
        Window([3], [4, 5, 6, 7]),
        Window([5, 6, 7], [8, 9]),
    ]
    assert text_model.rolling_windows([], -1, length=4) == []


@given(st.integers(0, 30), st.integers(1, 9))
def test_rolling_windows_score_each_id_once(n, length):
    windows = text_model.rolling_windows([*range(n)], -1, length=length)
    assert [i for w in windows for i in w.scored] == [*range(n)]
    for w in windows:
        assert [*w.given, *w.scored] == [*range(w.given[0], w.scored[-1] + 1)]
        assert len(w.given) >= 1 and len(w.given) + len(w.scored) - 1 <= length


@pytest.mark.parametrize(
    ("kwargs", "want"),
    [
        ({}, (0.0, 1.0, 256, ())),
        ({"until": "\n", "num_beams": 1}, (0.0, 1.0, 256, ("\n",))),
        ({"do_sample": False, "temperature": 1, "top_p": 0.9}, (0.0, 1.0, 256, ())),
        ({"temperature": 0.6, "top_p": 0.95}, (0.6, 0.95, 256, ())),
        ({"do_sample": True, "max_new_tokens": 7, "until": ["a", "b"]}, (1.0, 1.0, 7, ("a", "b"))),
    ],
)
def test_gen_kwargs_mean_what_they_mean_elsewhere_in_lm_eval(kwargs, want):
    got = read_gen_kwargs(kwargs, args("x"))
    assert (got.sampler.temperature, got.sampler.top_p, got.cap, got.until) == want


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"length_penalty": 2.0}, r"unknown keys \['length_penalty'\]"),
        ({"num_beams": 4}, r"\['num_beams'\] in"),
        ({"max_gen_toks": 5, "max_tokens": 6}, r"\['max_gen_toks'\] in"),
        ({"max_gen_toks": 0}, r"\['max_gen_toks'\] in"),
        ({"until": [3]}, r"\['until'\] in"),
        ({"do_sample": True, "temperature": 0.0}, r"\['do_sample'\] in"),
        ({"do_sample": "yes"}, r"\['do_sample'\] in"),
        ({"temperature": 0.5, "top_p": 2.0}, "gen_kwargs.top_p: got 2.0"),
        ({"temperature": 0.5, "top_k": 1.5}, "gen_kwargs.top_k: got 1.5"),
    ],
)
def test_gen_kwargs_that_nobody_would_obey_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        read_gen_kwargs(kwargs, args("x"))


def test_arguments_come_as_lm_eval_hands_them_on():
    beside = {"batch_size": "16", "max_batch_size": None, "device": "cuda:0"}
    got = read_args({"model": "m", "buckets": "64+256"}, beside)
    assert (got.model, got.batch_size, got.buckets) == ("m", 16, (64, 256))
    assert read_args({"model": "m", "buckets": 64}, None).buckets == (64,)
    assert read_args({"model": "m", "batch_size": 3}, {}).batch_size == 3


@pytest.mark.parametrize(
    ("given", "beside", "message"),
    [
        ({}, None, r"missing keys \['model'\]"),
        ({"model": "m", "bukets": [8]}, None, "did you mean 'buckets' for 'bukets'"),
        ({"model": "m"}, {"batch_size": "auto"}, "model_args.batch_size: got 'auto'"),
        ({"model": "m"}, {"max_batch_size": 4}, r"unknown keys \['max_batch_size'\]"),
        ({"model": "m", "buckets": []}, None, "and a bucket"),
        ({"model": "m", "logit_chunk": 0}, None, "logit_chunk 0"),
        ({"model": "m", "streams": 2}, None, r"unknown keys \['streams'\]"),
    ],
)
def test_arguments_that_cannot_work_are_refused(given, beside, message):
    with pytest.raises(ValueError, match=message):
        read_args(given, beside)


# a model asked in texts


def test_log_likelihoods_are_those_of_each_text_alone(nano):
    windows = [nano.window(*pair) for pair in PAIRS]
    got = sorted(nano.logps(windows))
    assert [row for row, *_ in got] == list(range(len(PAIRS)))
    for (_, logp, greedy), window in zip(got, windows, strict=True):
        want = slow_logp(nano, window, width=0)
        np.testing.assert_allclose(logp, want[0], atol=1e-4)  # up to 100 nats in float32
        assert greedy == want[1]


def test_what_the_model_would_say_is_greedy_and_nothing_else_is(nano):
    given, scored = nano.encode("User: 1+1?"), []
    for left in (2, 1, 0):
        rows = logits_of(nano, [*given, *scored], width=left)
        scored.append(int(rows[-1].argmax()))
    wrong = [scored[0], scored[1], (scored[2] + 1) % nano.tokenizer.size]
    late = [(scored[0] + 1) % nano.tokenizer.size, *scored[1:]]
    windows = [Window(given, s) for s in (scored, wrong, late)]
    assert [greedy for *_, greedy in sorted(nano.logps(windows))] == [True, False, False]


def test_a_pair_is_split_where_the_context_ends(nano):
    t = nano.tokenizer
    context, continuation = "User: 1+1?\nAssistant:  ", "2 or 3"
    window = nano.window(context, continuation)
    whole = [t.bos_id, *t.encode(context + continuation)]
    assert [*window.given, *window.scored] == whole
    assert t.decode(window.scored) == "  2 or 3"
    assert nano.window("", "User") == Window([t.bos_id], t.encode("User"))
    assert nano.window("  ", "User") == Window([t.bos_id], t.encode("  User"))
    with pytest.raises(ValueError, match="'' has no token of its own behind 'User'"):
        nano.window("User", "")


def test_a_text_stands_behind_one_bos_or_else_eos(nano):
    ours = nano.tokenizer
    theirs = to_hugging_face(ours, chat=None)
    text = json.loads(theirs.files()["tokenizer_config.json"])["bos_token"]
    other = object.__new__(TextModel)
    other.tokenizer = theirs
    assert other.encode("User")[:1] == [ours.bos_id] == other.encode(text + "User")[:1]
    assert other.encode("User") == other.encode(text + "User") == nano.encode("User")
    assert other.window("", text + "User") == other.window("", "User")
    other.tokenizer = type(theirs)(
        theirs._core,
        bos_id=None,
        add_bos=False,
        eos_id=ours.eos_id,
        stop_ids=ours.stop_ids,
        pad_id=ours.pad_id,
        tokens={},
        template=None,
        generation={},
    )
    assert other.encode("User") == ours.encode("User")
    assert other.window("", "User").given == [ours.eos_id]


def test_greedy_answers_are_the_samplers_in_order_of_requests(nano):
    prompts = [context or "x" for context, _ in PAIRS]
    short = {"temperature": 0.0, "max_gen_toks": 5}
    got = answers(nano, prompts, GREEDY, short, GREEDY, short, GREEDY)
    assert got == [slow_greedy(nano, p, 5 if i % 2 else 8) for i, p in enumerate(prompts)]
    assert len(set(got)) > 2


def test_an_answer_ends_before_its_stop_string(nano):
    (whole,) = answers(nano, ["User: 1+1?"], GREEDY)
    stop = whole[2:4]
    assert answers(nano, ["User: 1+1?"], {**GREEDY, "until": [stop]}) == [
        whole[: whole.index(stop)]
    ]


def test_a_stop_that_decodes_to_nothing_stops_too(nano):
    t = to_hugging_face(nano.tokenizer, chat=None)
    silent = object.__new__(TextModel)
    silent.tokenizer, silent.config = t, nano.config
    ids = [*t.encode("one"), t.pad_id, *t.encode(" two")]
    pad = t._core.id_to_token(t.pad_id)

    def said(*until):
        return silent._text(ids, read_gen_kwargs({"until": until}, nano.config))

    assert (said(), said(pad), said("n")) == ("one two", "one", "o")


def test_draws_differ_between_rows_and_not_between_calls(nano):
    drawn = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8}
    one, two = (answers(nano, ["User: 1+1?"] * 4, drawn) for _ in range(2))
    assert one == two and len(set(one)) == 4


def test_a_request_that_fits_no_bucket_is_named_at_once(nano):
    with pytest.raises(ValueError, match=r"request 1 has \d+ tokens, the largest bucket 64"):
        answers(nano, ["a", "b " * 99], GREEDY)
    with pytest.raises(ValueError, match="request 1 has 65 tokens"):
        next(nano.logps([Window([1], [2]), Window([1], [2] * 65)]))
    assert len(list(nano.logps([Window([1], [2] * 64)]))) == 1


def test_chat_text_ends_where_the_assistant_goes_on(nano):
    source = (
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<end>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "It is "}]
    chat = partial(adapter.chat_text, to_hugging_face(nano.tokenizer, chat=source))
    assert chat(turns[:1], add_generation_prompt=True) == "<user>1+1?<end><assistant>"
    begun = chat(turns, add_generation_prompt=False)
    assert begun == "<user>1+1?<end><assistant>It is"
    mute = to_hugging_face(nano.tokenizer, chat="nothing")
    with pytest.raises(ValueError, match="does not show 'It is'"):
        adapter.chat_text(mute, turns, add_generation_prompt=False)
    with pytest.raises(ValueError, match="no chat template"):
        adapter.chat_text(nano.tokenizer, turns, add_generation_prompt=True)


def test_without_lm_eval_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.api.model", None)
    with pytest.raises(ImportError, match=r"pip install 'r1jax\[lm-eval\]'"):
        adapter.register.__wrapped__()


def test_nothing_of_ours_imports_it():
    root = Path(r1jax.__file__).parent
    for path in root.rglob("*.py"):
        tree = ast.parse(path.read_text())
        froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        names = {f"{n.module}.{alias.name}" for n in froms for alias in n.names}
        plain = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert path.parent.name == "lm_eval" or not [n for n in names | plain if "lm_eval" in n]


# under lm-eval itself

QUESTIONS = [f"{a} + {b} * {a}" for a, b in zip(range(2, 10), range(9, 1, -1), strict=True)]
SHARED = {
    "dataset_path": "json",
    "test_split": "test",
    "doc_to_text": "User: {{question}}\nA:",
    "target_delimiter": "",
}
TASKS = {
    "says": {
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "max_gen_toks": 12},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    },
    "chooses": {
        "output_type": "multiple_choice",
        "doc_to_choice": [" 1", " 2", " User"],
        "doc_to_target": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
    "reads": {
        "output_type": "loglikelihood_rolling",
        "doc_to_target": "{{question}} is long " * 12,
        "doc_to_text": "",
        "metric_list": [
            {
                "metric": "byte_perplexity",
                "aggregation": "weighted_perplexity",
                "higher_is_better": False,
            }
        ],
    },
}


@pytest.fixture(scope="module")
def tiny() -> TextModel:
    return TextModel(args("package:tiny_base", batch_size=4, buckets=[32, 64, 128]))


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory) -> Path:
    """Tasks of 8 questions; the golds of five of them are what the model says to itself."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = []
    for i, question in enumerate(QUESTIONS):
        said = slow_greedy(tiny, f"User: {question}\nA:", 12).split("\n")[0]
        rows.append({"question": question, "answer": said if i < 5 else said + "?"})
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, task in TASKS.items():
        files = {"dataset_kwargs": {"data_files": {"test": str(data)}}}
        whole = {"task": name, **SHARED, **files, **task}
        (folder / f"{name}.yaml").write_text(json.dumps(whole))  # JSON is YAML
    return folder


@pytest.fixture(scope="module")
def task_manager(folder, tmp_path_factory):
    """lm-eval's, for tasks of a folder: no network, not its own tasks (10 s to list)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
            patch.setenv(name, "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        adapter.register()
        from lm_eval import tasks

        few = partial(tasks.TaskManager, include_defaults=False)
        patch.setattr(tasks, "TaskManager", few)
        yield few(include_path=str(folder))


@pytest.mark.lm_eval
def test_lm_evals_answers_are_those_of_the_model(task_manager, tiny):
    from lm_eval import simple_evaluate

    results = simple_evaluate(
        model="r1jax",
        model_args={"model": "package:tiny_base", "buckets": [32, 64, 128]},
        tasks=[*TASKS],
        task_manager=task_manager,
        batch_size=4,
        bootstrap_iters=0,
    )
    scores, samples = results["results"], results["samples"]
    prompts = [f"User: {question}\nA:" for question in QUESTIONS]
    assert scores["says"]["exact_match,none"] == 5 / 8
    said = [slow_greedy(tiny, prompt, 12).split("\n")[0] for prompt in prompts]
    assert [row["resps"] for row in samples["says"]] == [[[text]] for text in said]

    def alone(window: Window) -> float:
        ids = [*window.given, *window.scored]
        return slow_logp(tiny, window, width=160 - len(ids))[0]

    right = 0
    for prompt, row in zip(prompts, samples["chooses"], strict=True):
        want = [alone(tiny.window(prompt, choice)) for choice in (" 1", " 2", " User")]
        got = [float(resps[0][0]) for resps in row["resps"]]
        np.testing.assert_allclose(got, want, atol=1e-4)
        right += int(np.argmax(want) == 0)
    assert scores["chooses"]["acc,none"] == right / 8

    texts = [f"{question} is long " * 12 for question in QUESTIONS]
    bos, encode = tiny.tokenizer.bos_id, tiny.tokenizer.encode
    cuts = [text_model.rolling_windows(encode(text), bos, length=128) for text in texts]
    assert max(map(len, cuts)) > 1
    total = sum(alone(window) for windows in cuts for window in windows)
    want = np.exp(-total / sum(len(text.encode()) for text in texts))
    np.testing.assert_allclose(scores["reads"]["byte_perplexity,none"], want, rtol=1e-5)


@pytest.mark.lm_eval
def test_the_command_prints_writes_and_resumes_from_its_cache(
    task_manager, folder, tmp_path, monkeypatch, capsys
):
    command = [
        "lm_eval",
        "--model",
        "r1jax",
        "--model_args",
        "model=package:tiny_base,buckets=[32,64,128]",
        "--tasks",
        "says,chooses",
        "--include_path",
        str(folder),
        "--batch_size",
        "4",
        "--output_path",
        str(tmp_path / "out"),
        "--use_cache",
        str(tmp_path / "cache"),
        "--log_samples",
    ]

    def table() -> list[str]:
        monkeypatch.setattr(sys, "argv", [*command])
        monkeypatch.setattr("lm_eval.__main__.setup_logging", lambda: None)  # its handler stays
        adapter.main()
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]

    first = table()
    assert any("says" in line and "0.625" in line for line in first)
    (path,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(path.read_text())["results"]["says"]["exact_match,none"] == 0.625
    assert {p.name.split("_20")[0] for p in (tmp_path / "out").rglob("samples_*.jsonl")} == {
        "samples_says",
        "samples_chooses",
    }
    for method in ("completions", "logps"):  # nothing is left to be asked
        monkeypatch.delattr(TextModel, method)
    assert table() == first


@pytest.mark.lm_eval
def test_a_killed_run_finds_what_was_answered_in_the_cache(task_manager, tmp_path, monkeypatch):
    from lm_eval import simple_evaluate

    sizes = []
    whole = TextModel.completions

    def dies(self, prompts, kwargs):
        sizes.append(len(prompts))
        for number, answer in enumerate(whole(self, prompts, kwargs)):
            if number == 4 and len(sizes) == 1:
                raise KeyboardInterrupt
            yield answer

    monkeypatch.setattr(TextModel, "completions", dies)
    run = partial(
        simple_evaluate,
        model="r1jax",
        model_args="model=package:tiny_base,buckets=32+64",
        tasks=["says"],
        task_manager=task_manager,
        batch_size=4,
        bootstrap_iters=0,
        use_cache=str(tmp_path / "cache"),
    )
    with pytest.raises(KeyboardInterrupt):
        run()
    assert run()["results"]["says"]["exact_match,none"] == 5 / 8
    assert sizes == [8, 4]


@pytest.mark.lm_eval
def test_chats_are_put_by_the_models_own_template(task_manager, small, nano, tmp_path):
    from lm_eval import simple_evaluate

    source = (
        "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<A>{% endif %}"
    )
    run = partial(
        simple_evaluate,
        tasks=["says"],
        task_manager=task_manager,
        batch_size=8,
        limit=2,
        bootstrap_iters=0,
        apply_chat_template=True,
        model="r1jax",
    )
    with pytest.raises(ValueError, match="no chat template"):
        run(model_args={"model": str(small)})
    weights, model, _ = load_model(str(small))
    chatty = to_hugging_face(nano.tokenizer, chat=source)
    save_model(tmp_path, weights, model=model, tokenizer=chatty, made_by={})
    shown = run(model_args={"model": str(tmp_path), "buckets": 64})["samples"]["says"]
    bos = json.loads(chatty.files()["tokenizer_config.json"])["bos_token"]
    wanted = [f"{bos}<user>User: {question}\nA:<A>" for question in QUESTIONS[:2]]
    assert [row["arguments"][0][0] for row in shown] == wanted
    same = TextModel(args(tmp_path))
    said = [slow_greedy(same, prompt.removeprefix(bos), 12).split("\n")[0] for prompt in wanted]
    assert [row["resps"] for row in shown] == [[[text]] for text in said]
