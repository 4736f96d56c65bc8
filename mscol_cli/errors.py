"""Every way mscol ends badly, with the exit code that tells a script which.

0 done, 1 failure, 2 usage or configuration, 3 finished but some inputs failed, 4 data or weights
missing, 130 interrupted and resumable.
"""


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
    """A file, folder, data set or weight that is needed is not there."""

    exit_code = 4


class Interrupted(MscolError):  # noqa: N818 - a request that was honoured, not an error
    """Stopped on request (Ctrl-C, SIGTERM) with everything saved that a resumed run needs."""

    exit_code = 130


class BadInputError(MscolError):
    """One input file that cannot be used. Loops over inputs report it and go on."""


class UnreadableInputError(BadInputError):
    """An input file that the system failed to read: an I/O error, a lost mount, a permission.

    The file itself may be good, and a later attempt may succeed, so caches must not remember it.
    """


class PluginError(MscolError):
    """A plugin that failed to load or breaks its contract, or two that claim one name."""

    exit_code = 2
