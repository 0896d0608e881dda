//! Values of no bytes, and of sizes around the limit up to which they are read whole (8 MiB).

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::{bucket, flat};

const LIMIT: usize = 8 * 1024 * 1024;
const SIZES: [usize; 6] = [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT + 5];

/// Bytes that differ from place to place, so that a piece out of place shows.
fn pattern(size: usize, seed: usize) -> Vec<u8> {
    (0..size)
        .map(|at| ((at / 4099 + at * 31 + seed) % 251) as u8)
        .collect()
}

/// Not `assert_eq!`: its message would have megabytes.
#[track_caller]
fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: the size");
    let differs = found
        .iter()
        .zip(expected)
        .position(|(one, other)| one != other);
    assert_eq!(differs, None, "{what}: the first byte that differs");
}

#[test]
fn values_of_every_size_are_read_written_and_edited() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    for size in SIZES {
        other.put(&format!("key-{size}"), pattern(size, 0));
    }
    let mount = flat(&bucket);
    for size in SIZES {
        let key = format!("key-{size}");
        let path = mount.file(&key);
        let stored = |what: &str, expected: &[u8]| {
            assert_same(
                &other.get(&key).unwrap().bytes,
                expected,
                &format!("{key}, {what}"),
            );
        };
        assert_eq!(fs::metadata(&path).unwrap().len(), size as u64);
        assert_same(&fs::read(&path).unwrap(), &pattern(size, 0), &key);

        let written = pattern(size, 7);
        fs::write(&path, &written).unwrap();
        stored("written", &written);

        let mut edited = written;
        let file = File::options().read(true).write(true).open(&path).unwrap();
        for at in [0, size / 2, size.saturating_sub(1)] {
            file.write_all_at(b"E", at as u64).unwrap();
            edited.resize(edited.len().max(at + 1), 0);
            edited[at] = b'E';
        }
        drop(file);
        stored("edited", &edited);

        let mut longer = edited;
        let file = File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut &file, b"appended").unwrap();
        drop(file);
        longer.extend(b"appended");
        stored("appended", &longer);

        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(size as u64 / 2).unwrap();
        file.set_len(size as u64 / 2 + 100).unwrap();
        drop(file);
        longer.truncate(size / 2);
        longer.resize(size / 2 + 100, 0);
        stored("resized", &longer);
        assert_same(&fs::read(&path).unwrap(), &longer, &key);
    }
    mount.unmount();
}
