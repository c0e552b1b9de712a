import errno
import fcntl
import importlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from absl import app, flags
from absl import logging as absl_logging
from absl.testing import flagsaver

from r1jax import config as configs
from r1jax import main
from r1jax.config import MissingPackage, UserError
from r1jax.data.world.sums import WorldSource
from r1jax.io.lock import LOCK
from r1jax.io.loop import Stopped
from r1jax.pipelines import pretrain, table
from r1jax.pipelines.r1_zero import run as r1_zero
from r1jax.pipelines.recipe import config as r1_config

ROOT = Path(__file__).parents[1]
NANO = ROOT / "tests" / "pipelines" / "nano_r1_zero.py"
IDLE = "warning: the mesh uses 1 of 4 devices; one of its axes as -1 takes all\n"  # of conftest.py
PARTS = {
    "__init__.py",
    "blocks.py",
    "conversations.py",
    "data.py",
    "rewards.py",
}  # blocks of runs, no runs
FILES = [
    path.relative_to(ROOT)
    for path in sorted((ROOT / "configs").glob("*.py"))
    if path.name not in PARTS
]


@pytest.fixture
def fails(monkeypatch, capsys, tmp_path, nano_base):
    """Runs main in this process, sees it exit with 2 before any work; returns what it said."""
    cache, handlers = jax.config.jax_compilation_cache_dir, logging.root.handlers[:]

    def of(*arguments: str, config: Path = NANO, workdir: Path = tmp_path / "run") -> str:
        given = [f"--config={config}", f"--workdir={workdir}"]
        if config == NANO and not any("config.base" in a for a in arguments):
            given.append(f"--config.base={nano_base}")
        argv = ["r1jax.main", *given, *arguments]
        monkeypatch.setattr(sys, "argv", argv)  # where ml_collections looks for overrides
        flags.FLAGS["verbosity"].present = 0
        for override in [name for name in flags.FLAGS if name.startswith("config.")]:
            delattr(flags.FLAGS, override)  # of an earlier call
        with pytest.raises(SystemExit) as stop:
            app.run(main.main, argv=argv, flags_parser=main.parse_flags)
        lines = capsys.readouterr().err.splitlines(keepends=True)
        error = "".join(line for line in lines if line != IDLE)
        assert stop.value.code == 2
        assert "Traceback" not in error and error.startswith("error: ")
        assert not list(workdir.glob("*.jsonl")) or workdir.is_file()
        return error

    yield of
    jax.config.update("jax_compilation_cache_dir", cache)
    logging.root.handlers[:] = handlers


def test_an_unknown_key_is_told_with_the_nearest(fails):
    said = fails("--config.grpo.clip_hihg=0.3")
    assert "--config.grpo.clip_hihg=0.3" in said and '"clip_high"' in said
    assert '"optimizer"' in fails("--config.optimzer.lr=1")


def test_an_unknown_pipeline_is_told_with_the_known(fails):
    said = fails("--config.pipeline=r1_zerro")
    assert "got 'r1_zerro', wanted one of ['assess', 'assistant_data'," in said
    assert "did you mean 'r1_zero'?" in said


def test_a_config_file_that_is_not_there_is_named(fails):
    assert "configs/nope.py" in fails(config=Path("configs/nope.py"))


def test_the_nearest_config_is_told(fails):
    error = fails(config=Path("r1_zero_tny"))
    assert "no such file or config; did you mean --config=r1_zero_tiny?" in error


@pytest.mark.parametrize("folder", ["checkout", "another"])
def test_the_command_runs_from_any_folder(folder, tmp_path):
    """A shipped config is named without a path; the list and the help exit with 0."""
    cwd = ROOT if folder == "checkout" else tmp_path
    command = [sys.executable, "-c", "from r1jax.main import cli; cli()"]

    def run(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        return subprocess.run(
            [*command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
        )

    named, helped = run("--config=list"), run("--help")
    assert named.returncode == helped.returncode == 0
    assert "r1jax --config=r1_zero_tiny --workdir=runs/demo" in helped.stdout
    runs = [line.split()[0] for line in named.stdout.splitlines()]
    assert sorted(runs) == sorted(path.stem for path in FILES)
    refused = run(
        "--config=r1_zero_tiny", f"--workdir={tmp_path / 'x'}", "--config.grpo.kl_coef=-1"
    )
    error = "error: config.grpo.kl_coef: got -1.0, wanted at least 0\n"
    assert (refused.returncode, refused.stderr) == (2, error)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("this"), 2),
        (FileNotFoundError("this"), 2),
        (MissingPackage("this"), 2),
        (OSError(errno.ENOSPC, "this"), 1),
        (OSError(errno.ESTALE, "this"), 1),
        (FloatingPointError("this"), 1),
        (RuntimeError("Unable to initialize backend 'cuda': this"), 2),
    ],
)
def test_the_exit_code_says_whose_fault_it_was(error, code, monkeypatch, capsys):
    def run(argv):
        raise error

    monkeypatch.setattr(main, "_run", run)
    flags.FLAGS.mark_as_parsed()
    flags.FLAGS["verbosity"].present = 0
    with pytest.raises(SystemExit) as stop:
        main.main([])
    assert stop.value.code == code
    assert re.fullmatch(r"error: .*this\n", capsys.readouterr().err)


def test_a_run_that_a_signal_stopped_has_a_code_of_its_own(monkeypatch, capsys):
    def run(argv):
        raise Stopped("SIGTERM: saved")

    monkeypatch.setattr(main, "_run", run)
    flags.FLAGS.mark_as_parsed()
    with pytest.raises(SystemExit) as stop:
        main.main([])
    assert stop.value.code == 3 and capsys.readouterr() == ("SIGTERM: saved\n", "")


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError, ImportError])
def test_a_fault_of_ours_keeps_its_trace(kind, monkeypatch):
    def run(argv):
        raise kind("a bug")

    monkeypatch.setattr(main, "_run", run)
    with pytest.raises(kind, match="a bug"):
        main.main([])


def test_arguments_that_nobody_reads_are_told(fails):
    assert "arguments that nobody reads: ['resume']" in fails("resume")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grpo.group_size=1", "config.grpo.group_size: got 1, wanted at least 2"),
        ("grpo.minibatches=3", "prompts_per_rollout 2 do not split into 3 minibatches"),
        ("mesh.data=3", "batches do not divide by mesh data x expert = 3"),
        ("updates=5", "updates 5 are no multiple of the 2 per rollout"),
        ("evaluation.batch=3", "validation 2 is no multiple of batch 3"),
        ("evaluation.consensus=3", "samples 16 are no multiple of consensus 3"),
        ("prompt_buckets=(8,)", "problem world/0:validation-0: sampler: prompt 0 has"),
        ("length_buckets=(70,)", "the longest prompt and completion are 74 tokens"),
        ("task.sources.world.world.train=0", "world, train: got size 0"),
        ("task.sources.world.world.test=1", "config.evaluation.test: 2 problems wanted, 1 there"),
        ("prompt.template=zero", "template: got 'zero', wanted one of"),
        ("prompt.template=r1", "needs the tokens ['<｜User｜>', '<｜Assistant｜>']"),
        ("prompt.template=chat", "this tokenizer has no chat template"),
        ("reward.places=('margin',)", "margin"),
        ("base=nowhere", "model nowhere: nowhere lacks ['config.json']"),
        ("base=package:nothing", "model package:nothing"),
        ("evaluation.level=95.0", "config.evaluation.level: got 95.0, wanted above 0 and below 1"),
        ("evaluation.samples=0", "config.evaluation.samples: got 0, wanted at least 1"),
        ("checkpoint.every_updates=0", "config.checkpoint.every_updates: got 0, wanted at least 1"),
        ("optimizer.max_skipped_in_a_row=0", "max_skipped_in_a_row: got 0, wanted at least 1"),
        ("reward.kind=rules", "config.reward.kind: got 'rules', wanted one of ['rule'"),
        ("optimizer.lr=nan", "config.optimizer.lr: got nan, wanted a finite number"),
    ],
)
def test_what_cannot_run_is_told_before_any_work(fails, override, message):
    assert message in fails(f"--config.{override}")


def test_a_workdir_that_cannot_be_written_is_named(fails, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert f"{file}: is a file, wanted a directory" in fails(workdir=file)
    assert "/proc/nowhere: cannot be written" in fails(workdir=Path("/proc/nowhere"))


def test_a_workdir_that_another_run_holds_is_refused(fails, tmp_path):
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7")
        lock.flush()
        assert f"workdir {tmp_path / 'run'}: held by process 7; wait" in fails()


def test_a_log_holds_warnings_and_our_own_lines_alone(fails):
    for asked, level in (([], logging.WARNING), (["--verbosity=0"], logging.INFO)):
        fails(*asked, "--config.base=nowhere")
        assert absl_logging.get_absl_logger().getEffectiveLevel() == level


def test_a_tokenizer_that_does_not_match_its_weights_is_named(fails, nano_base, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(nano_base, base)
    foreign = pretrain.train_sentencepiece((f"{i} foreign" for i in range(99)), vocab_size=300)
    (base / "tokenizer.model").write_bytes(foreign.model)
    assert "does not match config.json" in fails(f"--config.base={base}")
    (base / "tokenizer.model").write_bytes(b"no model")
    assert f"{base}/tokenizer.model is no sentencepiece model" in fails(f"--config.base={base}")


@pytest.fixture
def jsonl_config(tmp_path):
    """A config file whose questions stand in data.jsonl."""
    path = tmp_path / "from_file.py"
    path.write_text(
        f"""
import sys
sys.path.insert(0, {str(NANO.parent)!r})
import nano_r1_zero
from configs import data

def get_config():
    c = nano_r1_zero.get_config()
    c.base = {str(tmp_path / "base")!r}
    train, test = (
        data.rows({str(tmp_path)!r} + "/" + name, question="q", answer="a")
        for name in ("data.jsonl", "test.jsonl")
    )
    c.task = data.task(questions=data.files(train=train, test=test, validation=2))
    c.evaluation.ood = 0
    return c
"""
    )
    return path


def test_a_bad_line_of_a_data_file_is_told_by_its_number(
    fails, jsonl_config, nano_base, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copytree(nano_base, tmp_path / "base")
    four = [json.dumps({"q": f"{n}+1?", "a": n + 1}) for n in range(4)]
    good, data = four[0], tmp_path / "data.jsonl"
    (tmp_path / "test.jsonl").write_text('{"q": "7+1?", "a": 8}\n{"q": "8+1?", "a": 9}\n')
    for lines, message in (
        ([good, good, '{"q": "1+1?"'], "data.jsonl:3: "),
        ([good, '{"q": "1+1?"}'], "data.jsonl:2: answer: no field 'a'"),
        ([], "data.jsonl: empty, wanted at least one row"),
        ([good, good], "2 questions cannot spare 2 to validate"),
        ([*four, json.dumps({"q": "1 " * 99, "a": 2})], "data:5: sampler: prompt 0 has"),
        ([*four, json.dumps({"q": "1+1?", "a": "2" * 501})], "data:5: gold answer"),
    ):
        data.write_text("".join(line + "\n" for line in lines))
        assert message in fails(config=jsonl_config)
    data.unlink()
    assert "data.jsonl" in fails(config=jsonl_config)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_config_file_builds_without_touching_the_disk(path, monkeypatch):
    module = importlib.import_module(f"configs.{path.stem}")
    monkeypatch.setattr("builtins.open", None)
    kind = main.PIPELINES[module.get_config().pipeline].config
    values = module.get_config().to_dict()
    built = configs.build(kind, values)
    if isinstance(built, r1_config.R1Config):
        assert len(r1_config.build_stages(built, table.PIPELINES, Path("runs"))) > 20
    if "optimizer" in values:  # 0 stands for those of the run, where epochs make them
        assert values["optimizer"]["total_updates"] == values.get("updates", 0)


def test_control_arms_differ_from_the_demo_in_the_reward_alone():
    flat = {
        name: configs.flatten(importlib.import_module(f"configs.{name}").get_config().to_dict())
        for name in ("r1_zero_tiny", "r1_zero_random_tiny", "r1_zero_format_only_tiny")
    }
    demo = flat.pop("r1_zero_tiny")
    for arm in flat.values():
        assert {key for key in demo if demo[key] != arm[key]} == {"reward.kind"}
        assert demo.keys() == arm.keys()


def test_the_demo_asks_questions_that_fit_its_buckets():
    module = importlib.import_module("configs.r1_zero_tiny")
    config = configs.build(r1_zero.R1ZeroConfig, module.get_config().to_dict())
    task = config.task.sources["world"].world
    assert task is not None
    longest = max(
        len(
            WorldSource(split, size=200, seed=task.seed, search_share=task.search_share)[i].question
        )
        for split in ("train", "ood")
        for i in range(200)
    )
    assert longest < 64  # characters; a token has one at least, Chinese ones aside


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["--config=configs/r1_zero_tiny.py"], "error: --workdir is missing\n"),
        (["--config=configs/r1_zero_tiny.py", "--workdir=x", "--wrokdir=y"], "'wrokdir'"),
    ],
)
def test_flags_that_are_missing_or_unknown_are_told(arguments, want, capsys, monkeypatch):
    argv = ["r1jax.main", *arguments]
    monkeypatch.setattr(sys, "argv", argv)
    saved = flagsaver.save_flag_values()
    flags.FLAGS.unparse_flags()
    flags.FLAGS["workdir"].unparse()
    try:
        with pytest.raises(SystemExit) as stop:
            main.parse_flags(argv)
    finally:
        flagsaver.restore_flag_values(saved)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("error: ") and want in said


