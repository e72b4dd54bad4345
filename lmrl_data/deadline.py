"""A deadline for what waits for others: the timeout of an HTTP client is for each read, and a server can trickle."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def within(seconds: float, action: Callable[[], Answer]) -> Answer:
    """What `action()` returns or raises.

    Args:
        seconds (`float`): the longest to wait. After that the action goes on unobserved in a daemon thread, which ends
            with the program: a thread that waits for a socket cannot be stopped.
        action (`Callable`): what to do.

    Raises:
        TimeoutError: if it takes longer.
    """
    outcome: queue.SimpleQueue[tuple[bool, Answer | BaseException]] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((True, action()))
        except BaseException as error:
            outcome.put((False, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        succeeded, answer = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"it took more than {seconds:.0f} s") from None
    if not succeeded:
        assert isinstance(answer, BaseException)
        raise answer
    return answer  # type: ignore[return-value]
