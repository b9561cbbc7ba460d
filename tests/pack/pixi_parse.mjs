// Prints what PixiJS's own Spritesheet parser makes of a sheet.
// node pixi_parse.mjs FOLDER_WITH_NODE_MODULES SHEET.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// PixiJS asks the browser for its name while it loads; older nodes have none to give.
globalThis.navigator ??= { userAgent: "node", platform: "node" };

const [folder, sheet] = process.argv.slice(2);
const { Spritesheet, Texture, TextureSource } = createRequire(join(folder, "_"))("pixi.js");

const data = JSON.parse(readFileSync(sheet, "utf8"));
const { w: width, h: height } = data.meta.size;
const texture = new Texture({ source: new TextureSource({ width, height }) });
const textures = await new Spritesheet({ texture, data }).parse();

const numbers = (rect) => rect && [rect.x, rect.y, rect.width, rect.height];
const parsed = Object.entries(textures).map(([name, { frame, trim, orig, defaultAnchor, rotate }]) => [
  name,
  {
    frame: numbers(frame),
    trim: numbers(trim),
    orig: numbers(orig),
    anchor: [defaultAnchor.x, defaultAnchor.y],
    rotate,
  },
]);
console.log(JSON.stringify(Object.fromEntries(parsed)));
