// A clock that stands still while there is work and jumps to the next timer when there is none.
//
// Replaces what the peers take time from: Date.now, performance.now, setTimeout and setInterval. Microtasks and
// setImmediate stay real, because between two timers everything that can run must run.

const realImmediate = globalThis.setImmediate;
const drained = () => new Promise((done) => realImmediate(done));

let nowMs = 0;
let nextId = 1;
const timers = new Map();

class Timer {
  constructor(act, afterMs, everyMs) {
    this.id = nextId++;
    this.act = act;
    // As node does it: whole milliseconds, at least one.
    this.at = nowMs + Math.max(1, Math.trunc(afterMs) || 0);
    this.everyMs = everyMs;
    timers.set(this.id, this);
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }

  hasRef() {
    return true;
  }

  [Symbol.toPrimitive]() {
    return this.id;
  }
}

export function install() {
  globalThis.setTimeout = (act, ms, ...given) => new Timer(() => act(...given), ms, undefined);
  globalThis.setInterval = (act, ms, ...given) => new Timer(() => act(...given), ms, Math.max(1, Math.trunc(ms) || 0));
  const clear = (timer) => timers.delete(Number(timer));
  globalThis.clearTimeout = clear;
  globalThis.clearInterval = clear;
  // Not zero: some libraries take that for "never".
  Date.now = () => 1_767_225_600_000 + nowMs;
  globalThis.performance.now = () => nowMs;
}

export function now() {
  return nowMs;
}

/** Forgets every timer, so that the next peer starts on a quiet clock at zero. */
export function reset() {
  timers.clear();
  nowMs = 0;
}

/** Runs timers in their order until `isDone`, or gives up when none is left. */
export async function runUntil(isDone) {
  await drained();
  while (!isDone()) {
    let next;
    for (const timer of timers.values()) {
      if (next === undefined || timer.at < next.at) next = timer;
    }
    if (next === undefined) throw new Error("nothing is left to wait for, and calls are missing");
    nowMs = Math.max(nowMs, next.at);
    if (next.everyMs === undefined) timers.delete(next.id);
    else next.at += next.everyMs;
    next.act();
    await drained();
  }
}
