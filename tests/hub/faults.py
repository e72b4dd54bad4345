"""What can go wrong on the way to a server and back, to be ordered by a test: `hub.faults.append(Fault("500"))`."""

import random
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["429", "500", "412", "cut", "cut_after", "slow"]


@dataclass
class Fault:
    """Strikes requests whose route or path contains `match`: `after` pass, then `times` are struck (None: all).

    "cut" closes the connection before the request is carried out, "cut_after" once it was, so that the client cannot
    know; "slow" waits `seconds` first; "429" tells the client to wait `seconds`. With a `probability` below 1 the
    requests it strikes are drawn, the same ones for the same `seed` and order of requests.
    """

    kind: Kind
    match: str = ""
    times: int | None = 1
    after: int = 0
    seconds: float = 0
    probability: float = 1
    seed: int = 0
    struck: int = 0
    passed: int = 0
    drawn: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.drawn = random.Random(self.seed)

    def strikes(self, route: str, path: str) -> bool:
        if (self.match not in route and self.match not in path) or self.struck == self.times:
            return False
        if self.passed < self.after or self.drawn.random() >= self.probability:
            self.passed += 1
            return False
        self.struck += 1
        return True


def strike(faults: list[Fault], lock: threading.Lock, route: str, path: str) -> Fault | None:
    """The first fault that strikes this request."""
    with lock:
        return next((fault for fault in faults if fault.strikes(route, path)), None)
