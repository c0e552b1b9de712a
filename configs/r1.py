"""DeepSeek-R1, whole, with the paper's values (arXiv:2501.12948): from a base to its students.

    base ─RL→ zero ─samples→ cold start        base ─SFT→ dev1 ─RL, + language→ dev2
    dev2 ─rejection sampling, + general data→  base ─SFT→ dev3 ─RL, + reward models→ r1
    the same data                              student base ─SFT→ student

It needs DeepSeek-V3's base, a student's base, questions with answers (by domain), general requests,
non-reasoning data and evaluation sets, as the paths below name them. What the paper does not
publish is said where its value stands: configs/r1_zero.py, sft.py, sample.py, reward_model.py.
configs/r1_tiny.py runs these stages on the synthetic world, which writes its general data and
judges its harmful requests itself.

python -m r1jax.main --config=configs/r1.py --workdir=runs/r1      # goes on where it stopped
python -m r1jax.main --config=configs/r1.py --workdir=runs/r1 --config.only=dev1
python -m r1jax.main --config=configs/lineage.py --workdir=runs/check --config.path=runs/r1
"""

from typing import Any

import ml_collections

from configs import (
    blocks,
    cold_start,
    data,
    preference_model,
    r1_zero,
    reward_model,
    rewards,
    sample,
    sft,
)

BASE, STUDENT = "checkpoints/deepseek_v3_base", "checkpoints/qwen2_5_math_7b"
Blocks = dict[str, ml_collections.ConfigDict]

# name -> what it does, in one sentence
STAGES = {
    "zero": "R1-Zero: reasoning by RL alone, from the base",
    "zero_samples": "samples of R1-Zero, judged",
    "few_shot": "samples of the base that was shown an example, judged",
    "cold_start": "the right and readable ones, rewritten to the layout that readers want",
    "dev1": "cold start: the base fine-tuned on them",
    "dev2": "reasoning RL with the language reward",
    "dev2_without_language": "the same without the language reward",
    "general": "non-reasoning data: requests and a writer's replies",
    "rejection": "samples of Dev2, the right and readable kept, mixed with non-reasoning data",
    "dev3": "the base, again, fine-tuned on these",
    "candidates": "replies of Dev3 to general requests",
    "pairs": "which of two replies is the more helpful, by four judgements",
    "helpful_rm": "reward model of helpfulness, on the summary",
    "harm_samples": "replies to harmful requests",
    "labels": "which of them are safe",
    "safety_rm": "reward model of harmlessness, on the whole output",
    "r1": "RL for all scenarios: rules, and reward models in the last part",
    "student": "distillation: a dense base fine-tuned on the same samples of Dev2",
    "student_rl": "the same base by RL alone, with about as many samples",
}
OPTIONAL = ("dev2_without_language", "student_rl")
# data stage -> its training file or folder
TRAINED_ON = {
    "cold_start": "sft",
    "general": "rows.jsonl",
    "rejection": "sft",
    "pairs": "pairs.jsonl",
    "labels": "labelled.jsonl",
}
# column of the report -> model stage
MODELS = {
    "Zero": "zero",
    "Dev1": "dev1",
    "Dev2": "dev2",
    "Dev2 without language": "dev2_without_language",
    "Dev3": "dev3",
    "R1": "r1",
    "Student": "student",
    "Student by RL": "student_rl",
}


def asked(block: dict) -> dict:
    """A source of questions that are only asked in exams."""
    return data.files(train=block, test=block)


def exam(source: dict, measure: str, *, first: int) -> dict:
    """A part of `config.exams`: so many questions of a source, and what is measured on them."""
    return dict(source=source, split="test", first=first, measure=measure)


def assess() -> ml_collections.ConfigDict:
    """Measures a model on everything that the stages change; the same for all of them."""
    z = r1_zero.get_config()
    c = ml_collections.ConfigDict()
    c.pipeline = "assess"
    c.seed = -1
    c.name = c.model = ""
    c.prompt = z.prompt
    c.exams = dict(
        reasoning=exam(asked(data.math500("data/math500.jsonl")), "accuracy", first=500),
        general=exam(asked(data.mmlu("data/mmlu.jsonl")), "accuracy", first=1_000),
    )
    c.form = "reasoning"
    c.samples = c.samples_at_once = 4
    c.batch = 64
    c.max_new_tokens = 32_768
    c.prompt_buckets = (256, 512, 1024, 2048)
    c.sampler = blocks.sampler(temperature=0.6, top_p=0.95, cache_segments=8)
    c.reward = rewards.get_config()
    c.reward.format = "think"
    c.reward.judge.places = ("boxed", "answer_tag")
    c.own_format = "think"  # R1's layout, of what SFT made; of what RL made its reward's
    c.preferences = ml_collections.ConfigDict()
    c.level = 0.95
    c.execution = blocks.inference()
    c.mesh = dict(data=1, expert=1, model=1)
    return c


