"""What happens to files: bytes and lines that are flipped, lost, doubled, cut off, exchanged, or of another file."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

_LINES = (b"", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"#", b"nan", b"1e999", b"-1", b"9" * 400, b"'", b'"', b"\r")


@st.composite
def mutated(draw: st.DrawFn, contents: Sequence[bytes], words: Sequence[bytes] = ()) -> bytes:
    """One of some valid files, after none to four accidents.

    Arguments:
        draw: of Hypothesis.
        contents: the valid files.
        words: what the format may choke on, to be inserted beside what any may.
    """
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        end = place + draw(st.integers(1, 12))
        match draw(st.sampled_from(["flip", "write", "delete", "insert", "word", "double", "cut", "lines"])):
            case "flip" if content:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "write" if content:
                content[place] = draw(st.integers(0, 255))
            case "delete":
                del content[place:end]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=6))
            case "word":
                content[place:place] = draw(st.sampled_from([*_LINES, *words]))
            case "double":
                content[place:place] = content[place:end]
            case "cut":
                del content[place:]
            case "lines":
                content = bytearray(b"\n".join(draw(_lines(bytes(content).split(b"\n"), words))))
    return bytes(content)


@st.composite
def _lines(draw: st.DrawFn, lines: list[bytes], words: Sequence[bytes]) -> list[bytes]:
    i, j = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    match draw(st.sampled_from(["exchange", "double", "delete", "new"])):
        case "exchange":
            lines[i], lines[j] = lines[j], lines[i]
        case "double":
            lines.insert(j, lines[i])
        case "delete":
            del lines[i]
        case _:
            lines.insert(i, draw(st.sampled_from([*_LINES, *words])))
    return lines


def lines_of(content: bytes) -> list[tuple[int, str]]:
    """Number and text of every line that is not blank, as any reader of UTF-8 should see them."""
    if content in (b"\xef", b"\xef\xbb"):  # the beginning of a byte order mark is none to Python, and nothing else
        return []
    text = content.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    stripped = [line.strip(" \t") for line in text.split("\n")]
    return [(number, line) for number, line in enumerate(stripped, 1) if line]
