"""Compressed files are read as strictly as they are written: nothing before, behind or beside the one frame."""

from __future__ import annotations

import hashlib

import pytest
import zstandard

from teapot.frames import Decoder, FrameError, encoder, header

TEXT = b"".join(
    b'{"id":"%d","messages":[{"role":"user","content":"%s"}]}\n' % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(60)
)
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"


def compressed(content: bytes) -> bytes:
    frame = encoder(len(content))
    return frame.compress(content) + frame.flush()


def decoded(data: bytes, size: int, step: int = 1024) -> bytes:
    decoder = Decoder(size)
    content = b"".join(decoder.take(data[at : at + step]) for at in range(0, len(data), step))
    decoder.finish()
    return content


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65791, 65792, (1 << 21) - 1, 1 << 21, (1 << 21) + 1, 5 << 20])
def test_the_header_is_the_librarys(size: int) -> None:
    """So that the library's own reading of it, and ours, are of the same bytes."""
    data = compressed(b"a" * size)
    assert data.startswith(header(size))
    read = zstandard.get_frame_parameters(data)
    assert (read.content_size, read.has_checksum, read.dict_id) == (size, True, 0)
    assert zstandard.frame_header_size(data) == len(header(size))
    assert decoded(data, size, 1 << 16) == b"a" * size


def test_the_header_of_what_is_too_large_for_a_test() -> None:
    for size, width in ((1 << 31, 4), ((1 << 32) - 2, 4), ((1 << 32) - 1, 8), (1 << 40, 8)):
        frame = encoder(size).compress(b"x" * (1 << 22))
        assert header(size) == frame[: len(header(size))]
        assert len(header(size)) == 6 + width


@pytest.mark.parametrize("step", [1, 2, 7, 1024, 1 << 20])
def test_in_pieces_of_all_sizes(step: int) -> None:
    assert decoded(compressed(TEXT), len(TEXT), step) == TEXT


def test_every_bit_of_the_header_counts() -> None:
    """One of them, by the format, has no meaning at all."""
    for content in (b"a", TEXT, bytes(3 << 20)):
        data = compressed(content)
        for place in range(len(header(len(content)))):
            for bit in range(8):
                changed = bytearray(data)
                changed[place] ^= 1 << bit
                with pytest.raises(FrameError, match="it does not begin as"):
                    decoded(bytes(changed), len(content), 1 << 16)


def test_no_flip_gives_another_content() -> None:
    """A few bits of a compressed block mean nothing; all others are an error. That is why the digest of the bytes is kept too."""
    data = compressed(TEXT)
    same = 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        try:
            found = decoded(bytes(changed), len(TEXT))
        except FrameError:
            continue
        assert found == TEXT
        same += 1
    assert same < len(data) // 50


@pytest.mark.parametrize("step", [1, 1024])
def test_every_truncation(step: int) -> None:
    data = compressed(TEXT[:600])
    for size in range(len(data)):
        with pytest.raises(FrameError, match="it is cut off"):
            decoded(data[:size], 600, step)


@pytest.mark.parametrize("extra", [b"\0", b"\n", SKIPPABLE, compressed(b""), compressed(TEXT)])
@pytest.mark.parametrize("step", [1, 1024, 1 << 20])
def test_nothing_stands_behind_it(extra: bytes, step: int) -> None:
    with pytest.raises(FrameError, match="it goes on after its end"):
        decoded(compressed(TEXT) + extra, len(TEXT), step)


@pytest.mark.parametrize("before", [b"\0", SKIPPABLE, compressed(b"")])
def test_nothing_stands_before_it(before: bytes) -> None:
    with pytest.raises(FrameError, match="it does not begin as"):
        decoded(before + compressed(TEXT), len(TEXT))


@pytest.mark.parametrize(
    "options",
    [
        {"write_checksum": False},
        {"write_content_size": False, "write_checksum": True},
        {"write_checksum": True, "compression_params": None, "level": 19, "streaming": True},
    ],
)
def test_frames_of_others_are_not_ours(options: dict[str, object]) -> None:
    streaming = options.pop("streaming", False)
    if options.get("compression_params", 0) is None:
        del options["compression_params"]
    compressor = zstandard.ZstdCompressor(**options)  # type: ignore[arg-type]
    if streaming:
        frame = compressor.compressobj()
        data = frame.compress(TEXT) + frame.flush()
    else:
        data = compressor.compress(TEXT)
    with pytest.raises(FrameError, match="it does not begin as"):
        decoded(data, len(TEXT))


def test_another_size_than_is_said() -> None:
    with pytest.raises(FrameError, match=f"it does not begin as {len(TEXT) + 1} compressed bytes do"):
        decoded(compressed(TEXT), len(TEXT) + 1)


def test_a_bomb() -> None:
    """Blocks of four bytes that stand for 128 KiB each, under a header that promises less."""
    size = 10 << 20
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"a"
    with pytest.raises(FrameError, match=f"it holds more than {size} bytes"):
        decoded(header(size) + block * 100_000, size)


def test_a_window_that_is_too_large_is_not_made_room_for() -> None:
    data = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=27, write_checksum=1, write_content_size=1)
    ).compress(bytes(200 << 20))
    with pytest.raises(FrameError, match="it does not begin as"):
        decoded(data, 200 << 20)
