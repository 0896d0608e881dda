//! Parts of an object: how one is asked for, and whether an answer announces just that.
//!
//! Pure arithmetic on headers (RFC 9110, 14). It reads no body and sends nothing; `read.rs` is
//! its user.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;

use crate::backend::ByteRange;

/// The most that is read to get a part, from a server that ignores ranges; more would be a denial of service.
pub(super) const MOST_FOR_A_PART: u64 = 16 << 20;

/// The Range header. Servers refuse numbers beyond their integers, so a range that ends past every
/// object has no end.
pub(super) fn byte_range(start: u64, len: u64) -> String {
    match start.checked_add(len.max(1) - 1) {
        Some(last) if i64::try_from(last).is_ok() => format!("bytes={start}-{last}"),
        _ => format!("bytes={start}-"),
    }
}

/// What an answer says of the sizes to come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// The whole object. None: only the end of the body will tell.
    pub(super) size: Option<u64>,
    /// The body that is to be read.
    pub(super) body: Extent,
    /// How much of it comes before what was asked for.
    pub(super) skip: u64,
}

/// How much of a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing of it: it is not wanted, or empty.
    Nothing,
    /// All of it, which has this many bytes.
    Exactly(u64),
    /// All of it, if it has at most this many bytes.
    UpTo(u64),
}

impl Extent {
    fn exactly(bytes: u64) -> Self {
        match bytes {
            0 => Self::Nothing,
            bytes => Self::Exactly(bytes),
        }
    }

    /// At most this many bytes are read.
    pub(super) fn most(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Exactly(bytes) | Self::UpTo(bytes) => bytes,
        }
    }
}

/// Checks what an answer announces against what was asked for. Gateways that compress or convert send
/// no Content-Length.
pub(super) fn announced(answer: &GetObjectOutput, span: ByteRange) -> Result<Announced, String> {
    let length = match answer.content_length.map(u64::try_from) {
        None => None,
        Some(Ok(length)) => Some(length),
        Some(Err(_)) => return Err("its length is negative".to_owned()),
    };
    let body = |body| Announced {
        size: length,
        body,
        skip: 0,
    };
    match span {
        ByteRange::UpTo(most) => Ok(body(match length {
            Some(length) if length <= most => Extent::exactly(length),
            Some(_) => Extent::Nothing,
            None => Extent::UpTo(most.min(MOST_FOR_A_PART)),
        })),
        ByteRange::Range { start, len } => match answer.content_range() {
            Some(range) => {
                let (first, last, size) =
                    content_range(range).ok_or_else(|| format!("the range {range:?}"))?;
                let expected = size.saturating_sub(start).min(len);
                if expected == 0 || first != start || last.checked_sub(first) != Some(expected - 1)
                {
                    return Err(format!("asked for {len} bytes at {start}, got {range}"));
                }
                if let Some(length) = length
                    && length != expected
                {
                    return Err(format!("{length} bytes announced for {range}"));
                }
                Ok(Announced {
                    size: Some(size),
                    ..body(Extent::Exactly(expected))
                })
            }
            // A server may send the whole object where a part was asked for.
            None => Ok(Announced {
                skip: start,
                ..body(match length {
                    Some(length) if length <= MOST_FOR_A_PART => Extent::exactly(length),
                    Some(_) => return Err(NO_RANGES.to_owned()),
                    None => Extent::UpTo(MOST_FOR_A_PART),
                })
            }),
        },
    }
}

/// The whole of a large object came where a part was asked for.
pub(super) const NO_RANGES: &str = "the server does not serve ranges";

/// Reads `bytes FIRST-LAST/SIZE` (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

/// `len` bytes from `start`, or fewer if the object ends before.
pub(super) fn part(bytes: &Bytes, skip: u64, len: u64) -> Bytes {
    let size = bytes.len();
    let index = |at: u64| usize::try_from(at).map_or(size, |at| at.min(size));
    bytes.slice(index(skip)..index(skip.saturating_add(len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: Option<i64>, range: Option<&str>) -> GetObjectOutput {
        GetObjectOutput::builder()
            .set_content_length(length)
            .set_content_range(range.map(str::to_owned))
            .build()
    }

    fn announced_as(size: u64, body: u64, skip: u64) -> Announced {
        Announced {
            size: Some(size),
            body: Extent::exactly(body),
            skip,
        }
    }

    #[test]
    fn a_larger_object_than_asked_for_is_announced_and_not_read() {
        let all = |length| announced(&answer(Some(length), None), ByteRange::UpTo(10)).unwrap();
        assert_eq!(all(10), announced_as(10, 10, 0));
        assert_eq!(all(11), announced_as(11, 0, 0));
        assert!(announced(&answer(Some(-1), None), ByteRange::UpTo(10)).is_err());
    }

    #[test]
    fn an_answer_without_a_length_is_read_as_far_as_it_is_wanted() {
        let unannounced = |most, skip| Announced {
            size: None,
            body: Extent::UpTo(most),
            skip,
        };
        let whole = |most| announced(&answer(None, None), ByteRange::UpTo(most)).unwrap();
        assert_eq!(whole(10), unannounced(10, 0));
        assert_eq!(whole(u64::MAX), unannounced(MOST_FOR_A_PART, 0));
        let span = ByteRange::Range { start: 4, len: 4 };
        let part = |range| announced(&answer(None, range), span);
        assert_eq!(part(Some("bytes 4-7/100")), Ok(announced_as(100, 4, 0)));
        assert_eq!(part(None), Ok(unannounced(MOST_FOR_A_PART, 4)));
    }

    #[test]
    fn a_range_is_what_was_asked_for_or_nothing() {
        let span = ByteRange::Range { start: 4, len: 4 };
        let part = |length, range| announced(&answer(Some(length), Some(range)), span);
        assert_eq!(part(4, "bytes 4-7/100"), Ok(announced_as(100, 4, 0)));
        assert_eq!(part(2, "bytes 4-5/6"), Ok(announced_as(6, 2, 0)));
        for (length, range) in [
            (4, "bytes 5-8/100"),
            (3, "bytes 4-6/100"),
            (9, "bytes 4-12/100"),
            (5, "bytes 4-7/100"),
            (4, "bytes 4-7/*"),
            (4, "bytes 7-4/100"),
            (4, "4-7/100"),
            (0, "bytes 4-3/4"),
        ] {
            assert!(part(length, range).is_err(), "{range}");
        }
    }

    #[test]
    fn a_whole_object_is_cut_to_the_part_if_it_is_not_too_large() {
        let span = ByteRange::Range { start: 4, len: 4 };
        let whole = |length| announced(&answer(Some(length), None), span);
        assert_eq!(whole(8), Ok(announced_as(8, 8, 4)));
        assert_eq!(whole(3), Ok(announced_as(3, 3, 4)));
        assert!(whole(1 << 40).is_err());
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(part(&bytes, 4, 4), "4567");
        assert_eq!(part(&bytes, 8, u64::MAX), "89");
        assert_eq!(part(&bytes, 10, 1), "");
        assert_eq!(part(&bytes, 11, 1), "");
    }

    #[test]
    fn a_range_to_the_end_of_the_numbers_has_no_end() {
        assert_eq!(byte_range(3, 4), "bytes=3-6");
        assert_eq!(byte_range(3, u64::MAX), "bytes=3-");
        assert_eq!(byte_range(0, u64::MAX), "bytes=0-");
    }
}