def reasoning_rl(base: str) -> ml_collections.ConfigDict:
    """RL of the layout that R1 has: a thought, then a summary with the answer in a box."""
    c = r1_zero.get_config()
    c.seed = -1
    c.base = base
    c.prompt.template = "r1"
    c.reward.format = "think"
    c.reward.judge.places = ("boxed", "answer_tag")
    c.reward.weights.language = 1.0  # added directly; its weight is not published
    c.grpo.clip_low = c.grpo.clip_high = 10.0  # epsilon of the first RL stage
    c.stages = c.stages[:1]  # 65,536 tokens are R1-Zero's alone
    c.length_buckets = (4096, 8192, 16_384, 34_816)
    return c


def sampled(model: str) -> ml_collections.ConfigDict:
    """Samples of a model, judged as the RL stages judge."""
    c = sample.get_config()
    c.seed = -1
    c.model = model
    c.prompt.template = "r1"
    c.task = data.task(
        math=data.files(train=data.rows("data/math.jsonl")),
        code=data.files(
            train=data.rows(
                "data/code.jsonl",
                answer="",
                kind="code",
                reference=dict(inputs="inputs", outputs="outputs"),
            )
        ),
        stem=data.files(train=data.rows("data/stem.jsonl", options="options", kind="choice")),
        logic=data.files(train=data.rows("data/logic.jsonl")),
        decontamination=_exams(),
    )
    c.prompts = dict(math=26_000, code=17_000, stem=22_000, logic=15_000)  # v2, table 4
    c.samples = c.samples_at_once = 16  # not published
    c.batch, c.max_new_tokens = 64, 32_768
    c.prompt_buckets = (256, 512, 1024, 2048)
    c.sampler.update(cache_segments=8)
    c.execution.update(param_dtype="bfloat16", compute_dtype="bfloat16", dispatch="ragged")
    c.reward.format = "think"
    c.reward.judge.places = ("boxed", "answer_tag")
    return c


def unfiltered(c: ml_collections.ConfigDict) -> None:
    """Keeps every sample: they are candidates, judged later."""
    c.filters.update(
        finished=False,
        correct=False,
        format=False,
        language=None,
        repetition=None,
        paragraph=None,
        no_code=False,
        thought=None,
    )
    c.keep = c.samples


def tuned(base: str, path: str) -> ml_collections.ConfigDict:
    c = sft.get_config()
    c.seed = -1
    c.base = base
    c.data = dict(rows=sft.rows(path))
    return c


