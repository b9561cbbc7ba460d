"""Tables for people: plain text, numbers on the right, and one form for each kind of figure."""

from collections.abc import Iterable
from typing import TypeAlias

from rich import markup, table
from rich.text import Text

from app.cli.output import visible

Cell: TypeAlias = str | int | Text


class Table(table.Table):
    """A table without borders; a column with numbers is aligned to the right.

    Text is shown as it is: markup in it has no effect, and control characters are escaped.
    """

    def __init__(self, *headers: str, title: str = "") -> None:
        above = f"\n{escape(title)}" if title else None
        super().__init__(box=None, title=above, title_justify="left")
        for header in headers:
            self.add_column(Text(visible(header)))

    def add(self, *cells: Cell) -> None:
        """Adds a row."""
        texts = [_cell(cell) for cell in cells]
        for column, text in zip(self.columns, texts, strict=True):
            column.justify = text.justify or column.justify
        self.add_row(*texts)


def fact_table(facts: Iterable[tuple[str, Cell]]) -> table.Table:
    """Returns a table of labels and what is known of each, on as many lines as it needs."""
    shown = table.Table(box=None, show_header=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for label, fact in facts:
        shown.add_row(label, _cell(fact))
    return shown


def escape(text: str) -> str:
    """Returns the text for a line with markup, its own markup and control characters escaped."""
    return markup.escape(visible(text))


def styled(cell: str | int, style: str) -> Text:
    """Returns a cell in a style, such as `bold red`."""
    text = _cell(cell)
    text.stylize(style)
    return text


def plain(text: str) -> Text:
    """Returns a cell or a line as it is, with control characters escaped."""
    return Text(visible(text))


def right(text: str) -> Text:
    """Returns a cell on the right: a figure that carries more than a number."""
    return Text(visible(text), justify="right")


def number(value: float | None, form: str = "") -> Text:
    """Returns a number's cell by a format specification, else with four digits; `-` for None."""
    if value is None:
        return right("-")
    return right(format(value, form or (".4g" if abs(value) < 1000 else ".0f")))


def percent(share: float | None) -> Text:
    """Returns the cell of a share of 1, in per cent; `-` for None."""
    return number(share, ".1%")


def usd(dollars: float | None) -> Text:
    """Returns the cell of an amount of dollars, to a millionth; `-` for None."""
    return number(dollars, ".6f")


def _cell(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    return right(str(cell)) if isinstance(cell, int) else plain(cell)
