/**
 * Reads messages from the wire and from JSON, and writes each as it came to be in TypeScript: what
 * went in must come out.
 *
 *   node conformance.ts < messages.json
 *
 * In and out is a list of `{type, wire, json}`, `wire` in hexadecimal; out, `wire` is written from
 * `json` and `json` from `wire`, and `again` is `wire` as it was read, written again.
 */
import { readdir } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { createRegistry, type DescFile, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const files: DescFile[] = [];
for (const path of await readdir(new URL("gen/ghostback", import.meta.url), { recursive: true })) {
  if (path.endsWith("_pb.js")) {
    const stubs: Record<string, unknown> = await import(`./gen/ghostback/${path}`);
    const names = Object.keys(stubs).filter((name) => name.startsWith("file_"));
    files.push(...names.map((name) => stubs[name] as DescFile));
  }
}
const registry = createRegistry(...files);

const given: { type: string; wire: string; json: never }[] = JSON.parse(await text(process.stdin));
const written = given.map(({ type, wire, json }) => {
  const schema = registry.getMessage(type);
  if (!schema) throw new Error(`the stubs have no ${type}`);
  const message = fromBinary(schema, Buffer.from(wire, "hex"));
  return {
    type,
    wire: hex(toBinary(schema, fromJson(schema, json, { registry }))),
    json: toJson(schema, message, { registry }),
    again: hex(toBinary(schema, message)),
  };
});
console.log(JSON.stringify(written));
