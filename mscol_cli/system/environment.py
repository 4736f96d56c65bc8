"""Environment variables that mscol reads or sets; docs/reliability.md has this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """An environment variable.

    Attributes:
        name: Name of the variable.
        meaning: Its values and their effect.
        default: What applies without it; empty for none.
    """

    name: str
    meaning: str
    default: str = ""


_LAUNCHER = "as torchrun sets it, for processes that it starts"
_STEP = "as srun sets it, for the tasks of a step"
_HUB = "read by the client of the Hugging Face Hub"

READ = (
    Variable("MSCOL_CACHE", "folder of the cache", "`$XDG_CACHE_HOME/mscol` or `~/.cache/mscol`"),
    Variable("MSCOL_DOWNLOADS", "TOML file with a table of further downloads"),
    Variable("MSCOL_LOG_FILE", "as `--log-file`"),
    Variable("MSCOL_MIRROR", "address of a mirror for downloads"),
    Variable("MSCOL_OFFLINE", "1: download nothing"),
    Variable(
        "MSCOL_TIMEOUT",
        "seconds that the processes of a run wait for one another, at the start and in every step,"
        " and that they have to save after a signal",
        "600",
    ),
    Variable(
        "MSCOL_TIMESTAMPS", "0: lines on stderr do not begin with the time off a terminal", "1"
    ),
    Variable("MSCOL_VERBOSE", "1: as `--verbose`"),
    Variable("NO_COLOR", "no colours, if it is set"),
    Variable("XDG_CACHE_HOME", "folder of caches, with a folder `mscol` of its own", "`~/.cache`"),
    Variable("RANK", _LAUNCHER),
    Variable("WORLD_SIZE", _LAUNCHER),
    Variable("LOCAL_RANK", _LAUNCHER),
    Variable("TORCHELASTIC_RUN_ID", _LAUNCHER),
    Variable("MASTER_ADDR", "host of the first process, as torchrun sets it", "that of the step"),
    Variable("MASTER_PORT", "its port, as torchrun sets it", "from job and step"),
    Variable("SLURM_PROCID", _STEP),
    Variable("SLURM_LOCALID", _STEP),
    Variable("SLURM_STEP_NUM_TASKS", _STEP),
    Variable("SLURM_STEP_NODELIST", _STEP),
    Variable("SLURM_JOB_ID", "with the step, chooses the port of the first process"),
    Variable("SLURM_STEP_ID", "with the job, chooses the port of the first process"),
    Variable("HF_TOKEN", f"access token, {_HUB}"),
    Variable("HF_HOME", f"folder of its cache, {_HUB}"),
    Variable("HF_ENDPOINT", f"address of the Hub, {_HUB}"),
    Variable("HF_HUB_OFFLINE", f"1: load models from its cache only, {_HUB}"),
    Variable("CC", "compiler that `pretrain --compile` looks for, besides gcc and clang"),
    Variable("OMP_NUM_THREADS", "threads of a process", "cores, shared by the processes of a job"),
    Variable("OMP_WAIT_POLICY", "if it is set, `GOMP_SPINCOUNT` stays as it is"),
    Variable("GOMP_SPINCOUNT", "how long waiting threads spin", "1000"),
    Variable(
        "MKL_CBWR",
        "reproducibility of MKL; with the default, stores do not depend on the number of threads,"
        " and training on a CPU takes 6 % longer (`small`, one core) than with `OFF`",
        "AUTO,STRICT",
    ),
    Variable("TORCH_CPP_LOG_LEVEL", "messages of PyTorch's C++ code", "FATAL"),
)
"""Variables for users."""

INTERNAL = ("MSCOL_LAUNCHER", "MSCOL_NO_BAR", "TORCHELASTIC_SIGNALS_TO_HANDLE")
"""Variables that mscol sets for its own processes."""
