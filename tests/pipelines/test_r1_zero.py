import dataclasses
import importlib
import json
import math
import shutil

import numpy as np
import pytest

from configs import data
from r1jax import config as configs
from r1jax.data.tasks import tasks
from r1jax.data.tasks.mixing import mixed_indices
from r1jax.data.tasks.splits import SourceConfig
from r1jax.data.world.requests import RequestSource
from r1jax.exams import reward_models
from r1jax.exams.examiner import Answered, Examiner
from r1jax.exams.reward_models import PreferenceConfig
from r1jax.hub.artifacts import load_model
from r1jax.io.checkpoints import Checkpointer
from r1jax.io.digests import digest
from r1jax.io.loop import Stopped, check_unchanged
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines import table
from r1jax.pipelines.r1_zero import config as r1_zero_config
from r1jax.pipelines.r1_zero import rollout as r1_zero_rollout
from r1jax.pipelines.r1_zero import run as r1_zero
from r1jax.pipelines.r1_zero import trainer as r1_zero_trainer
from r1jax.reports import curves
from r1jax.rewards.combine import Completion, Rewarder
from r1jax.rewards.score import Score
from r1jax.sharding import MeshConfig
from r1jax.types import Sequences

SAME_BYTES = (
    "metrics.jsonl",
    "eval.jsonl",
    "samples/update_000000.txt",
    "samples/update_000002.txt",
)


@pytest.fixture(scope="session")
def finished(config, run, tmp_path_factory):
    """An uninterrupted run: (workdir, {update: (digest of weights, of reference)}, draws)."""
    workdir, states, draws = tmp_path_factory.mktemp("finished"), {}, []
    draw = Examiner.draw

    def seen(update, state):
        states[update] = (digest(state.weights), digest(state.reference))

    def noted(self, *args, group, cap):
        rollout = draw(self, *args, group=group, cap=cap)
        draws.append((self, cap, rollout.mask_BC.sum(1).max()))
        return rollout

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Examiner, "draw", noted)
        run(config, workdir, seen=seen, plot=curves.plot_rl)
    return workdir, states, draws


@pytest.fixture(scope="session")
def summary(finished):
    return json.loads((finished[0] / "summary.json").read_text())


def test_the_summary_says_what_ran_where_and_what_came_of_it(summary, config):
    assert summary["pipeline"] == "r1_zero" and summary["steps"] == 4
    assert summary["config"]["grpo.minibatches"] == 2 and summary["seed"] == config.seed
    assert summary["device_kind"] and summary["versions"]["jax"]
    assert len(summary["weights_sha256"]) == 64
    for phase in ("sample", "reward", "logprobs", "update", "evaluate", "this_process"):
        assert summary["seconds"][phase] > 0
    assert summary["tokens"].keys() == {"sampled", "trained"}
    assert summary["tokens_per_second"].keys() == {"sample", "update"}
    assert summary["peak_memory_bytes"]["host"] > 0
    for side in ("before", "after"):
        exam = summary[side]
        for share in (exam["cons_at"]["16"]["mean"], *exam["rates"].values()):
            assert 0 <= share <= 1
        assert exam["rates"].keys() == {"truncation", "format", "error", "reflective"}
        assert 0 < exam["lengths"]["all"]["mean"] <= 10
        score = exam["pass_at_1"]
        assert 0 <= score["low"] <= score["mean"] <= score["high"] <= 1
    assert [summary[side]["update"] for side in ("before", "after")] == [0, 4]


def test_sampler_and_trainer_agree_on_log_probabilities(summary):
    assert 0 < summary["max_logp_gap"] <= 1e-4


def test_the_first_minibatch_is_on_policy_at_any_temperature(finished):
    rows = read_jsonl(finished[0] / "metrics.jsonl")
    ratios = [row["ratio"] for row in rows]
    np.testing.assert_allclose([ratios[0], ratios[2]], 1, atol=1e-6)
    assert abs(ratios[1] - 1) > 1e-4 and abs(ratios[3] - 1) > 1e-4


def test_a_run_leaves_report_samples_and_metrics(finished):
    workdir, _, _ = finished
    report = (workdir / "report.md").read_text()
    assert "pass@1" in report and "report.png" in report
    assert (workdir / "report.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (workdir / "samples").iterdir()} == {
        *("update_000000.txt", "update_000002.txt")
    }
    rows = read_jsonl(workdir / "metrics.jsonl")
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert ["reward" in row for row in rows] == [True, False, True, False]
    assert {"loss", "grad_norm", "kl", "clip_fraction", "lr"} <= rows[1].keys()
    assert any(row["grad_norm"] > 0 for row in rows)
    evals = [(row["update"], row["split"]) for row in read_jsonl(workdir / "eval.jsonl")]
    assert evals == [
        *((0, "test"), (0, "ood"), (2, "validation")),
        *((4, "validation"), (4, "test"), (4, "ood")),
    ]


def test_the_model_it_leaves_is_the_policy(finished, summary, nano_base):
    workdir, _, _ = finished
    weights, _, tokenizer = load_model(str(workdir / "model"))
    base, _, base_tokenizer = load_model(str(nano_base))
    assert digest(weights) == summary["weights_sha256"] != digest(base)
    assert tokenizer.model == base_tokenizer.model


def test_the_reference_is_replaced_every_third_update(finished, nano_base):
    _, states, _ = finished
    base = digest(load_model(str(nano_base))[0])
    assert states[1][1] == states[2][1] == base
    assert states[3][0] == states[3][1] == states[4][1] != states[4][0]


def test_a_stage_takes_effect_at_the_next_rollout(finished, trainer, config):
    _, _, draws = finished
    players = trainer(config).players
    # before: test, ood; rollout; validation; rollout; validation; after: test, ood
    caps = [cap for _, cap, _ in draws]
    assert caps == [6, 6, 6, 10, 10, 10, 10, 10]
    assert all(length <= cap for _, cap, length in draws) and draws[4][2] > 6
    who = [player for player, _, _ in draws]
    assert who[2] is players[1.0] and who[4] is players[0.8]
    assert all(who[i] is trainer(config).exam.examiner for i in (0, 1, 3, 5, 6, 7))
    # prefill, begin, resize, advance
    assert [players[t].sampler.n_compiled for t in (1.0, 0.8)] == [4, 4]


def test_stopped_and_resumed_is_the_uninterrupted_run(
    finished, summary, config, run, tmp_path, monkeypatch
):
    scores, save = {}, Checkpointer.save

    def noted(self, step, state, extra, meta, score):
        scores[step] = score
        save(self, step, state, extra, meta, score)

    monkeypatch.setattr(Checkpointer, "save", noted)
    # 1 and 3 lie between the minibatches of a rollout, and on no update that saves by itself
    for update in (1, 2, 3):
        with pytest.raises(Stopped, match=f"SIGTERM: saved update {update} of 4"):
            run(config, tmp_path, stop_after=update)
    run(config, tmp_path)
    for name in SAME_BYTES:
        assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes(), name
    # a score belongs to the weights it was measured on
    assert {step for step, score in scores.items() if score is not None} == {2, 4}
    resumed = json.loads((tmp_path / "summary.json").read_text())
    for key in ("weights_sha256", "tokens", "before", "after", "max_logp_gap"):
        assert resumed[key] == summary[key], key


def test_a_checkpoint_with_another_rollout_is_refused():
    with pytest.raises(
        ValueError, match=r"has the arrays \['advantages', 'tokens'\], wanted \['adv"
    ):
        r1_zero.in_progress({"tokens": np.zeros(1), "advantages": np.zeros(1)})
    assert r1_zero.in_progress({}) is None


def test_the_same_command_after_the_end_changes_no_result(finished, summary, config, run, tmp_path):
    workdir = tmp_path / "again"
    shutil.copytree(finished[0], workdir)
    run(config, workdir)
    for name in SAME_BYTES:
        assert (workdir / name).read_bytes() == (finished[0] / name).read_bytes(), name
    assert json.loads((workdir / "summary.json").read_text())["after"] == summary["after"]


def test_a_resumed_run_refuses_another_config(finished, config, run, tmp_path):
    workdir = tmp_path / "other"
    shutil.copytree(finished[0], workdir)
    weights = config.reward.weights | {"format": 0.5}
    other = dataclasses.replace(config, reward=dataclasses.replace(config.reward, weights=weights))
    with pytest.raises(ValueError, match=r"reward\.weights\.format: checkpoint 1\.0, now 0\.5"):
        run(other, workdir)


@pytest.mark.parametrize("kind", ["rule", "format_only"])
def test_the_other_arms_pay_an_ignorant_base_nothing(kind, config, run, tmp_path):
    reward = dataclasses.replace(config.reward, kind=kind)
    arm = dataclasses.replace(config, reward=reward)
    run(arm, tmp_path)
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    assert [row["zero_variance_groups"] for row in (rows[0], rows[2])] == [1, 1]
    assert [row["reward"] for row in (rows[0], rows[2])] == [0, 0]


