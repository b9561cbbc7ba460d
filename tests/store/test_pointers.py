"""Pointers: of many who move one at once one wins; a death leaves the old or the new."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from threading import Barrier

import pytest
from sqlalchemy import Engine, event

from app.errors import PromotionRefused
from app.store.catalog import Catalog
from app.store.pointers import aliases, move, moves, pointer, resolved, step_back
from app.store.store import Store
from tests.store.places import Place

PROMOTERS, ROUNDS = 8, 20


def promoted(catalog: Catalog, *targets: str) -> None:
    for target in targets:
        present = pointer(catalog, "draft", "champion")
        move(catalog, "draft", "champion", target, present=present, reason="it is better")


def champion(catalog: Catalog) -> str:
    return resolved(catalog, "draft@champion")


def test_an_alias_points_where_it_was_moved_last(store: Store) -> None:
    promoted(store.catalog, "draft/1", "draft/2")
    assert champion(store.catalog) == "draft/2"
    assert aliases(store.catalog) == {"draft/2": ["champion"]}
    assert resolved(store.catalog, "draft/1") == "draft/1"
    history = moves(store.catalog, "draft", "champion")
    assert [(pointer.number, pointer.target) for pointer in history] == [
        (2, "draft/2"),
        (1, "draft/1"),
    ]


def test_an_alias_that_points_nowhere_says_what_to_do(store: Store) -> None:
    with pytest.raises(PromotionRefused, match="points nowhere; promote"):
        champion(store.catalog)


def test_stepping_back_goes_further_back_and_never_forth(store: Store) -> None:
    promoted(store.catalog, "draft/1", "draft/2", "draft/3")
    seen = []
    for _ in range(2):
        present = pointer(store.catalog, "draft", "champion")
        assert present is not None
        seen.append(step_back(store.catalog, present, reason="it was worse").target)
    promoted(store.catalog, "draft/4")
    present = pointer(store.catalog, "draft", "champion")
    assert present is not None
    seen.append(step_back(store.catalog, present, reason="so was that").target)
    assert seen == ["draft/2", "draft/1", "draft/1"]
    assert len(moves(store.catalog, "draft", "champion")) == 7
    present = pointer(store.catalog, "draft", "champion")
    assert present is not None
    with pytest.raises(PromotionRefused, match="nothing to go back to"):
        step_back(store.catalog, present, reason="once more")


def test_who_judged_by_an_older_pointer_is_told_the_present_one(store: Store) -> None:
    promoted(store.catalog, "draft/1")
    seen = pointer(store.catalog, "draft", "champion")
    promoted(store.catalog, "draft/2", "draft/1")  # the same target again is not the same move
    with pytest.raises(PromotionRefused, match="points at draft/1 now"):
        move(store.catalog, "draft", "champion", "draft/3", present=seen, reason="late")
    assert champion(store.catalog) == "draft/1"


def test_of_eight_promoters_exactly_one_wins_each_round(place: Place) -> None:
    catalogs = [place.open().catalog for _ in range(PROMOTERS)]
    together = Barrier(PROMOTERS)

    def promote(number: int, seen: object) -> bool:
        together.wait()
        try:
            move(catalogs[number], "draft", "champion", f"draft/{number}", present=seen, reason="")  # type: ignore[arg-type]
        except PromotionRefused:
            return False
        return True

    with ThreadPoolExecutor(PROMOTERS) as pool:
        for done in range(ROUNDS):
            seen = pointer(catalogs[0], "draft", "champion")
            assert (seen.number if seen else 0) == done
            wins = list(pool.map(promote, range(PROMOTERS), [seen] * PROMOTERS))
            assert wins.count(True) == 1
            assert champion(catalogs[0]) == f"draft/{wins.index(True)}"


def die_while_moving(catalog_url: str, before_commit: bool) -> None:
    """A promoter that is killed at the last moment before, or the first after its commit."""
    catalog = Catalog.open(catalog_url)
    present = pointer(catalog, "draft", "champion")
    if before_commit:
        event.listen(Engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    move(catalog, "draft", "champion", "draft/2", present=present, reason="it is better")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("before_commit", "left"), [(True, "draft/1"), (False, "draft/2")])
def test_a_death_leaves_the_old_or_the_new(
    place: Place, processes: ForkServerContext, before_commit: bool, left: str
) -> None:
    catalog = place.open().catalog
    promoted(catalog, "draft/1")
    process = processes.Process(target=die_while_moving, args=(place.catalog_url, before_commit))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert champion(catalog) == left
    promoted(catalog, "draft/3")
    assert champion(catalog) == "draft/3"
