"""Processor time and memory of a process and its descendants, from /proc."""

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, its living descendants, and the ended ones that were waited for."""
    total = 0
    for each in family(pid):
        fields = _stat(each)
        if fields:
            total += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
    return total / _TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of the process and its living descendants, MiB; what they share counts more than once."""
    total = 0
    for each in family(pid):
        try:
            pages = int((_PROC / str(each) / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE")
    return total / 2**20


def family(pid: int) -> list[int]:
    """Ids of the process and its living descendants, parents first."""
    found = [pid]
    for each in found:  # it grows while it is walked
        for children in _PROC.glob(f"{each}/task/*/children"):
            try:
                found.extend(int(child) for child in children.read_text().split())
            except OSError:
                continue
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on: the second, a name, may hold spaces."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