WRONG = {
    "r1_zero_tiny": (
        *("updates=0", "seed=-1", "cache_segments=0", "samples_every=0", "samples_shown=0"),
        *("optimizer.lr=-0.01", "optimizer.lr=inf", "optimizer.b1=1", "optimizer.b2=-0.1"),
        *("optimizer.eps=0", "optimizer.weight_decay=-1", "optimizer.clip_norm=0"),
        *("optimizer.warmup_updates=-1", "optimizer.total_updates=-1"),
        *("optimizer.final_lr_ratio=2", "optimizer.max_skipped_in_a_row=0"),
        *("grpo.kl_coef=-1", "grpo.kl_coef=nan", "grpo.clip_low=-1", "grpo.clip_high=-0.1"),
        *("grpo.group_size=1", "grpo.prompts_per_rollout=0", "grpo.minibatches=0"),
        *("grpo.epochs=0", "grpo.micro_batches=0", "grpo.constant=-1", "grpo.advantage_ddof=2"),
        *("grpo.advantage_eps=-1", "grpo.reference_every=-1", "grpo.balance=-1"),
        *("grpo.bias_rate=-1", "grpo.logit_chunk=0", "grpo.ratio=tokens"),
        *("mesh.data=0", "mesh.expert=-2", "mesh.model=0", "prompt_buckets=()"),
        *("length_buckets=(0,)", "reward.weights.accuracy=-1", "reward.repetition_n=0"),
        *("reward.kind=rules", "reward.format=xml", "reward.judge.workers=0"),
        *("reward.judge.memory_mb=1", "reward.judge.cpu_seconds=0", "reward.judge.places=()"),
        *("reward.judge.sandbox.memory_mb=1", "reward.judge.sandbox.wall_seconds=9999"),
        *("evaluation.samples=0", "evaluation.level=1", "evaluation.validation=-1"),
        *("evaluation.batch=0", "evaluation.consensus=3", "evaluation.every_updates=-1"),
        *("evaluation.sampler.temperature=-1", "evaluation.sampler.top_p=0"),
        *("evaluation.sampler.min_p=2", "evaluation.sampler.top_k=-1", "evaluation.test=1"),
        *("checkpoint.every_updates=0", "checkpoint.keep_last=0", "checkpoint.keep_best=-1"),
        *("execution.attention_block=-1", "execution.param_dtype=bfloat16", "base=nowhere"),
        *("task.sources.world.weight=0", "task.sources.world.world.search_share=2"),
        *("prompt.template=zero", "on_judge_error=ignore", "pipeline=r1", "optimzer.lr=1"),
    ),
    "sft": (
        *("epochs=0", "batch=0", "length=0", "packing_bins=0", "micro_batches=0"),
        *("validation=-1", "evaluate_every=-1", "loss.mtp=-1", "loss.logit_chunk=0"),
        *("reduction=mean", "too_long=cut", "optimizer.lr=-1", "base=nowhere"),
    ),
    "pretrain_tiny": (
        *("updates=0", "batch=0", "length=0", "corpus.documents=0", "tokenizer.vocab_size=0"),
        *("model.n_layers=0", "model.norm_eps=-1", "model.rope.theta=0", "evaluate_every=0"),
    ),
    "distill_tiny": (
        *("updates=0", "lam=2", "loss.temperature=0", "loss.beta=2", "samples_per_prompt=0"),
        *("way=online", "student=nowhere"),
    ),
    "generate": ("samples=0", "batch=0", "max_new_tokens=0", "prompt_buckets=()", "chunk=0"),
    "eval_tiny": ("samples=0", "ks=(0,)", "first=-1", "draws=0", "level=0", "model=nowhere"),
    "sample": ("keep=0", "shard_rows=0", "samples=0", "level=2"),
    "reward_model": ("validation=1", "margin=-1", "centre=-1", "epochs=0", "length_buckets=()"),
    "preference": ("margin=2.0", "judgements=0", "least_verdicts=0", "pairs_per_question=0"),
    "cold_start": ("per_question=0", "shard_rows=0", "seed=-1"),
    "judge": ("batch=0", "cap=0", "input=nowhere.jsonl"),
    "export": ("max_positions=0", "shard_megabytes=0", "model=nowhere"),
    "import_checkpoint": ("model=nowhere", "mesh.data=0"),
    "r1_tiny": ("seed=-1", "only=nothing", "report.level=1"),
    "lineage": ("path=nowhere", "pth=x"),
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in WRONG.items() for change in changes]
)
def test_wrong_input_is_one_line_and_leaves_nothing(name, change, fails, tmp_path):
    error = fails(f"--config.{change}", config=ROOT / "configs" / f"{name}.py")
    assert error.count("\n") == 1 and error.endswith("\n")
    assert {path.name for path in (tmp_path / "run").rglob("*")} <= {LOCK}


def test_there_are_at_least_111_kinds_of_wrong_input():
    assert sum(map(len, WRONG.values())) >= 111


def test_the_commands_of_readme_name_configs_and_keys_that_are_there():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^r1jax --config=(\w+)(.*?)(?: #|$)", text, re.MULTILINE)
    assert len(commands) >= 4
    for name, arguments in commands:
        values = importlib.import_module(f"configs.{name}").get_config().to_dict()
        for key in re.findall(r"--config\.([\w.]+)=", arguments):
            assert key in configs.flatten(values), key
        assert "--workdir=" in arguments
