"""Entry point: `mscol` and `python -m mscol_cli`."""

from __future__ import annotations

import os
import signal
import sys

from mscol_cli.errors import Interrupted
from mscol_cli.system.files import open_more_files
from mscol_cli.system.launcher import end_process, reports_interruption
from mscol_cli.system.signals import (
    STOPPING,
    end_with_command,
    ignore_signals,
    interrupt_on_signals,
)


def main() -> None:
    """Run the command line of this process and exit with its code."""
    interrupt_on_signals()
    try:
        # Ctrl-C while modules are imported, as in the processes of --jobs, prints no traceback.
        from mscol_cli.app import run
        from mscol_cli.commands.terminal import escape_unencodable
    except KeyboardInterrupt:
        if reports_interruption():
            sys.stderr.write("error: interrupted.\n")
        sys.exit(Interrupted.exit_code)
    escape_unencodable()
    end_with_command()
    open_more_files()
    # Threads of torch that spin where they wait take the cores from each other on a busy machine,
    # and work of seconds takes minutes. Read when torch is loaded; processes started here have it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Otherwise matrix products of MKL, and so stores, depend on the number of threads. Read when
    # torch is loaded, too.
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    # torch logs each attempt to connect, with a C++ backtrace; what fails is an exception, too.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    try:
        code = run()
    except KeyboardInterrupt:  # a second one, while the first was reported
        code = Interrupted.exit_code
    except SystemExit as ended:  # a process for which another one speaks
        code = ended.code if isinstance(ended.code, int) else 1
    # The outcome is decided: a signal while Python ends must not change the exit code.
    ignore_signals((signal.SIGINT, *STOPPING))
    end_process(code)


if __name__ == "__main__":
    main()
