from laurels.http.gate import Answered
from laurels.http.metrics import Counted

class RequestCounts:
    bounds: tuple[float, ...]
    def __call__(self, answered: Answered) -> None: ...
    def read(self) -> list[Counted]: ...
