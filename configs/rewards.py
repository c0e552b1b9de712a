"""How completions are rewarded and judged: the blocks that configs share."""

import ml_collections

SANDBOX = dict(
    backend="auto",  # bubblewrap, else rlimits with another user and seccomp, else refused
    python="",  # one that works inside
    read_only=(),
    cpu_seconds=4.0,  # of each test
    wall_seconds=20.0,  # of all tests together, of processor time and by the clock
    memory_mb=512,
    processes=4,
    files_mb=16,
    output_kb=1024,
)


def get_judge() -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(
        dict(
            places=("answer_tag", "boxed"),
            workers=2,
            memory_mb=2048,
            cpu_seconds=5.0,
            wall_seconds=20.0,
            batch_seconds=600.0,
            tests="all",  # not published: R1 may have paid a fraction
            sandbox=SANDBOX,
        )
    )


def get_config() -> ml_collections.ConfigDict:
    """R = R_accuracy + R_format, equal weights (arXiv:2501.12948, section 2.2.2)."""
    c = ml_collections.ConfigDict()
    c.kind = "rule"
    # the parts of weight 0 are measured and logged
    c.weights = dict(accuracy=1.0, format=1.0, language=0.0, length=0.0, repetition=0.0)
    c.format = "think_answer"
    c.language = dict(target="question", detector="script")
    c.overlong = None
    c.cosine = None
    c.repetition_n = 20
    c.judge = get_judge()
    return c
