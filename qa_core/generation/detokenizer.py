"""From token bytes to text that may be shown: whole characters only, and nothing of a stop string."""

from __future__ import annotations

import codecs


class Detokenizer:
    """Collects the bytes of one completion and releases its text piece by piece."""

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may span several tokens
        self._stop = stop
        self._held = ""
        self.stopped = False
        """A stop string was found; it and what follows are dropped."""

    def push(self, piece: bytes) -> str:
        """Text that ``piece`` makes certain. The start of a possible stop string is held back."""
        return self._release(self._decoder.decode(piece), final=False)

    def finish(self) -> str:
        """The text still held back; broken characters become U+FFFD."""
        return self._release(self._decoder.decode(b"", final=True), final=True)

    def _release(self, text: str, final: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        certain = len(text) if final else len(text) - self._possible_stop_chars(text)
        self._held = text[certain:]
        return text[:certain]

    def _possible_stop_chars(self, text: str) -> int:
        """Length of the longest end of ``text`` that some stop string begins with."""
        lengths = (
            length
            for stop in self._stop
            for length in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:length])
        )
        return max(lengths, default=0)
