// No code from text: not by name, and not through the constructors of functions.
"use strict";
(() => {
  const { defineProperty, getPrototypeOf } = Reflect;
  const kinds = [function () {}, function* () {}, async function () {}, async function* () {}];
  for (const kind of kinds) {
    const prototype = getPrototypeOf(kind);
    const { name } = prototype.constructor;
    const refusing = { [name]: function () { throw new TypeError(`${name} is not available here: code cannot be made from text`); } }[name];
    refusing.prototype = prototype;
    defineProperty(prototype, "constructor", { value: refusing, writable: true, configurable: true });
    if (name === "Function") defineProperty(globalThis, name, { value: refusing, writable: true, configurable: true });
  }
  for (const name of ["eval", "SharedArrayBuffer", "Atomics"]) delete globalThis[name];
})();
