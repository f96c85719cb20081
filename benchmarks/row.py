"""One line of the benchmarks' table."""
import dataclasses


@dataclasses.dataclass
class Row:
    benchmark: str
    name: str
    figure: float = 0.0
    unit: str = ""
    floor: float = 0.0   # 0: there is none
    against: str = ""    # what the floor is
    skipped: str = ""    # why it cannot be measured here: its goal is neither met nor missed

    @property
    def ratio(self):
        return self.figure / self.floor if self.floor else 0.0
