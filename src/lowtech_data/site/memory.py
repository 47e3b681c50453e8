"""What was read once from a release and will be asked again: a release never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

KEPT = 200


class Memory:
    """The last answers asked for, by key."""

    def __init__(self, kept: int = KEPT) -> None:
        """Keep at most `kept` answers; the one unasked for longest goes first."""
        self._kept = kept
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:
        """The answer kept under `key`, or what `read` gives, which is then kept."""
        if key not in self._answers:
            self._answers[key] = await read()
        self._answers.move_to_end(key)
        while len(self._answers) > self._kept:
            self._answers.popitem(last=False)
        return self._answers[key]
