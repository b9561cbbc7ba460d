"""What accepted assets look like, before a plan was first begun; on either database."""

from app.check.duplicates import KnownImage, Neighbours
from app.store.publish import Store, begin_run, publish_assets, publish_images
from app.types import AssetRecord, Status
from tests.store.values import image_of, record_of

SKETCHED = 2**300 + 5


def stands(store: Store, seed: int, **changes: object) -> AssetRecord:
    """A published asset with its picture."""
    data = b"picture %d" % seed
    image = image_of(seed, data)
    publish_images(store, [(image, data)], owner="ann")
    record = record_of(image, data, name=f"gem-{seed}", run_id=f"run-{seed}").replace(**changes)
    (standing,) = publish_assets(store, [(record, [data] if record.asset else [])])
    return standing


def test_a_plan_meets_what_was_accepted_before_it_first_began_and_nothing_else(
    store: Store,
) -> None:
    stands(store, 1, phash=SKETCHED)
    stands(store, 2, phash=0)
    stands(store, 3, status=Status.REVIEW)
    run = begin_run(store, "first", plan="icons", document={})
    stands(store, 4)
    begin_run(store, "again", plan="icons", document={})
    before = [KnownImage(SKETCHED, "gem-1", "run-1")]
    assert store.catalog.accepted_before(run.plan_digest) == before
    assert [image.name for image in store.catalog.accepted_before("")] == ["gem-1", "gem-4"]


def test_a_repeat_is_named_with_its_run(store: Store) -> None:
    stands(store, 1, phash=SKETCHED)
    neighbours = Neighbours(store.catalog.accepted_before(""))
    assert neighbours.nearest(SKETCHED ^ 1) == (1, "gem-1 of run run-1")
    assert neighbours.nearest(SKETCHED, exclude="gem-1") is None