def test_the_random_arm_pays_half_its_samples_whatever_they_say(finished):
    rows = read_jsonl(finished[0] / "metrics.jsonl")
    assert all(0.2 < row["reward"] < 0.8 for row in (rows[0], rows[2]))
    assert all(row["accuracy"] == row["format"] == 0 for row in (rows[0], rows[2]))


def test_an_arm_pays_for_its_parts_alone(config, trainer):
    text = "<think>7+5≡2 ok</think><answer>2</answer>"
    problems = [trainer(config).splits["train"][0]._replace(answer=answer) for answer in "23"]
    totals = {}
    for kind in ("rule", "format_only", "random"):
        weights = config.reward.weights | {"accuracy": 2.0, "format": 0.5}
        reward = dataclasses.replace(config.reward, kind=kind, weights=weights)
        rewarder = trainer(dataclasses.replace(config, reward=reward)).rewarder
        said = [Completion(text, False, problem, 9, False) for problem in problems]
        totals[kind] = [score.total for score in rewarder(said, first=0, seed=0, cap=10)]
        coins = [
            [s.total for s in rewarder(said, first=0, seed=seed, cap=10)] for seed in range(20)
        ]
    assert totals["rule"] == [2.5, 0.5] and totals["format_only"] == [0.5, 0.5]
    assert len({tuple(c) for c in coins}) == 4  # fresh coins at every step


def test_a_rollout_used_once_needs_no_second_pass(config, run, tmp_path):
    grpo = dataclasses.replace(config.grpo, minibatches=1, kl_coef=0.0, micro_tokens=0)
    evaluation = dataclasses.replace(
        config.evaluation, every_updates=0, validation=0, test=0, ood=0
    )
    once = dataclasses.replace(
        config,
        updates=1,
        grpo=grpo,
        evaluation=evaluation,
        stages=config.stages[:1],
        checkpoint=dataclasses.replace(config.checkpoint, keep_best=0),
    )
    run(once, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["before"] is None and summary["after"] is None
    assert 0 < summary["max_logp_gap"] <= 1e-4
    (row,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert row["ratio"] == 1 and row["clip_fraction"] == 0 and row["logp_gap_mean"] > 0
    assert not (tmp_path / "eval.jsonl").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updates": 3}, "updates 3 are no multiple of the 2 per rollout"),
        ({"stages": ()}, "stages must start at 0"),
        ({"stages": (r1_zero_config.StageConfig(1, 4, 1.0, ()),)}, "stages must start at 0"),
        (
            {"stages": (r1_zero_config.StageConfig(0, 99, 1.0, ()),)},
            "are 163 tokens, the largest.* 80",
        ),
        (
            {"stages": tuple(r1_zero_config.StageConfig(u, 4, 1.0, ()) for u in (0, 1, 2))},
            r"no rollout of the 4 updates \(2 a rollout\).*from update \[1\]",
        ),
    ],
)
def test_configs_that_cannot_run_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_an_exam_batch_that_a_mesh_does_not_divide_is_refused(config):
    evaluation = dataclasses.replace(config.evaluation, batch=1)
    with pytest.raises(ValueError, match=r"evaluation\.batch 1 does not divide by mesh .* = 2"):
        dataclasses.replace(config, mesh=MeshConfig(2, 1, 1), evaluation=evaluation)


def test_a_best_checkpoint_needs_an_exam(config):
    for change in ({"every_updates": 0}, {"validation": 0}):
        evaluation = dataclasses.replace(config.evaluation, **change)
        with pytest.raises(ValueError, match="no checkpoint would have a score"):
            dataclasses.replace(config, evaluation=evaluation)


def test_a_run_cut_short_and_grown_is_the_same_run(config, run, summary, tmp_path, capsys):
    """Its cadences and its second stage lie beyond the 2 updates; more updates need no leave."""
    late = dataclasses.replace(config.stages[1], from_update=2)
    whole = dataclasses.replace(
        config,
        stages=(config.stages[0], late),
        evaluation=dataclasses.replace(config.evaluation, every_updates=20),
        checkpoint=dataclasses.replace(config.checkpoint, every_updates=20),
    )
    run(dataclasses.replace(whole, updates=2), tmp_path)
    assert (
        "2 updates are fewer than evaluation.every_updates 20 and checkpoint.every_updates 20: done"
        " after the last update alone; stages from update [2] on: not reached\n"
    ) in capsys.readouterr().out
    rows = read_jsonl(tmp_path / "eval.jsonl")
    assert [(row["update"], row["split"]) for row in rows if row["split"] == "validation"] == [
        (2, "validation")
    ]
    run(whole, tmp_path)
    grown = json.loads((tmp_path / "summary.json").read_text())
    assert grown["steps"] == 4 and grown["weights_sha256"] == summary["weights_sha256"]


def test_a_sample_cut_off_trains_nothing_but_keeps_its_reward():
    valid_PG, truncated_B = np.array([[True, True], [False, True]]), np.array([0, 1, 0, 0], bool)
    keep_B = r1_zero_rollout.trained_samples(valid_PG, truncated_B, mask_truncated=True)
    assert keep_B.tolist() == [True, False, False, True]
    assert valid_PG.tolist() == [[True, True], [False, True]], "what the reward is averaged over"
    whole_B = r1_zero_rollout.trained_samples(valid_PG, truncated_B, mask_truncated=False)
    assert whole_B.tolist() == [True, True, False, True]


def test_learnables_mask_what_does_not_count(config):
    mask_BT = np.array([[0, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 1]], bool)
    arrays = {name: np.ones((4, 3), np.float32) for name in Sequences._fields}
    sequences = Sequences(**{**arrays, "mask_BT": mask_BT})
    likelihoods = r1_zero_rollout.Likelihoods(sequences, np.full((4, 3), -2.0), {})
    rewards_PG, advantages_PG = np.zeros((2, 2)), np.array([[1.0, -1.0], [0.0, 2.0]])
    valid_PG, truncated_B = np.array([[True, True], [False, True]]), np.array([0, 1, 0, 0], bool)
    scores = r1_zero_rollout.Scores(rewards_PG, valid_PG, advantages_PG)
    grpo = dataclasses.replace(config.grpo, mask_truncated=True)
    judged = r1_zero_rollout.learnables(likelihoods, scores, truncated_B, grpo)
    kept_B = np.array([True, False, False, True])
    np.testing.assert_array_equal(judged.mask_BT, mask_BT & kept_B[:, None])
    np.testing.assert_array_equal(judged.advantages_B, [1, -1, 0, 2])
    assert judged.advantages_B.dtype == np.float32 and (judged.ref_logp_BT == -2).all()
    for name in ("tokens_BT", "segments_BT", "old_logp_BT", "routes_LBTK"):
        assert getattr(judged, name) is getattr(sequences, name), name


@pytest.mark.parametrize("kind", ["r1_zero", "sft", "distill", "reward_model"])
def test_weights_in_training_are_float32(kind):
    c = importlib.import_module(f"configs.{kind}").get_config()
    c.execution.param_dtype = "bfloat16"
    with pytest.raises(ValueError, match=r"execution\.param_dtype: got 'bfloat16', wanted 'floa"):
        configs.build(table.PIPELINES[kind][0], c.to_dict())


@pytest.mark.parametrize("key", ["group_size", "prompts_per_rollout", "minibatches"])
def test_no_change_allowed_to_the_config_may_change_a_rollout(key, config, trainer):
    fixed = trainer(config).fixed
    check_unchanged(fixed, {**fixed, "phases": {}})
    name = {"minibatches": "updates_per_rollout"}.get(key, key)
    with pytest.raises(ValueError, match=f"resume: {name}: the checkpoint has 1, this run"):
        check_unchanged(fixed, {**fixed, name: 1})


def test_changed_data_are_noticed_on_resume(tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text('{"q": "1+1?", "a": "2"}\n')
    rows = {
        name: data.rows(str(tmp_path / f"{name}.jsonl"), question="q", answer="a")
        for name in ("train", "test")
    }
    files = data.files(**rows, validation=1)
    task = configs.build(tasks.TaskConfig, data.task(questions=files))
    before = tasks.files_digest(task)
    assert before == tasks.files_digest(task)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"q": "1+2?", "a": "3"}\n')
    assert tasks.files_digest(task) != before


def test_every_prompt_of_the_run_is_checked_before_any_work(config, trainer):
    shared = trainer(config)
    drawn = sorted({i for number in range(2) for i in shared.drawn(number)})
    short, long = shared.splits["train"][0], "from 1 " * 40

    class Source:
        def __init__(self, at: int):
            self.at = at

        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int):
            return short._replace(id=f"t-{index}", question=long if index == self.at else "?")

    class Fake(r1_zero.Trainer):
        def __init__(self, train):
            self.config, self.exam, self.data = config, shared.exam, shared.data
            self.splits = shared.splits | {"train": train}

    never = next(i for i in range(64) if i not in drawn)
    Fake(Source(never)).check()
    with pytest.raises(ValueError, match=f"train: problem t-{drawn[-1]}.* largest bucket 64"):
        Fake(Source(drawn[-1])).check()


def test_a_split_too_small_for_the_evaluation_is_named(config, trainer):
    shared = trainer(config)
    splits = shared.exam.splits
    try:
        shared.exam.splits = {k: v for k, v in splits.items() if k != "ood"}
        with pytest.raises(ValueError, match=r"evaluation\.ood: 2 problems wanted, 0 there"):
            shared.check()
    finally:
        shared.exam.splits = splits


def test_tables_of_samples_show_every_problem_first():
    parts = {"accuracy": 0.0, "format": 0.0}
    scores = [Score(float(b), parts, "", False, None) for b in range(8)]
    answered = Answered([], ["p"] * 8, ["c"] * 8, scores, np.arange(8), np.zeros(8, bool), 0.0)
    rows = r1_zero_rollout._table(answered, np.zeros((2, 4), np.float32), 3)
    assert [row.reward for row in rows] == [0, 1, 4]


def general_stages(config, *, from_update: int) -> tuple[r1_zero_config.StageConfig, ...]:
    first, _ = config.stages
    early = dataclasses.replace(first, from_update=0, sources=("world",))
    late = dataclasses.replace(first, from_update=from_update, sources=("world", "general"))
    return early, late


@pytest.fixture
def mixed(config) -> r1_zero_config.R1ZeroConfig:
    """Reasoning first, then general prompts too, judged by a reward model."""
    general = {"general": configs.build(SourceConfig, GENERAL)}
    task = dataclasses.replace(config.task, sources={**config.task.sources, **general})
    weights = {**config.reward.weights, "helpfulness": 2.0}
    reward = dataclasses.replace(config.reward, kind="rule", weights=weights)
    preference = PreferenceConfig(config.base, "helpful", "sigmoid", (80,), 4)
    return dataclasses.replace(
        config,
        task=task,
        reward=reward,
        preferences={"helpfulness": preference},
        stages=general_stages(config, from_update=2),
    )


GENERAL = data.requests(weight=3.0, train=50, validation=0, test=0, seed=0, kinds=("fact", "copy"))


class Lengths:
    """Stands in for a reward model: the longer, the better."""

    def __init__(self, directory, *, how, mesh, buckets, batch):
        self.directory = directory

    weights = None

    def encoded(self, questions, replies, opened):
        assert len(questions) == len(replies) == len(opened) > 0
        return [[0] * len(text) for text in replies]

    def ids(self, weights, texts, *, tell):
        return [float(len(ids)) for ids in texts]


def test_general_prompts_come_late_with_their_reward_model(
    mixed, run, trainer, tmp_path, monkeypatch
):
    monkeypatch.setattr(reward_models, "RewardScorer", Lengths)
    monkeypatch.setattr(r1_zero_trainer, "fingerprint", lambda directory: "what it is made of")
    asked, read = [], Examiner.read

    def noted(self, rollout, problems, **how):
        answered = read(self, rollout, problems, **how)
        asked.append([(p.kind, s) for p, s in zip(answered.problems, answered.scores, strict=True)])
        return answered

    monkeypatch.setattr(Examiner, "read", noted)
    exams = dataclasses.replace(mixed.evaluation, every_updates=0, test=0, ood=0)
    checkpoint = dataclasses.replace(mixed.checkpoint, keep_best=0)
    final = dataclasses.replace(mixed, evaluation=exams, checkpoint=checkpoint)
    run(final, tmp_path)
    first, second = asked
    assert {kind for kind, _ in first} == {"maths"}
    assert "helpful" in {kind for kind, _ in second}
    for kind, score in [*first, *second]:
        assert ("helpfulness" in score.parts) == (kind == "helpful")
        if kind == "helpful":
            assert 0.5 <= score.parts["helpfulness"] <= 1 and score.parts["accuracy"] == 0
            weighed = (mixed.reward.weights[name] * value for name, value in score.parts.items())
            assert score.total == pytest.approx(sum(weighed))
    early, late = (read_jsonl(tmp_path / "metrics.jsonl")[i] for i in (0, 2))
    assert "helpfulness" not in early and late["helpfulness"] is not None
    fixed = trainer(final).fixed
    assert fixed["reward_models"] == {"helpfulness": "what it is made of"}
    monkeypatch.setitem(fixed, "reward_models", {"helpfulness": "something else"})
    with pytest.raises(ValueError, match=r"resume: reward_models: .*'something else'"):
        run(final, tmp_path)