def get_blocks() -> Blocks:
    """The config of every stage, by name, with the paper's values."""
    b: Blocks = {}
    b["zero"] = r1_zero.get_config()
    b["zero"].update(seed=-1, base=BASE)
    b["zero_samples"] = sampled("stage:zero/model")
    b["zero_samples"].prompt.template = "r1_zero"
    b["zero_samples"].reward.format = "think_answer"
    b["few_shot"] = sampled(BASE)
    b["few_shot"].prompts = dict(math=1_000)
    b["few_shot"].prompt.update(
        template="r1_zero",
        examples=(
            dict(
                question="What is 17 + 25?",
                reply="<think>17 + 25 = 42. Check: 42 - 25 = 17.</think><answer>42</answer>",
            ),
        ),
    )
    b["few_shot"].reward.format = "think_answer"
    unfiltered(b["few_shot"])  # cold_start reads all of them, and filters
    b["cold_start"] = cold_start.get_config()
    b["cold_start"].update(seed=-1, task=b["zero_samples"].task)
    b["cold_start"].inputs = dict(
        zero=cold_start.given("stage:zero_samples/answers.jsonl"),
        few_shot=cold_start.given("stage:few_shot/answers.jsonl"),
    )
    b["dev1"] = tuned(BASE, "stage:cold_start/sft")
    b["dev2"] = reasoning_rl("stage:dev1/model")
    b["dev2_without_language"] = reasoning_rl("stage:dev1/model")
    b["dev2_without_language"].reward.weights.language = 0.0
    b["rejection"] = sampled("stage:dev2/model")
    b["rejection"].update(keep=8)
    b["rejection"].mixture = dict(general=sample.mixed("data/non_reasoning", share=0.25))
    b["dev3"] = tuned(BASE, "stage:rejection/sft")
    b["candidates"] = sampled("stage:dev3/model")
    b["candidates"].task = data.task(
        helpful=data.files(train=data.rows("data/helpful.jsonl", answer="", kind="helpful")),
        decontamination=_exams(),
    )
    b["candidates"].prompts = dict(helpful=66_000)
    b["candidates"].samples = b["candidates"].samples_at_once = 4
    unfiltered(b["candidates"])
    b["pairs"] = preference_model.get_config()
    b["pairs"].update(seed=-1, input="stage:candidates/answers.jsonl")
    b["helpful_rm"] = reward_model.get_config()
    b["helpful_rm"].update(seed=-1, base="stage:dev3/model", data="stage:pairs/pairs.jsonl")
    b["safety_rm"] = reward_model.get_config()
    b["safety_rm"].update(  # 106,000 labelled replies: people's, not a model's
        seed=-1,
        base="stage:dev3/model",
        data="data/labelled.jsonl",
        kind="labels",
        sees="all",
        balance_lengths=False,
    )
    b["r1"] = all_scenario_rl("stage:dev3/model")
    b["student"] = tuned(STUDENT, "stage:rejection/sft")
    b["student"].prompt.template = "chat"  # its own: Qwen's tokenizer has no token for R1's turns
    b["student"].update(batch=64, micro_batches=64)  # v2, B.4.3
    b["student"].optimizer.lr = 8e-5  # of 7B; v2, table 6
    b["student_rl"] = reasoning_rl(STUDENT)
    b["student_rl"].prompt.template = "r1_zero"  # a base has never seen R1's layout
    b["student_rl"].reward.format = "think_answer"
    # of 512 samples each: as many as were drawn for the student's data
    b["student_rl"].updates = b["student_rl"].optimizer.total_updates = 2_496
    for name in ("zero", "dev2", "dev2_without_language", "student_rl"):
        b[name].task.decontamination = _exams()
    return b


def _exams() -> dict:
    """What no training question may meet."""
    return data.decontamination(
        math500=data.math500("data/math500.jsonl"), mmlu=data.mmlu("data/mmlu.jsonl")
    )


def all_scenario_rl(base: str) -> ml_collections.ConfigDict:
    """The second RL stage: general prompts and reward models in its last 400 of 1,700 updates."""
    c = reasoning_rl(base)
    c.updates = c.optimizer.total_updates = 1_696  # 1,700, in whole rollouts of 16 updates
    reasoning = c.task.sources["questions"]
    c.task = data.task(
        decontamination=_exams(),
        reasoning=reasoning,
        helpful=data.files(train=data.rows("data/helpful.jsonl", answer="", kind="helpful")),
        harmless=data.files(train=data.rows("data/harmful.jsonl", answer="", kind="harmless")),
    )
    sizes = dict(max_new_tokens=32_768, temperature=0.7)  # 1.0 gave incoherent text here
    c.stages = (
        dict(from_update=0, sources=("reasoning",), **sizes),
        dict(from_update=1_296, sources=("reasoning", "helpful", "harmless"), **sizes),
    )
    judged = dict(scale="sigmoid", buckets=(1024, 2048, 8192, 34_817), batch=64)  # not published
    c.preferences = dict(
        helpfulness=dict(model="stage:helpful_rm/model", judges="helpful", **judged),
        harmlessness=dict(model="stage:safety_rm/model", judges="harmless", **judged),
    )
    c.reward.weights.update(helpfulness=1.0, harmlessness=1.0)  # not published
    return c


def claim(name: str, statement: str, left: str, relation: str, right: str, **more: Any) -> dict:
    """left RELATION factor * right + offset."""
    known = dict(factor=1.0, offset=0.0) | more
    return dict(name=name, statement=statement, left=left, relation=relation, right=right, **known)


