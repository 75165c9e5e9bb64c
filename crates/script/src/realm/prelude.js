// What a formula finds around it: the language less what would make two rows differ (a clock, chance, code from text, a
// place to keep something), and less the few built-ins that go on for long without asking whether time is up.
"use strict";
(() => {
  const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Reflect;
  const { isArray } = Array;
  const define = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
  const refusing = (name, advice) =>
    ({ [name]() { throw new TypeError(`${name} is not available in a formula: ${advice}`); } })[name];

  // Without a clock, and on every machine in UTC.
  const OldDate = Date;
  const { parse: oldParse, UTC } = OldDate;
  const noClock = "it must give the same value every time; use a column that holds the date";
  const parse = (text) => {
    text = String(text);
    // No date is as long as that, and a text that is would be searched for one.
    if (text.length > 1000) return NaN;
    const zoned = /([zZ]|UTC|GMT|[+-]\d{2}:?\d{2})\)?\s*$/.test(text);
    const local = oldParse(text);
    if (zoned || local !== local || /^\s*[+-]?\d{4,6}(-\d\d){0,2}\s*$/.test(text)) return local;
    const iso = oldParse(text.trim() + "Z");
    if (iso === iso) return iso;
    const other = oldParse(text.trim() + " UTC");
    return other === other ? other : local;
  };
  const NewDate = function Date(...parts) {
    if (!new.target) throw new TypeError("Date() is not available in a formula: " + noClock);
    if (parts.length === 0) throw new TypeError("new Date() without a date is not available in a formula: " + noClock);
    let time = parts[0];
    if (parts.length > 1) time = apply(UTC, undefined, parts);
    else if (typeof time === "string") time = parse(time);
    return construct(OldDate, [time], new.target);
  };
  NewDate.prototype = OldDate.prototype;
  define(OldDate.prototype, "constructor", NewDate);
  define(NewDate, "UTC", UTC);
  define(NewDate, "parse", ({ parse(text) { return parse(text); } }).parse);
  define(NewDate, "now", refusing("Date.now", noClock));
  for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"]) {
    define(OldDate.prototype, "get" + part, OldDate.prototype["getUTC" + part]);
    if (part !== "Day") define(OldDate.prototype, "set" + part, OldDate.prototype["setUTC" + part]);
  }
  define(OldDate.prototype, "getTimezoneOffset", ({ getTimezoneOffset() { return 0; } }).getTimezoneOffset);
  for (const name of ["toString", "toLocaleString"]) {
    define(OldDate.prototype, name, ({ [name]() { return this.toUTCString(); } })[name]);
  }
  for (const name of ["toDateString", "toLocaleDateString"]) {
    define(OldDate.prototype, name, ({ [name]() { return this.toISOString().slice(0, 10); } })[name]);
  }
  for (const name of ["toTimeString", "toLocaleTimeString"]) {
    define(OldDate.prototype, name, ({ [name]() { return this.toISOString().slice(11, 19); } })[name]);
  }
  define(globalThis, "Date", NewDate);
  define(Math, "random", refusing("Math.random", "it must give the same value every time"));

  // The engine asks for the time every 10,000th step of a loop or call of a function, not inside its built-ins. So that
  // one that is called again and again is stopped in time too, what it walks is paid for in steps of a loop.
  const toll = (steps) => { for (let left = steps / 64; left >= 1; left--); };

  // Lists have twice as many items at most as a cell can hold; one that says it has more has holes, and these built-ins
  // walk holes without asking for the time.
  const LIST_MAX = 1048576;
  const short = (list) => {
    if (!isArray(list)) throw new TypeError("this works on lists only");
    if (list.length > LIST_MAX) throw new RangeError("the list is too long");
    return list;
  };
  const guarded = (object, name, check) => {
    const old = object[name];
    if (typeof old !== "function") return;
    define(object, name, ({ [name](...given) { return apply(old, check(this, given), given); } })[name]);
  };
  const walked = (list) => {
    toll(short(list).length);
    return list;
  };
  const lists = [
    "join", "toLocaleString", "reverse", "toReversed", "slice", "splice", "toSpliced", "copyWithin", "shift", "unshift",
    "with", "fill", "flatMap",
  ];
  for (const name of lists) guarded(Array.prototype, name, walked);
  for (const name of ["values", "keys", "entries"]) guarded(Array.prototype, name, short);
  // Which objects are spread is not asked of them: they could answer differently each time.
  define(Array.prototype, "concat", ({
    concat(...given) {
      const out = [];
      for (let which = -1; which < given.length; which++) {
        const item = which < 0 ? this : given[which];
        if (!isArray(item)) { out[out.length] = item; continue; }
        short(item);
        for (let at = 0; at < item.length; at++) out[out.length] = item[at];
      }
      return out;
    },
  }).concat);
  define(Array.prototype, Symbol.iterator, Array.prototype.values);
  // Sorting without a comparison compares texts of any length in one go.
  const byText = (a, b) => { a = String(a); b = String(b); return a < b ? -1 : a > b ? 1 : 0; };
  for (const name of ["sort", "toSorted"]) {
    guarded(Array.prototype, name, (list, given) => {
      if (given[0] === undefined) given[0] = byText;
      return walked(list);
    });
  }
  const flatten = (list, depth, out) => {
    short(list);
    for (let at = 0; at < list.length; at++) {
      if (!(at in list)) continue;
      const item = list[at];
      if (depth > 0 && isArray(item)) flatten(item, depth - 1, out);
      else out[out.length] = item;
    }
    return out;
  };
  define(Array.prototype, "flat", ({ flat(depth = 1) { return flatten(this, depth, []); } }).flat);

  // Text is searched in steps of its length times the other's.
  const SEARCH_MAX = 268435456;
  const searched = (text, given) => {
    if (text === undefined || text === null) throw new TypeError("there is no text to search");
    text = String(text);
    if (given.length > 0 && !(given[0] instanceof RegExp) && given[0] !== undefined) {
      given[0] = String(given[0]);
      const steps = text.length * given[0].length;
      if (steps > SEARCH_MAX) throw new RangeError("the texts are too long for a search");
      toll(steps / 64);
    }
    return text;
  };
  for (const name of ["indexOf", "lastIndexOf", "includes", "split", "replace", "replaceAll"]) {
    guarded(String.prototype, name, searched);
  }
  // Marks that follow one another are sorted in steps of the square of their number.
  const brief = (text) => {
    text = String(text);
    if (text.length > LIST_MAX || (text.length > 500 && /\p{M}{500}/u.test(text))) {
      throw new RangeError("the text is too long to be normalized");
    }
    toll(text.length);
    return text;
  };
  guarded(String.prototype, "normalize", brief);
  guarded(String.prototype, "localeCompare", (text, given) => { given[0] = brief(given[0]); return brief(text); });

  define(String, "raw", ({
    raw(parts, ...given) {
      const texts = parts.raw;
      let out = "";
      for (let at = 0; at < texts.length; at++) {
        out += String(texts[at]);
        if (at + 1 < texts.length && at < given.length) out += String(given[at]);
      }
      return out;
    },
  }).raw);
  guarded(JSON, "stringify", (json, given) => {
    if (isArray(given[1])) walked(given[1]);
    return json;
  });

  // Patterns are compiled without asking for the time, in steps of the square of a class's length.
  const PATTERN_MAX = 10000;
  const OldRegExp = RegExp;
  const NewRegExp = function RegExp(pattern, flags) {
    if (!(pattern instanceof OldRegExp)) {
      pattern = pattern === undefined ? "" : String(pattern);
      if (pattern.length > PATTERN_MAX) throw new RangeError("the pattern is too long");
    }
    if (!new.target) return new NewRegExp(pattern, flags);
    return construct(OldRegExp, [pattern, flags], new.target);
  };
  NewRegExp.prototype = OldRegExp.prototype;
  define(OldRegExp.prototype, "constructor", NewRegExp);
  delete OldRegExp.prototype.compile;
  for (const name of ["escape", Symbol.species]) {
    const there = getOwnPropertyDescriptor(OldRegExp, name);
    if (there) defineProperty(NewRegExp, name, there);
  }
  define(globalThis, "RegExp", NewRegExp);
  for (const [name, flags] of [["match", ""], ["matchAll", "g"], ["search", ""]]) {
    guarded(String.prototype, name, (text, given) => {
      if (!(given[0] instanceof OldRegExp)) given[0] = new NewRegExp(given[0], flags);
      return text;
    });
  }

  // No row finds what another one left: everything that can be reached is frozen.
  const seen = new Set();
  const { freeze } = Object;
  const rest = [
    globalThis, function* () {}, async function () {}, async function* () {}, [].values(), new Map().entries(),
    new Set().values(), "".matchAll(/a/g), ""[Symbol.iterator](), (function* () {})(), (async function* () {})(),
  ];
  while (rest.length > 0) {
    const object = rest.pop();
    if ((typeof object !== "object" && typeof object !== "function") || object === null || seen.has(object)) continue;
    seen.add(object);
    rest.push(getPrototypeOf(object));
    for (const key of ownKeys(object)) {
      const { value, get, set } = getOwnPropertyDescriptor(object, key);
      rest.push(value, get, set);
    }
    freeze(object);
  }
})();
