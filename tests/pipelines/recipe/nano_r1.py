"""The whole recipe with every stage as small as it can be; the shipped bases know enough for it."""

import ml_collections

from configs import r1, r1_tiny

RL = ("zero", "dev2", "dev2_without_language", "r1", "student_rl")
SFT = ("dev1", "dev3", "student")


def get_config() -> ml_collections.ConfigDict:
    blocks, exam = r1_tiny.get_blocks(), r1_tiny.get_exam()
    for name in RL:
        c = blocks[name]
        c.updates = c.optimizer.total_updates = 2
        c.grpo.update(group_size=4, prompts_per_rollout=4)
        c.evaluation.update(every_updates=0, validation=0, test=4, batch=4)
        c.checkpoint.every_updates = 1
    first, second = blocks["r1"].stages
    blocks["r1"].stages = (first, dict(second, from_update=1))
    for name in SFT:
        c = blocks[name]
        c.update(epochs=1, batch=2, validation=2, evaluate_every=2)
        c.exam.evaluation.update(every_updates=0, validation=0, test=4, batch=4)
        c.checkpoint.every_updates = 1
    for name, prompts in (("zero_samples", 32), ("few_shot", 8), ("rejection", 48)):
        blocks[name].prompts = dict(world=prompts)
        blocks[name].batch = 8
    # models that have hardly learnt anything write no fit replies
    blocks["rejection"].filters.update(format=False, language=None, thought=None)
    for name in ("candidates", "harm_samples"):
        blocks[name].prompts = dict(requests=40)  # most replies of one question are alike
        blocks[name].batch = 8
    blocks["general"].writer.rows = 100
    for name in ("helpful_rm", "safety_rm"):
        blocks[name].update(validation=4, batch=8, evaluate_every=2, evaluate_batch=8)
        blocks[name].checkpoint.every_updates = 1
    for part in exam.exams.values():
        part["first"] = 4
    exam.update(batch=4, samples=1, samples_at_once=1)
    claims = (*r1.get_claims(), *r1.preference_claims())
    return r1.assembled(blocks, exam, title="The recipe in miniature", n=None, claims=claims)
