"""What a piece of work costs: CPU seconds, since machines are shared, and peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable


def cost(work: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of a work in this process, start of the interpreter left out, and the peak
    memory of the process (MiB).
    """
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return round(seconds, 2), round(used.ru_maxrss / 1024)


def measure(module: str, *arguments: str) -> tuple[float, float]:
    """The cost that a module prints when it is run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak
