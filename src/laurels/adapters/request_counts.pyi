from mmap import mmap

from laurels.http.gate import Answered
from laurels.http.metrics import Counted

TABLE_BYTES: int
ROWS: int
METHODS: frozenset[str]

def share_counts(workers: int) -> mmap: ...

class RequestCounts:
    bounds: tuple[float, ...]
    def __init__(self, memory: mmap | None = None, number: int = 0) -> None: ...
    def __call__(self, answered: Answered) -> None: ...
    def read_refusals(self) -> dict[str, int]: ...
    def read(self) -> list[Counted]: ...
