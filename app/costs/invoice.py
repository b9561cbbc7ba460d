"""Invoices: what a provider charged, call by call, compared with the ledger."""

import csv
from collections import Counter
from decimal import Decimal, InvalidOperation
from pathlib import Path

from app.errors import InvalidRequest
from app.store.catalog import Catalog
from app.store.ledger import NANO
from app.types import Value

COLUMNS = ("key", "usd")
MAX_BYTES = 256 << 20


class InvoiceLine(Value):
    """One call: its idempotency key, what was charged and what was booked; None: absent."""

    key: str
    billed_usd: float | None
    booked_usd: float | None


class Reconciliation(Value):
    """An invoice compared with the ledger."""

    model: str
    since: str
    billed_usd: float
    booked_usd: float
    agreeing: int
    """Calls that both have, at the same price."""
    differing: tuple[InvoiceLine, ...]
    """All others, by key."""

    @property
    def agrees(self) -> bool:
        """Returns whether invoice and ledger agree on every call."""
        return not self.differing


def reconcile(catalog: Catalog, bill: Path, model: str, *, since: str = "") -> Reconciliation:
    """Compares a provider's invoice with the ledger's attempts of a model, from `since` on.

    The invoice is a CSV file with the columns `key`, the call's idempotency key, which is the
    image's key, and `usd`. Several lines with one key add up, on either side. Raises InvalidRequest
    for a file that cannot be read.
    """
    billed = _read(bill)
    booked = catalog.booked_usd_nano(model, since=since)
    lines = [(key, billed.get(key), booked.get(key)) for key in sorted(billed.keys() | booked)]
    differing = [
        InvoiceLine(key=key, billed_usd=_usd(charged), booked_usd=_usd(noted))
        for key, charged, noted in lines
        if charged != noted
    ]
    return Reconciliation(
        model=model,
        since=since,
        billed_usd=sum(billed.values()) / NANO,
        booked_usd=sum(booked.values()) / NANO,
        agreeing=len(lines) - len(differing),
        differing=tuple(differing),
    )


def _read(bill: Path) -> Counter[str]:
    """Returns billionths of a dollar by key."""
    charged: Counter[str] = Counter()
    try:
        if bill.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"{bill} is larger than {MAX_BYTES} bytes; split it")
        with bill.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InvalidRequest(
                    f"{bill} has no column {' and no '.join(missing)}; name them in its first line"
                )
            for number, row in enumerate(rows, 2):
                charged[row["key"].strip()] += _nano(row["usd"], bill, number)
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise InvalidRequest(f"{bill} cannot be read as CSV: {exc}") from exc
    return charged


def _nano(text: str | None, bill: Path, number: int) -> int:
    try:
        amount = Decimal((text or "").strip())
    except InvalidOperation as exc:
        raise InvalidRequest(f"{bill}, line {number}: usd is {text!r}; write e.g. 0.04") from exc
    if not amount.is_finite():
        raise InvalidRequest(f"{bill}, line {number}: usd is {text!r}; write e.g. 0.04")
    return round(amount * NANO)


def _usd(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO
