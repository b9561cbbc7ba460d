// What is deployed, as far as choices depend on it.

export const POLISH_SIZES = ["128x128", "256x256", "512x512", "1024x1024"];
const SQUARES = ["64x64", ...POLISH_SIZES];

export class Fleet {
  constructor(models = []) {
    this.models = models;
  }

  of(role) {
    return this.models.find((model) => model.role === role);
  }

  /** What a call names this model by: two roles may be played by one model. */
  nameOf(model) {
    const namesakes = this.models.filter((other) => other.id === model.id);
    return namesakes.length > 1 ? model.role : model.id;
  }

  named(name) {
    return this.models.find((model) => this.nameOf(model) === name);
  }

  /** What can be asked for of a model; of all of them when none is named. */
  sizesOf(name) {
    const asked = name ? [this.named(name)] : this.models;
    return ordered(asked.flatMap((model) => (model?.sizes.length ? model.sizes : SQUARES)));
  }

  get draftSizes() {
    return this.of("draft")?.sizes ?? [];
  }

  get polishSizes() {
    const { sizes = [] } = this.of("final") ?? {};
    return sizes.length ? ordered(sizes) : POLISH_SIZES;
  }

  /** What each role polishes or captions at unless another size is chosen. */
  usual(role, sizes) {
    const size = this.of(role)?.size;
    return sizes.includes(size) ? size : sizes[Math.min(1, sizes.length - 1)];
  }

  /** The size that comes when none is asked for. */
  expected(body) {
    if (body.size) return body.size;
    const model = this.named(body.model) ?? this.of(body.model) ?? this.of(body.tags ? "draft" : "final");
    return model?.size ?? model?.sizes[0] ?? "64x64";
  }
}

function ordered(sizes) {
  return [...new Set(sizes)].sort((one, other) => area(one) - area(other));
}

function area(size) {
  const [width, height] = size.split("x").map(Number);
  return width * height;
}
