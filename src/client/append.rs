//! Lines at the end of a value, merged with those of others (W7).

use bytes::Bytes;

use super::Error;
use super::location::Location;
use super::retry::Retry;
use super::value::joined;

/// Puts lines behind a value; those that others append at the same time are there too, and none is there twice. A key
/// that does not exist is created, in a konserve store as a log of the library. Two requests, and two more for each
/// time that another writer is first; in a mount the mount merges.
///
/// The last line is ended if it is not.
///
/// # Errors
/// [`Error::Contended`] when the policy gives up; [`Error::Unknown`] when the answer was lost: the lines may be there.
pub async fn append(location: &dyn Location, lines: &Bytes, retry: Retry) -> Result<(), Error> {
    let lines = ended(lines);
    if lines.is_empty() {
        return Ok(());
    }
    let mut tries = retry.begin();
    loop {
        let outcome = location.append(&lines, &mut tries).await?;
        if let Some(()) = tries.settle(|| location.label(), outcome).await? {
            return Ok(());
        }
    }
}

/// Whole lines, so that the next ones begin on a line of their own.
fn ended(lines: &Bytes) -> Bytes {
    match lines.last() {
        None | Some(b'\n') => lines.clone(),
        Some(_) => joined(lines, b"\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_ends_with_a_line_break() {
        for (given, appended) in [("", ""), ("a", "a\n"), ("a\n", "a\n"), ("a\nb", "a\nb\n")] {
            assert_eq!(ended(&Bytes::from(given)), appended, "{given:?}");
        }
    }
}
