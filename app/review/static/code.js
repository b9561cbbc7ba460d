// One picture's request as text to run elsewhere: the same fields with its own seed, so the same picture.

const OPENAI = ["prompt", "model", "n", "size"];
const STREAMED = ["stream", "partial_images"];
const KEY = "ATELIER_KEY"; // the key itself is never written into text that gets passed on

/** The request for this picture alone, not streamed. */
export function requestOf(picture) {
  const { body } = picture.call;
  const kept = Object.entries(body).filter(([name]) => !STREAMED.includes(name));
  return { ...Object.fromEntries(kept), n: 1, seed: picture.seed };
}

/** For a shell; prints the answer, the picture in it as base64. */
export function curl(url, body, { keyed }) {
  const lines = [
    `curl -sS ${quoted(`${url}v1/images/generations`)}`,
    ...(keyed ? [`-H "Authorization: Bearer $${KEY}"`] : []),
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify(body))}`,
  ];
  return `${lines.join(" \\\n  ")}\n`;
}

/** For Python with `pip install openai`; writes the picture to a file. */
export function python(url, body, { keyed, file }) {
  const own = Object.entries(body).filter(([name]) => !OPENAI.includes(name));
  const standard = OPENAI.filter((name) => name in body);
  return [
    ...(keyed ? ["import os"] : []),
    "from base64 import b64decode",
    "from pathlib import Path",
    "",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${literal(`${url}v1`)}, api_key=${keyed ? `os.environ["${KEY}"]` : '"none"'})`,
    "answer = client.images.generate(",
    ...standard.map((name) => `    ${name}=${literal(body[name])},`),
    "    extra_body={",
    ...own.map(([name, value]) => `        ${literal(name)}: ${literal(value)},`),
    "    },",
    ")",
    `Path(${literal(file)}).write_bytes(b64decode(answer.data[0].b64_json))`,
    "",
  ].join("\n");
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value); // a string of JSON is one of Python
  const pairs = Object.entries(value).map(([name, one]) => `${literal(name)}: ${literal(one)}`);
  return `{${pairs.join(", ")}}`;
}
