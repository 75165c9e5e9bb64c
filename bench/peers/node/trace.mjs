// Asks bottleneck and p-queue to push calls through both windows, and prints when each call left: one JSON line per
// peer and set of limits.  node trace.mjs SETS.json
import { readFileSync } from "node:fs";

import * as time from "./virtual_time.mjs";

time.install();
const { default: Bottleneck } = await import("bottleneck");
const { default: PQueue } = await import("p-queue");

const version = (name) =>
  JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;

const reservoir = ({ count, window_ms }) =>
  new Bottleneck({ reservoir: count, reservoirRefreshAmount: count, reservoirRefreshInterval: window_ms });
const queue = ({ count, window_ms }, strict) => new PQueue({ interval: window_ms, intervalCap: count, strict });

// Each takes the short window, the long one, and answers a function that pushes one call. The short window is the gate
// nearest the wire: the favourable order.
const peers = [
  {
    peer: "bottleneck",
    how: "reservoir refreshed every window; long.chain(short)",
    version: version("bottleneck"),
    open(short, long) {
      const [inner, outer] = [reservoir(short), reservoir(long)];
      outer.chain(inner);
      return (call) => outer.schedule(call);
    },
  },
  ...[false, true].map((strict) => ({
    peer: strict ? "p-queue strict" : "p-queue",
    how: `interval and intervalCap${strict ? ", strict: true" : ""}; the long queue feeds the short one`,
    version: version("p-queue"),
    open(short, long) {
      const [inner, outer] = [queue(short, strict), queue(long, strict)];
      return (call) => outer.add(() => inner.add(call));
    },
  })),
];

for (const [set, { calls, limits }] of JSON.parse(readFileSync(process.argv[2])).entries()) {
  for (const { peer, how, version, open } of peers) {
    time.reset();
    const push = open(...limits);
    const sent_ns = [];
    const failed = [];
    for (let i = 0; i < calls; i++) {
      push(async () => sent_ns.push(Math.round(time.now() * 1e6))).catch((error) => failed.push(error));
    }
    await time.runUntil(() => sent_ns.length + failed.length >= calls);
    if (failed.length > 0) throw failed[0];
    console.log(JSON.stringify({ set, peer, how, version, sent_ns }));
  }
}
process.exit(0);
