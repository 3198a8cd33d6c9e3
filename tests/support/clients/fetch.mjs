// Node's fetch (undici) and its FormData: a Blob has the filename "blob", a File its own.
// node fetch.mjs http://127.0.0.1:8000 tiny picture.jpg

import { readFile } from "node:fs/promises";
import { createReadStream } from "node:fs";

const [base, model, path] = process.argv.slice(2);
const url = `${base}/v1/models/${model}:predict`;
const data = await readFile(path);

async function show(what, body, headers = {}, more = {}) {
  const answer = await fetch(url, { method: "POST", body, headers, ...more });
  const text = await answer.text();
  console.log(what, answer.status, text.includes("predictions"));
}

function form(...fields) {
  const made = new FormData();
  for (const field of fields) made.append(...field);
  return made;
}

await show("bytes", data, { "content-type": "image/jpeg" });
await show("stream", createReadStream(path), {}, { duplex: "half" });
await show("blob", form(["image", new Blob([data])], ["top", "1"]));
await show("file", form(["pictures[]", new Blob([data]), 'a "b"; name=top.jpg']));
await show("json", JSON.stringify({ images: [data.toString("base64url")] }), { "content-type": "application/json" });
