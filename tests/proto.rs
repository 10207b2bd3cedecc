//! The committed protobuf code is what `proto/` makes of it. No protoc anywhere: protox reads the files.

use std::path::Path;

#[test]
fn the_generated_protobuf_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile([root.join("proto/sightwire/v1/sightwire.proto")], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().out_dir(out.path()).compile_fds(files).unwrap();
    let fresh = std::fs::read_to_string(out.path().join("sightwire.v1.rs")).unwrap();
    let committed = root.join("src/codec/generated/sightwire.v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    assert!(
        std::fs::read_to_string(&committed).unwrap_or_default() == fresh,
        "{} is not what proto/ makes; renew it: UPDATE_GENERATED=1 cargo test --test proto",
        committed.display()
    );
}
