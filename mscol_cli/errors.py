"""Exceptions of mscol, with the exit codes that scripts can test."""

from collections.abc import Mapping, Sequence

EXIT_CODES: Mapping[int, tuple[str, str]] = {
    0: ("done", ""),
    1: ("failure: the disk, a damaged store, an archive, another process", "error: "),
    2: (
        "usage or configuration: an option, a name, a damaged settings file; or a group of commands"
        " without one of them, which prints its help",
        "error: ",
    ),
    3: (
        "finished, but some inputs were skipped; each has a line `warning: skipped ...`",
        "error: finished, but skipped",
    ),
    4: ("data, a run or weights are missing", "error: "),
    130: (
        "interrupted by Ctrl-C, SIGTERM, SIGUSR1 or SIGUSR2; the same command, or `--resume`,"
        " continues",
        "error: stopped` or `error: interrupted",
    ),
}
"""Meaning of each exit code, and how the last line on stderr begins."""


class MscolError(Exception):
    """A failure with one line for the user: what happened, where, and what to do."""

    exit_code = 1


class UsageError(MscolError):
    """An option, a name or a configuration that cannot be used as given."""

    exit_code = 2


class PartialFailure(MscolError):  # noqa: N818 - it is a finished run, not a crash
    """The run finished, but some inputs were skipped for a reason that was reported."""

    exit_code = 3


class MissingDataError(MscolError):
    """A required file, folder, data set or weight file is missing."""

    exit_code = 4


class Interrupted(MscolError):  # noqa: N818 - a request that was honoured, not an error
    """Stopped on request (Ctrl-C, SIGTERM) with everything saved that a resumed run needs."""

    exit_code = 130


class BadInputError(MscolError):
    """One input file that cannot be used. Loops over inputs report and skip it.

    Attributes:
        failures: Name and reason of each input, if none of several can be used.
    """

    def __init__(self, message: str, failures: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.failures = failures


class UnreadableInputError(BadInputError):
    """An input file that the system failed to read: an I/O error, a lost mount, a permission.

    The file itself may be good, and a later attempt may succeed, so caches must not remember it.
    """


class PluginError(MscolError):
    """A plugin fails to load or breaks its contract, or two plugins offer the same name."""

    exit_code = 2


class PluginCallError(MscolError):
    """A plugin raised an exception that its contract does not name: the plugin has a bug.

    Attributes:
        label: Kind, name, owner and version of the part that raised it.
        reason: The exception in one line.
        where: What the part worked on (a track, a clip, a step); empty if unknown.
    """

    def __init__(self, label: str, reason: str, where: str = "") -> None:
        super().__init__(": ".join(part for part in (label, where, reason) if part))
        self.label = label
        self.reason = reason
        self.where = where
