"""Nothing may be raised where nobody sees it."""
import sys

import pytest


@pytest.fixture(autouse=True)
def nothing_unraisable(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    yield seen
    assert not seen, [(one.exc_value, one.err_msg, one.object) for one in seen]
