//! What scripts do that harm others where they are let: one of each class for formulas and for functions.

/// A script that misbehaves in some rows.
pub(crate) struct Abuse {
    /// Its column.
    pub(crate) name: &'static str,
    /// What it does there.
    pub(crate) script: &'static str,
    /// The codes that its cell may end with.
    pub(crate) codes: &'static [&'static str],
}

const fn abuse(name: &'static str, script: &'static str, codes: &'static [&'static str]) -> Abuse {
    Abuse { name, script, codes }
}

const TIME: &[&str] = &["SCRIPT_TIMEOUT"];
const THROWN: &[&str] = &["SCRIPT_ERROR"];
// A machine that is slow enough has no time to take all of the memory.
const MEMORY: &[&str] = &["SCRIPT_MEMORY", "SCRIPT_TIMEOUT"];

/// What works alike for both.
const BOTH: [Abuse; 9] = [
    abuse("loop", "for (;;) { try { while (true) {} } catch {} finally { continue } }", TIME),
    abuse("regex", "return /^(a+)+$/.test('a'.repeat(64) + '!')", TIME),
    abuse("bomb", "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length)", MEMORY),
    abuse(
        "doubling",
        "let s = 'x'; for (;;) s += s",
        &["SCRIPT_MEMORY", "SCRIPT_ERROR", "SCRIPT_TIMEOUT"],
    ),
    abuse("recursion", "const f = () => f() + 1; return f()", THROWN),
    abuse("flood", "const all = []; for (;;) all.push(new Promise(() => 0).then(() => 0))", MEMORY),
    abuse("endless", "return (async () => { while (true) await null })()", TIME),
    abuse("network", "return fetch('http://127.0.0.1/')", THROWN),
    abuse("file", "return require('fs').readFileSync('/etc/passwd', 'utf8')", THROWN),
];

/// Formulas: what they share is frozen; built-ins that do not ask for the time are bounded, or end with a child.
pub(crate) fn formulas() -> impl Iterator<Item = Abuse> {
    let own = [
        abuse("prototype", "Object.prototype.polluted = 1; return 'got through'", THROWN),
        abuse("built_in", "return new Array(2 ** 32 - 1).join('')", THROWN),
        // Nothing in this process can stop it.
        abuse("stuck", "const big = (1n << 500000n) - 1n; for (;;) big * big", TIME),
    ];
    BOTH.into_iter().chain(own)
}

/// Functions: what they change goes with their call, and the end of their process stops a built-in.
pub(crate) fn functions() -> impl Iterator<Item = Abuse> {
    let own = [
        abuse("prototype", "return constructor.constructor('return process')()", THROWN),
        abuse("built_in", "return new Array(2 ** 32 - 1).join('')", TIME),
    ];
    BOTH.into_iter().chain(own)
}