def test_a_stage_asks_its_own_sources_in_their_shares(mixed, monkeypatch):
    monkeypatch.setattr(reward_models, "RewardScorer", Lengths)
    trainer = r1_zero.Trainer(mixed, None)
    general = trainer.data.sizes[0]
    assert trainer.data.names == ("general", "world") and general == 50
    early = [i for i in trainer.drawn(0)]
    late = [i for n in range(1, 21) for i in trainer.drawn(n)]
    assert min(early) >= general
    share = sum(i < general for i in late) / len(late)
    assert share == pytest.approx(0.75, abs=0.06)
    alone = mixed_indices((trainer.data.sizes[1],), (1.0,), seed=mixed.seed, step=0, batch=2)
    assert early == [general + i for i in alone]
    trainer.close()


def test_stages_name_sources_that_are_there_and_leave_none_out(mixed):
    first, second = mixed.stages
    for sources, message in ((("moon",), r"unknown sources \['moon'\]"), (("world",), "general")):
        late = dataclasses.replace(second, sources=sources)
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(mixed, stages=(first, late))


def test_a_source_that_no_rollout_asks_is_refused(mixed):
    rare = dataclasses.replace(mixed.task.sources["general"], weight=0.01)
    task = dataclasses.replace(mixed.task, sources={**mixed.task.sources, "general": rare})
    with pytest.raises(ValueError, match=r"from update 2 on none .* asks .* \['general'\]"):
        dataclasses.replace(mixed, task=task)


def test_prompts_that_nothing_can_judge_are_refused(mixed, monkeypatch):
    monkeypatch.setattr(reward_models, "RewardScorer", Lengths)
    harmless = dataclasses.replace(mixed.preferences["helpfulness"], judges="harmless")
    trainer = r1_zero.Trainer(
        dataclasses.replace(mixed, preferences={"helpfulness": harmless}), None
    )
    with pytest.raises(ValueError, match=r"kind 'helpful', which no rule .* judge \['harmless'\]"):
        trainer.check()
    trainer.close()


def test_reward_models_and_their_weights_come_together(mixed):
    reward = dataclasses.replace(mixed.reward, weights=dict(mixed.reward.weights, kindness=1.0))
    with pytest.raises(ValueError, match=r"weights: got .*'kindness'.*, wanted"):
        dataclasses.replace(mixed, reward=reward)
    with pytest.raises(ValueError, match=r"weights: got .*'helpfulness'.*, wanted"):
        dataclasses.replace(mixed, preferences={})


def test_a_reply_too_long_for_its_reward_model_is_an_error(mixed, monkeypatch):
    monkeypatch.setattr(reward_models, "RewardScorer", Lengths)
    preference = reward_models.Preference(
        mixed.preferences["helpfulness"], how=mixed.execution, mesh=None
    )
    source = RequestSource("train", size=3, seed=0, kinds=("fact",))
    texts = ["green", "x" * 81, "x" * 80]
    completions = [Completion(t, False, source[i], 5, False) for i, t in enumerate(texts)]
    values = preference(completions)
    assert [math.isnan(value or 0.0) for value in values] == [False, True, False]
    rewarder = Rewarder(mixed.reward, learned={"helpfulness": preference})
    scores = rewarder(completions, first=0, seed=0, cap=10)
    rewarder.close()
    assert [score.error for score in scores] == [False, True, False]
    assert "NOT JUDGED by ['helpfulness']" in scores[1].reason
    assert all(math.isfinite(score.total) for score in scores)


def test_buckets_of_a_reward_model_hold_the_longest_sample(mixed):
    small = dataclasses.replace(mixed.preferences["helpfulness"], buckets=(70,))
    with pytest.raises(ValueError, match=r"largest bucket is 70, wanted more than the 70 tokens"):
        dataclasses.replace(mixed, preferences={"helpfulness": small})
