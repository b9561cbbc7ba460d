// How large a picture is shown: whole device pixels for small ones, so that every pixel is a square.

export const SMOOTH_FROM = 256; // pixels a side; from here on a picture is no pixel art

/** The side lengths in CSS pixels at which a picture fills this room without blurring. */
export function shownSize({ width, height }, room, { crisp, ratio = devicePixelRatio }) {
  const most = Math.min((room.width * ratio) / width, (room.height * ratio) / height);
  const factor = crisp && most >= 1 ? Math.floor(most) : most;
  return { width: (width * factor) / ratio, height: (height * factor) / ratio };
}

/** In how many columns `count` squares become largest in this room, and how large. */
export function columnsFor(count, room, { gap, label }) {
  const fits = Array.from({ length: count }, (_, index) => {
    const columns = index + 1;
    const rows = Math.ceil(count / columns);
    const wide = (room.width - gap * (columns - 1)) / columns;
    const tall = (room.height - gap * (rows - 1)) / rows - label;
    return { columns, side: Math.floor(Math.min(wide, tall)) };
  });
  return fits.reduce((best, one) => (one.side > best.side ? one : best));
}

export function sizeOf(text) {
  const [width, height] = (text ?? "64x64").split("x").map(Number);
  return { width, height };
}

/** Set an image to a picture's newest state at the size that fits; decoded first, so no flicker. */
export function show(image, { url, size }, room, { crisp }) {
  const fitted = shownSize(sizeOf(size), room, { crisp });
  image.style.width = `${fitted.width}px`;
  image.style.height = `${fitted.height}px`;
  image.classList.toggle("crisp", crisp);
  image.classList.toggle("waiting", !url);
  if (image.dataset.url === (url ?? "")) return;
  image.dataset.url = url ?? "";
  if (!url) return image.removeAttribute("src");
  const next = new Image();
  next.src = url;
  const put = () => image.dataset.url === url && (image.src = url);
  next.decode().then(put, put);
}
