#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushbox_fuzz::properties::keys(data));
