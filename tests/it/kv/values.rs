//! One value: written and read back, whole or in part, with what travels with it.

use super::{Desk, fails};

#[test]
fn what_is_put_is_what_is_got() {
    let desk = or_skip!(Desk::new());
    let etag = desk.says("printf hello | etagfs put $S/dir/key");
    assert_eq!(desk.says("etagfs get $S/dir/key"), "hello");
    let object = desk.other.get(&desk.object("dir/key")).unwrap();
    assert_eq!(
        (object.text(), format!("{}\n", object.etag)),
        ("hello", etag)
    );
}

#[test]
fn get_prints_the_etag_beside_the_value() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "value");
    let out = desk.run("etagfs get --etag $S/key").ok();
    assert_eq!(
        (out.stdout, out.stderr),
        ("value".into(), format!("{etag}\n"))
    );
}

#[test]
fn a_missing_key_has_an_exit_code_of_its_own() {
    let desk = or_skip!(Desk::new());
    fails(&desk.run("etagfs get $S/key"), 66, &["/key does not exist"]);
    assert_eq!(desk.says("etagfs get $S/key --default none"), "none");
}
