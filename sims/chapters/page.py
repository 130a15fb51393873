"""Text between markers, which a chapter's script owns.

A block stands between `<!-- figures:name -->` and `<!-- end -->`; what is around it is written by
hand.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence

BLOCK = re.compile(r"(<!-- figures:([\w-]+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


def blocks_of(text: str) -> dict[str, str]:
    """Return the blocks of a page by name."""
    return {name: block for _, name, block, _ in BLOCK.findall(text)}


def with_blocks(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with every block written anew.

    Raises:
        KeyError: For a block that nobody writes, or one that has no place on the page.
    """
    if blocks_of(text).keys() != blocks.keys():
        raise KeyError(sorted(blocks_of(text).keys() ^ blocks.keys()))
    return BLOCK.sub(lambda found: found[1] + blocks[found[2]]() + found[4], text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def paragraph(text: str) -> str:
    """Return text in lines of a page's width."""
    return textwrap.fill(text, 100, break_on_hyphens=False) + "\n"


def rows_of(block: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its head."""
    lines = [line for line in block.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
