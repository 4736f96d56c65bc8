"""Peak memory, as code for the scripts that tests run in processes of their own."""

PEAK = '''
import resource
from pathlib import Path

def peak_kilobytes():
    """The most memory that this process ever had.

    On Linux getrusage would count that of the process which started this one, too.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
'''
