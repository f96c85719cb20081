"""Arrays that are the library's memory during one call, and nobody's afterwards."""
from __future__ import annotations

import weakref
from typing import Any

import numpy as np


class Life:
    """Of all arrays of one call."""

    __slots__ = ("open", "_arrays")

    def __init__(self) -> None:
        self.open = True
        self._arrays: list[weakref.ref[Column]] = []

    def array(self, memory: Any, dtype: str) -> Column:
        column = np.frombuffer(memory, dtype=dtype).view(Column)
        column._begin(self)
        return column

    def keep(self, column: Column) -> None:
        self._arrays.append(weakref.ref(column))

    def end(self) -> None:
        """Every array that is still held loses its memory: it is empty from now on, and its use raises."""
        self.open = False
        for reference in self._arrays:
            column = reference()
            if column is not None:
                column._revoke()
        self._arrays.clear()


class Column(np.ndarray[Any, np.dtype[Any]]):
    """A column of a `HostTable`, or a part of one. What is computed from it is an ordinary array."""

    _life: Life | None = None

    def _begin(self, life: Life) -> None:
        self._life = life
        life.keep(self)

    def _revoke(self) -> None:
        # The documented way to give an array other memory in place.
        np.ndarray.__setstate__(self, (1, (0,), self.dtype, False, b""))

    def __array_finalize__(self, parent: Any) -> None:
        life = getattr(parent, "_life", None)
        if life is not None and not self.flags.owndata:
            self._begin(life)

    def _check(self) -> None:
        if self._life is not None and not self._life.open:
            raise RuntimeError("a column is valid during the policy's call only: copy what is to be kept")

    def view(self, *arguments: Any, **named: Any) -> Any:
        self._check()
        return super().view(*arguments, **named)

    def __getitem__(self, index: Any) -> Any:
        self._check()
        return super().__getitem__(index)

    def __len__(self) -> int:
        self._check()
        return super().__len__()

    def __iter__(self) -> Any:
        self._check()
        return iter(self.tolist())

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        plain = []
        for one in inputs:
            if isinstance(one, Column):
                one._check()
                one = np.ndarray.view(one, np.ndarray)
            plain.append(one)
        return getattr(ufunc, method)(*plain, **kwargs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, named: Any) -> Any:
        self._check()
        return super().__array_function__(function, types, arguments, named)
