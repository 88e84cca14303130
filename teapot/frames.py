"""Compressed outputs: one Zstandard frame (RFC 8878) a file, read as strictly as it is written.

The header of a frame follows from the size of its content: the window is fixed, the content's size and a checksum of it are always there. The
blocks behind it are the library's, and differ between its versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zstandard import ZstdCompressionObj

READ = 1024
"""How many compressed bytes are decoded at a time: a block of 4 bytes can stand for 128 KiB."""

_LEVEL = 3
_WINDOW_LOG = 21
_WINDOW = 1 << _WINDOW_LOG
_MAGIC = b"\x28\xb5\x2f\xfd"
_CHECKSUM, _SINGLE_SEGMENT = 1 << 2, 1 << 5


class FrameError(ValueError):
    """The bytes are not one frame as it is written; the text says why."""


def encoder(size: int) -> ZstdCompressionObj:
    """What compresses a content of exactly ``size`` bytes into one frame."""
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, source_size=size, window_log=_WINDOW_LOG, write_content_size=1, write_checksum=1, write_dict_id=0
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=size)


def header(size: int) -> bytes:
    """How the frame of a content of ``size`` bytes begins (RFC 8878, section 3.1.1.1)."""
    single = size <= _WINDOW
    flag = (size >= 1 << 8) + (size >= (1 << 16) + (1 << 8)) + (size >= (1 << 32) - 1)
    descriptor = bytes([flag << 6 | (_SINGLE_SEGMENT if single else 0) | _CHECKSUM])
    window = b"" if single else bytes([(_WINDOW_LOG - 10) << 3])
    stored = size - (1 << 8) if flag == 1 else size
    return _MAGIC + descriptor + window + stored.to_bytes(1 << flag, "little")


class Decoder:
    """Gives back the content of one frame. ``size`` is that of the content.

    Every method raises FrameError.
    """

    def __init__(self, size: int) -> None:
        import zstandard

        self._left = size
        self._size = size
        self._header = header(size)
        self._begun = b""
        self._decoder = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        self._error = zstandard.ZstdError

    def take(self, data: bytes) -> bytes:
        """The content of the next compressed bytes."""
        if len(self._begun) < len(self._header):
            self._begun += data
            known = min(len(self._begun), len(self._header))
            if self._begun[:known] != self._header[:known]:
                raise FrameError(f"it does not begin as {self._size} compressed bytes do")
            if len(self._begun) < len(self._header):
                return b""
            data = self._begun
        if self._decoder.eof:
            raise FrameError("it goes on after its end")
        try:
            content = self._decoder.decompress(data)
        except self._error as error:
            raise FrameError(f"it is damaged ({error})") from None
        self._left -= len(content)
        if self._left < 0:
            raise FrameError(f"it holds more than {self._size} bytes")
        if self._decoder.unused_data:
            raise FrameError("it goes on after its end")
        return content

    def finish(self) -> None:
        """There are no more compressed bytes."""
        if not self._decoder.eof:
            raise FrameError("it is cut off")
