//! Names of temporary files end with six random characters (mkstemp(3)). Six times in a thousand all are
//! lower-case letters; that may as well be a word in the name of a key, and the mount takes it for one (W9
//! promises nothing else). Then what a program cost says nothing.

/// Whether a key has a name that mkstemp(3) may have made of lower-case letters only.
pub(crate) fn may_be_a_word(key: &str) -> bool {
    let random = key.get(key.len().saturating_sub(6)..).unwrap_or_default();
    random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_lowercase())
}
