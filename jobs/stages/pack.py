"""The pack stage: the finished files of one size become atlas pages with metadata."""

from collections.abc import Iterable, Iterator, Sequence

from app.digest import digest, digest_bytes
from app.image.png import png_bytes, read_png
from app.pack.atlas import Page, Sprite, pack
from app.pack.formats.texturepacker import texturepacker_json
from app.plan.schema import Pack
from app.settings import Settings
from app.store.png_metadata import page_text
from app.store.publish import Store, open_store, publish_pages
from app.types import AtlasPage, Size, Value
from jobs.runtime.batches import SpriteFile
from jobs.runtime.ray_data import StageWorker

PIXEL_BYTES = 256 * 2**20
"""The most sprite bytes in one atlas: a worker holds their pixels together."""


class Atlas(Value):
    """One atlas to pack: all sprites of one size. Equal atlases are packed once."""

    name: str
    sprites: tuple[SpriteFile, ...]
    options: Pack

    @property
    def id(self) -> str:
        """Returns the digest of everything that decides the pages."""
        return digest(self.as_json())


class PackedAtlas(Value):
    """The pages of one atlas, in order."""

    id: str
    pages: tuple[AtlasPage, ...]


class PackStage(StageWorker[Atlas, PackedAtlas]):
    """Holds one atlas's pixels at a time."""

    takes = Atlas
    num_cpus = 0.5

    def __init__(self, settings: Settings) -> None:
        self._store = open_store(settings.blobs, settings.catalog)

    def run(self, value: Atlas) -> PackedAtlas:
        """Packs and publishes; the order of the sprites does not matter."""
        options = value.options
        packed = pack(
            [_sprite(item, self._store) for item in value.sprites],
            name=value.name,
            max_page_size=options.max_page_size,
            padding=options.padding,
            extrude=options.extrude,
            power_of_two=options.power_of_two,
        )
        encoded = [_encode(page, packed) for page in packed]
        pages = publish_pages(self._store, value.id, encoded)
        return PackedAtlas(id=value.id, pages=pages)


def _sprite(item: SpriteFile, store: Store) -> Sprite:
    pixels = read_png(store.blobs.get(item.file.digest))
    return Sprite(name=item.name, pixels=pixels, trim=item.file.trim, pivot=item.file.pivot)


def _encode(page: Page, pages: Sequence[Page]) -> tuple[AtlasPage, bytes, bytes]:
    image = png_bytes(page.pixels, text=page_text())
    related = [f"{other.name}.json" for other in pages if other.name != page.name]
    metadata = texturepacker_json(page, image=f"{page.name}.png", related=related)
    height, width, _ = page.pixels.shape
    row = AtlasPage(
        name=page.name,
        size=Size(width=width, height=height),
        image=digest_bytes(image),
        metadata=digest_bytes(metadata),
        placements=page.placements,
    )
    return row, image, metadata


def atlases(name: str, sprites: Iterable[SpriteFile], options: Pack) -> list[Atlas]:
    """Returns one atlas per target size, sprites in the order of their names.

    A size with more sprites than fit into a worker's memory becomes several atlases.
    """
    by_size: dict[Size, list[SpriteFile]] = {}
    for sprite in sorted(sprites, key=lambda sprite: sprite.name):
        by_size.setdefault(sprite.file.size, []).append(sprite)
    wanted = options.sizes or tuple(by_size)
    return [
        atlas
        for size in wanted
        if size in by_size
        for atlas in _parts(f"{name}-{size}", by_size[size], size, options)
    ]


def _parts(name: str, sprites: Sequence[SpriteFile], size: Size, options: Pack) -> Iterator[Atlas]:
    limit = max(PIXEL_BYTES // (size.width * size.height * 4), 1)
    for number, start in enumerate(range(0, len(sprites), limit)):
        part = f"{name}-part{number}" if len(sprites) > limit else name
        yield Atlas(name=part, sprites=tuple(sprites[start : start + limit]), options=options)
