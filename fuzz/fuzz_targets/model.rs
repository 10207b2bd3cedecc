//! Model files with anything in them: looking through one ends, mending it moves nothing and leaves nothing to mend, and nothing
//! panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sightwire::inference::stages::mend;

fuzz_target!(|bytes: &[u8]| {
    let mut mended = bytes.to_vec();
    let Ok(listed) = mend(&mut mended) else {
        assert_eq!(mended, bytes, "what is no model stays as it is");
        return;
    };
    let changed = mended.iter().zip(bytes).filter(|(a, b)| a != b).count();
    assert_eq!((mended.len(), changed), (bytes.len(), listed));
    assert_eq!(mend(&mut mended.clone()).ok(), Some(0), "nothing is left");
});