def get_claims() -> tuple[dict, ...]:
    """What the paper says of its stages, as far as the table can show it."""
    return (
        claim(
            "cold start, readability",
            "cold start makes replies readable",
            "Dev1.readability",
            ">",
            "Zero.readability",
        ),
        claim(
            "cold start, format",
            "and R1's layout, for which Zero was not paid",
            "Dev1.format",
            ">",
            "Zero.format",
        ),
        claim(
            "cold start, language",
            "cold start keeps to one language",
            "Dev1.language",
            ">",
            "Zero.language",
        ),
        claim(
            "cold start, reasoning",
            "and costs some reasoning at first",
            "Zero.reasoning",
            ">",
            "Dev1.reasoning",
        ),
        claim(
            "RL 1, reasoning", "reasoning RL recovers it", "Dev2.reasoning", ">", "Dev1.reasoning"
        ),
        claim(
            "language reward",
            "with the language reward consistency stays at 0.95 or above",
            "Dev2.language",
            ">=",
            "",
            offset=0.95,
        ),
        claim(
            "no language reward",
            "without it consistency falls below 0.85",
            "Dev2 without language.language",
            "<=",
            "",
            offset=0.85,
        ),
        claim(
            "SFT, reasoning",
            "SFT of the base keeps 90% of Dev2's reasoning",
            "Dev3.reasoning",
            ">=",
            "Dev2.reasoning",
            factor=0.9,
        ),
        claim(
            "SFT, general", "and restores the general tasks", "Dev3.general", ">", "Dev2.general"
        ),
        claim(
            "RL 2, reasoning",
            "and costs no more than 2 points of reasoning",
            "R1.reasoning",
            ">=",
            "Dev3.reasoning",
            offset=-0.02,
        ),
        claim(
            "distillation",
            "a distilled student beats the same student by RL",
            "Student.reasoning",
            ">",
            "Student by RL.reasoning",
        ),
    )


def preference_claims() -> tuple[dict, ...]:
    """What the last stage changes, where there is a truth to measure it by."""
    return (
        claim(
            "RL 2, helpfulness",
            "RL for all scenarios makes replies more helpful",
            "R1.helpfulness",
            ">",
            "Dev3.helpfulness",
        ),
        claim(
            "RL 2, safety",
            "RL for all scenarios makes outputs safer",
            "R1.safety",
            ">",
            "Dev3.safety",
        ),
    )


def assembled(
    blocks: Blocks,
    exam: ml_collections.ConfigDict,
    *,
    title: str,
    claims: tuple[dict, ...],
    n: int | None,
    what: dict[str, str] | None = None,
) -> ml_collections.ConfigDict:
    """The stages in order, each model measured right after it is made, the data looked through.

    An evaluation question is in training data if they are equal, or share n words in a row. What a
    stage does is told as in STAGES, or as in `what`.
    """
    told = {**STAGES, **(what or {})}
    stages, models = [], {}
    files = {name: f"stage:{name}/{place}" for name, place in TRAINED_ON.items() if name in blocks}
    files |= {
        name: b.data
        for name, b in blocks.items()  # a reward model's, from elsewhere
        if b.pipeline == "reward_model" and not b.data.startswith("stage:")
    }
    tasks = {name: b.task.to_dict() for name, b in blocks.items() if b.pipeline == "r1_zero"}
    tasks = {
        name: t for i, (name, t) in enumerate(tasks.items()) if t not in list(tasks.values())[:i]
    }
    asked = exam.to_dict()["exams"]
    clean = dict(
        pipeline="contamination",
        training=files,
        tasks=tasks,
        n=n,
        exams={name: {k: v for k, v in e.items() if k != "measure"} for name, e in asked.items()},
    )
    last = [name for name in blocks if name in TRAINED_ON][-1]
    for name, block in blocks.items():
        optional = name in OPTIONAL
        stages.append(dict(name=name, what=told[name], config=block.to_dict(), optional=optional))
        for column in [column for column, stage in MODELS.items() if stage == name]:
            measured = {**exam.to_dict(), "name": column, "model": f"stage:{name}/model"}
            measured["prompt"] = block.prompt.to_dict()  # as it was trained
            if "reward" in block:
                measured["own_format"] = block.reward.format
            stages.append(
                dict(
                    name=f"assess_{name}",
                    what=f"{column} examined",
                    config=measured,
                    optional=optional,
                )
            )
            models[column] = f"assess_{name}"
        if name == last:
            looked = "no evaluation question is in any training file, nor asked in RL"
            stages.append(dict(name="clean", what=looked, config=clean, optional=False))
    c = ml_collections.ConfigDict()
    c.pipeline = "r1"
    c.seed = 0
    c.stages = tuple(stages)
    c.only = ""
    c.report = dict(title=title, models=models, level=0.95, claims=claims)
    return c


def get_config() -> ml_collections.ConfigDict:
    return assembled(get_blocks(), assess(), title="DeepSeek-R1", claims=get_claims(), n=10)
