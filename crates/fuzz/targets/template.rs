//! Fuzzes `paceline_fuzz::template`; built without a fuzzer, replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| paceline_fuzz::template(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    paceline_fuzz::replay(paceline_fuzz::template, std::env::args_os().skip(1).map(Into::into))
}
