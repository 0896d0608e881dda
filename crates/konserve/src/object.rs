//! The names that the objects of a konserve store have in its bucket.
//!
//! `STORE_UUID.ksv` holds a value, `STORE_.konserve-metadata` marks a store. Texts only: it knows
//! of no bytes and makes no requests. Of konserve-s3 0.1.10 and later.

use uuid::Uuid;

use super::{edn, value::Value};

/// After a store's name: the object that marks it.
pub const MARKER: &str = "_.konserve-metadata";
/// What the marker holds.
pub const MARKER_BYTES: &[u8] = b"konserve";
/// Where konserve-s3 0.1.23 to 0.1.30 kept the names of all stores.
pub const REGISTRY: &str = "_konserve-stores-registry";

const VALUE: &str = ".ksv";
/// Copies that a crash of the library can leave behind.
const LEFTOVERS: [&str; 2] = [".ksv.new", ".ksv.backup"];

/// What an object of a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It marks the store.
    Marker,
    /// It holds the value of the key with this hash.
    Value(Uuid),
    /// A copy of a value that a crash left behind.
    Leftover,
}

/// The name of a value's object.
pub fn of_value(store: Uuid, object: Uuid) -> String {
    format!("{store}_{object}{VALUE}")
}

/// What an object is, by its name after the store's; `None` for objects that are not konserve's.
pub fn role(after_store: &str) -> Option<Role> {
    if after_store == MARKER {
        return Some(Role::Marker);
    }
    let name = after_store.strip_prefix('_')?;
    let (id, ending) = name.split_at_checked(36)?;
    let object = Uuid::try_parse(id).ok()?;
    match ending {
        VALUE if object.to_string() == id => Some(Role::Value(object)),
        _ if LEFTOVERS.contains(&ending) => Some(Role::Leftover),
        _ => None,
    }
}

/// The stores that a registry names; `None` if it is not one.
pub fn read_registry(text: &str) -> Option<Vec<Uuid>> {
    let Ok(Value::Vector(ids)) = edn::read(text) else {
        return None;
    };
    ids.into_iter()
        .map(|id| match id {
            Value::Uuid(id) => Some(id),
            _ => None,
        })
        .collect()
}

/// The registry of these stores.
pub fn write_registry(stores: &[Uuid]) -> String {
    let ids = stores.iter().copied().map(Value::Uuid).collect();
    edn::print_line(&Value::Vector(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
    const OBJECT: &str = "06cee0d3-72f7-5bfd-ae3b-af7c2f0fef8f";

    #[test]
    fn an_objects_name_says_what_it_is() {
        let store = Uuid::try_parse(STORE).unwrap();
        let object = OBJECT.parse().unwrap();
        let role_of = |name: &str| role(name.strip_prefix(STORE).unwrap());
        assert_eq!(role_of(&of_value(store, object)), Some(Role::Value(object)));
        assert_eq!(role_of(&format!("{STORE}{MARKER}")), Some(Role::Marker));
        assert_eq!(role(&format!("_{OBJECT}.ksv.new")), Some(Role::Leftover));
        assert_eq!(role(&format!("_{OBJECT}.ksv.backup")), Some(Role::Leftover));
        for other in [
            "",
            "_",
            "_x.ksv",
            "0",
            "_.txt",
            &format!("_{OBJECT}.txt"),
            &format!("_{}.ksv", OBJECT.to_uppercase()),
        ] {
            assert_eq!(role(other), None, "{other}");
        }
    }

    #[test]
    fn a_registry_comes_back() {
        let text = "[#uuid \"0c000000-0000-4000-8000-000000000002\" #uuid \"0c000000-0000-4000-8000-000000000001\"]";
        let stores = read_registry(text).unwrap();
        assert_eq!(stores.len(), 2);
        assert_eq!(write_registry(&stores), text);
        for bad in ["", "[1]", "{}", "[\"a\"]"] {
            assert_eq!(read_registry(bad), None);
        }
    }
}
