from collections.abc import Iterable
from typing import final

from laurels.figures import Histogram

@final
class Distribution:
    bounds: tuple[float, ...]
    def __init__(self, bounds: Iterable[float]) -> None: ...
    def add(self, value: float) -> None: ...
    def read(self) -> Histogram: ...
