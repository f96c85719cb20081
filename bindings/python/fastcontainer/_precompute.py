"""A policy that is asked in advance: a thread of its own scores, and a placement is a look-up within the library."""
from __future__ import annotations

import atexit
import threading
import time
import weakref

from . import _core
from ._runner import Runner, scores_of
from ._types import nanoseconds
from .policy import PlaceRequest

_PATIENCE = 0.1  # with a loop that is busy; the end of the engine is looked for as often
_running: weakref.WeakSet[Scorer] = weakref.WeakSet()


class Scorer:
    """
    Of a policy with ``precompute=True``.

    Scores are in force for ten intervals and twice the time that they took, so that only a policy that fails again and again, or
    hangs, leaves placements to the built-in one.
    """

    def __init__(self, runner: Runner, core: _core.Engine) -> None:
        self._runner = runner
        self._thread = threading.Thread(target=self._run, args=(core,), name="fastcontainer-scores", daemon=True)
        self._thread.start()
        _running.add(self)

    def _run(self, core: _core.Engine) -> None:
        over = self._runner.over
        given: set[str] = set()
        while not over.is_set() and not core.closed:
            began = time.monotonic()
            columns = core.hosts(nanoseconds(_PATIENCE))
            if columns is None:
                continue
            settings = self._runner.settings
            classes = set(settings.classes or ("",))
            for name in classes:
                self._score(core, columns, name, settings.interval)
            for name in given - classes:  # the file has changed, and with it what there is to score
                core.set_scores(name, columns, None, 0)
            given = classes
            over.wait(max(0.0, began + settings.interval - time.monotonic()))

    def _score(self, core: _core.Engine, columns: _core.HostColumns, name: str, interval: float) -> None:
        began = time.monotonic()
        outcome, scores = self._runner.ask(PlaceRequest.of_class(name), columns, scores_of)
        if outcome == "declined":
            core.set_scores(name, columns, None, 0)
        elif scores is not None:
            valid = max(1.0, 10 * interval) + 2 * (time.monotonic() - began)
            core.set_scores(name, columns, scores, nanoseconds(valid))

    def end(self) -> None:
        self._runner.over.set()
        self._thread.join(10 * _PATIENCE)


@atexit.register
def _end() -> None:
    """A thread that came back into an interpreter which is gone would end the process in the middle."""
    for scorer in list(_running):
        scorer.end()
