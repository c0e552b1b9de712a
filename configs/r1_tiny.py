"""DeepSeek-R1, whole, on a laptop: the synthetic world, two CPU cores, within the hour.

python -m r1jax.main --config=configs/r1_tiny.py --workdir=runs/r1 [--config.seed=1]

The same command goes on where it stopped. The base models come from configs/pretrain_r1_tiny.py and
pretrain_r1_student_tiny.py; their corpus (`r1jax.data.world.corpus`) says what was planted.
"""

from typing import Any

import ml_collections

from configs import (
    blocks,
    data,
    preference,
    preference_labels,
    pretrain_r1_tiny,
    r1,
    r1_zero_tiny,
    sft,
)

BASE, STUDENT = "package:tiny_r1_base", "package:tiny_r1_student"
CAP, BUCKET = 128, 40  # tokens of a completion, of a prompt
SUMMARIES = dict(en="The last digit is \\boxed{{answer}}.", zh="个位是\\boxed{{answer}}。")
WORLD: dict[str, Any] = dict(
    train=100_000, validation=1_000, test=1_000, ood=0, seed=0, search_share=0.25
)
ASKED = ("fact", "translate", "copy", "sort", "advice")
# What the last RL asks. So small a reward model can hardly tell right lists from wrong ones: RL on
# all of ASKED paid for their style and made copies wrong (experiments/005_the_whole_recipe).
CHECKED = ("fact", "translate", "advice")
EXECUTION = blocks.on_cpu()
EXAMPLE = dict(  # in the target layout; one, for the base has seen no text longer than 100 tokens
    question="from 4 go +3 *9, last digit?",
    reply="<think>four plus three times nine is three check four plus three is seven and seven "
    "times nine is three ok</think>The last digit is \\boxed{3}.",
)


def _world() -> dict:
    return data.world(**WORLD)


def _requests(kinds: tuple[str, ...], *, train: int, test: int = 0) -> dict:
    return data.requests(train=train, validation=0, test=test, seed=0, kinds=kinds)


def _judged(c: ml_collections.ConfigDict) -> None:
    c.reward.judge.places = ("boxed", "answer_tag", "answer_line")


def _rl(c: ml_collections.ConfigDict, *, updates: int, cap: int) -> None:
    """As configs/r1_zero_tiny.py."""
    c.updates = c.optimizer.total_updates = updates
    c.prompt.template = "plain"
    c.task = data.task(world=_world())
    _judged(c)
    c.reflective_words = ("wait", "等等")
    c.stages = (dict(from_update=0, max_new_tokens=cap, temperature=1.0, sources=()),)
    c.prompt_buckets = (BUCKET,)
    c.length_buckets = (64, 96, 128, CAP + BUCKET)
    c.cache_segments = 2
    c.samples_every = 20
    c.grpo.update(r1_zero_tiny.small_groups(cap, longest=CAP + BUCKET))
    c.optimizer.update(lr=3e-4, warmup_updates=5)
    c.evaluation.update(
        every_updates=20, validation=64, test=64, ood=0, batch=16, samples=4, consensus=4
    )
    c.evaluation.sampler.update(cache_segments=2)
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=20, keep_last=1, keep_best=0)


def _sample(c: ml_collections.ConfigDict, **more: Any) -> None:
    c.prompt.template = "plain"
    c.task = data.task(world=_world())
    _judged(c)
    c.max_new_tokens, c.prompt_buckets, c.batch = CAP, (BUCKET,), 32
    c.samples = c.samples_at_once = 4
    c.sampler.update(cache_segments=2)
    c.execution = EXECUTION
    c.filters.update(language=0.95, repetition=0.1, paragraph=None, thought=16)  # no lucky guess
    for key, value in more.items():
        c[key] = value  # update would add to the paper's prompts


def _sft(c: ml_collections.ConfigDict, *, epochs: int, batch: int, lr: float) -> None:
    c.prompt.template = "plain"
    c.epochs, c.batch, c.length, c.packing_bins, c.micro_batches = epochs, batch, 256, 16, 1
    c.validation = 32
    c.loss.logit_chunk = 256
    c.optimizer.update(lr=lr, warmup_updates=4)
    c.evaluate_every = 40
    c.exam = sft.exam(data.task(world=_world()))
    c.exam.update(max_new_tokens=CAP, prompt_buckets=(BUCKET,), reflective_words=("wait", "等等"))
    c.exam.reward.judge.places = ("boxed", "answer_tag", "answer_line")
    c.exam.evaluation.update(
        every_updates=40, validation=64, test=64, samples=4, consensus=4, batch=16
    )
    c.exam.evaluation.sampler.update(temperature=1.0, top_p=1.0, cache_segments=2)
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=40, keep_last=1)


def _reward_model(c: ml_collections.ConfigDict) -> None:
    c.prompt.template = "plain"
    c.validation, c.epochs, c.batch, c.micro_batches = 40, 2, 32, 1
    c.length_buckets = (64, 96, CAP + BUCKET + 1)
    c.balance_lengths = False  # how the truth tells style from length is what is to be learnt
    c.optimizer.update(lr=3e-4)
    c.evaluate_every, c.evaluate_batch = 20, 32
    c.execution = EXECUTION
    c.checkpoint.update(every_updates=20, keep_last=1, keep_best=0)


def get_exam() -> ml_collections.ConfigDict:
    c = r1.assess()
    c.prompt.template = "plain"
    c.exams = dict(
        reasoning=r1.exam(_world(), "accuracy", first=512),
        general=r1.exam(_requests(ASKED[:4], train=1, test=192), "content", first=192),
        helpfulness=r1.exam(_requests(ASKED, train=1, test=192), "helpfulness", first=192),
        safety=r1.exam(_requests(("harm",), train=1, test=64), "safety", first=64),
    )
    _judged(c)
    c.max_new_tokens, c.prompt_buckets, c.batch = CAP, (BUCKET,), 32
    c.sampler.update(temperature=1.0, top_p=1.0, cache_segments=2)
    c.execution = EXECUTION
    return c


def get_blocks() -> r1.Blocks:
    b = r1.get_blocks()
    b["zero"].base = BASE
    _rl(b["zero"], updates=80, cap=112)
    _sample(b["zero_samples"], prompts=dict(world=704))
    _sample(b["few_shot"], prompts=dict(world=320), model=BASE)
    b["few_shot"].prompt.examples = (EXAMPLE,)
    b["few_shot"].prompt_buckets = (128,)
    b["few_shot"].reward.format = "think"
    r1.unfiltered(b["few_shot"])
    c = b["cold_start"]
    c.task = data.task(world=_world())
    c.filters.update(format=False, language=None, repetition=0.1, paragraph=None, thought=16)
    c.rewriter.update(kind="world", summaries=SUMMARIES)
    c.near = None  # sums look alike: "five plus two", "five plus three"
    b["dev1"].base = BASE
    _sft(b["dev1"], epochs=2, batch=8, lr=3e-4)  # more leaves RL nothing to try
    _rl(b["dev2"], updates=120, cap=CAP)
    _rl(b["dev2_without_language"], updates=120, cap=CAP)
    _sample(b["rejection"], prompts=dict(world=2_400), keep=2)
    general = pretrain_r1_tiny.get_replies()
    general.update(terse=0.35, sentence=0.35, warm=0.2, wrong=0.0, complies=0.3, thought=0.8)
    writer = ml_collections.ConfigDict(
        dict(
            pipeline="assistant_data",
            seed=-1,
            source="general",
            file=None,
            writer=dict(rows=4_400, kinds=(*ASKED, "harm"), replies=general),
        )
    )
    b["rejection"].mixture["general"].update(path="stage:general/rows.jsonl", share=0.5)
    b["dev3"].base = BASE
    _sft(b["dev3"], epochs=3, batch=16, lr=1.5e-3)
    _sample(b["candidates"], prompts=dict(requests=2_400), samples=8, samples_at_once=8)
    b["candidates"].task = data.task(requests=_requests(ASKED, train=2_400))
    r1.unfiltered(b["candidates"])
    b["pairs"] = preference.get_config()
    b["pairs"].update(seed=-1, input="stage:candidates/answers.jsonl")
    _reward_model(b["helpful_rm"])
    harm = r1.sampled("stage:dev3/model")
    _sample(harm, prompts=dict(requests=96), samples=8, samples_at_once=8)
    harm.task = data.task(requests=_requests(("harm",), train=96))
    r1.unfiltered(harm)
    labels = preference_labels.get_config()
    labels.update(seed=-1, input="stage:harm_samples/answers.jsonl")
    b["safety_rm"].data = "stage:labels/labelled.jsonl"
    _reward_model(b["safety_rm"])
    c = b["r1"]
    _rl(c, updates=90, cap=CAP)
    c.optimizer.lr, c.grpo.kl_coef = 2e-4, 0.1  # reasoning is almost always right: let it be
    c.task = data.task(
        world=data.world(weight=2.0, **WORLD),
        helpful=dict(_requests(CHECKED, train=4_000), weight=3.0),
        harmless=_requests(("harm",), train=1_000),
    )
    sizes = dict(max_new_tokens=CAP, temperature=0.7)
    c.stages = (
        dict(from_update=0, sources=("world",), **sizes),
        dict(from_update=20, sources=("world", "helpful", "harmless"), **sizes),
    )
    for judge in c.preferences.values():
        judge.update(buckets=(64, 96, CAP + BUCKET + 1), batch=32)
    c.reward.weights.update(helpfulness=2.0, harmlessness=2.0)
    b["student"].base = STUDENT
    _sft(b["student"], epochs=3, batch=16, lr=1.5e-3)
    b["student_rl"].base = STUDENT
    _rl(b["student_rl"], updates=144, cap=CAP)  # about the tokens that `rejection` samples
    ordered = {}
    for name, block in b.items():
        if name == "rejection":
            ordered["general"] = writer
        if name == "safety_rm":
            ordered |= {"harm_samples": harm, "labels": labels}
        ordered[name] = block
    return ordered


def get_config() -> ml_collections.ConfigDict:
    return r1.assembled(
        get_blocks(),
        get_exam(),
        title="DeepSeek-R1 in the synthetic world",
        claims=(*r1.get_claims(), *r1.preference_claims()),
        n=None,
    )
