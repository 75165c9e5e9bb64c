//! Fuzzes `paceline_fuzz::header`; built without a fuzzer, replays the files it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| paceline_fuzz::header(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    paceline_fuzz::replay(paceline_fuzz::header, std::env::args_os().skip(1).map(Into::into))
}
