//! Whether an answer in XML is whole.
//!
//! The SDK's reader takes the end of a text, and the end of any element, for the end of every element in
//! it: what breaks off, or lost a part in between, would be a shorter answer. Pure; `list.rs` asks.

use xmlparser::{ElementEnd, Token, Tokenizer};

/// No answer of S3 is nested deeper.
const DEEPEST: usize = 16;

/// Makes sure that a text is one element of this name, and that every element in it ends where it should.
///
/// # Errors
/// It is not; what is wrong.
pub(super) fn check(xml: &[u8], root: &str) -> Result<(), String> {
    let text = std::str::from_utf8(xml).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut open: Vec<&str> = Vec::new();
    let mut begun = "";
    let mut roots = 0;
    // A mark of the byte order may come first, and what some servers put there.
    let text = text.trim_start_matches('\u{feff}').trim_start();
    for token in Tokenizer::from(text) {
        match token.map_err(|error| error.to_string())? {
            Token::ElementStart { local, .. } => {
                begun = local.as_str();
                if open.is_empty() {
                    roots += 1;
                    if begun != root {
                        return Err(format!("it is {begun:?}, and no {root}"));
                    }
                }
                if open.len() == DEEPEST {
                    return Err("it is nested too deeply".to_owned());
                }
                open.push(begun);
            }
            Token::ElementEnd {
                end: ElementEnd::Empty,
                ..
            } => _ = open.pop(),
            Token::ElementEnd {
                end: ElementEnd::Close(_, name),
                ..
            } => match open.pop() {
                Some(begun) if begun == name.as_str() => {}
                begun => {
                    let begun = begun.unwrap_or_default();
                    return Err(format!("{name} ends where {begun:?} should"));
                }
            },
            _ => {}
        }
    }
    match (open.is_empty(), roots) {
        (true, 1) => Ok(()),
        (true, _) => Err(format!("there is no {root} in it")),
        (false, _) => Err(format!("it breaks off in {begun:?}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const WHOLE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix/>\
        <IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><Size>1</Size></Contents>\
        <Contents><Key>c</Key><Size>2</Size></Contents></ListBucketResult>\n";

    fn check(xml: &str) -> Result<(), String> {
        super::check(xml.as_bytes(), "ListBucketResult")
    }

    #[test]
    fn a_whole_answer_is_whole() {
        assert_eq!(check(WHOLE), Ok(()));
        assert_eq!(check(&format!("\u{feff}{WHOLE}")), Ok(()));
        assert_eq!(check("<ListBucketResult/>"), Ok(()));
    }

    #[test]
    fn an_answer_that_lost_a_part_and_closes_its_root_is_not_whole() {
        for broken in [
            "",
            "no XML",
            "<ListBucketResult>",
            "<ListBucketResult><Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Contents></Key></ListBucketResult>",
            "<ListBucketResult></Contents></ListBucketResult>",
            "<ListBucketResult><Contents <Key>a</Key></Contents></ListBucketResult>",
            "<ListBucketResult>a < b</ListBucketResult>",
            "<ListBucketResult/><ListBucketResult/>",
            "<Error><Code>SlowDown</Code></Error>",
            "<html><body>ListBucketResult</body></html>",
            "<ListBucketResult><Key>\u{1}</Key></ListBucketResult>",
        ] {
            assert!(check(broken).is_err(), "{broken}");
        }
        assert!(
            super::check(
                b"<ListBucketResult>\xff</ListBucketResult>",
                "ListBucketResult"
            )
            .is_err()
        );
        let deep = format!("<ListBucketResult>{}", "<a>".repeat(1 << 20));
        assert!(check(&deep).is_err());
    }

    proptest! {
        #[test]
        fn an_answer_without_one_of_its_tags_is_not_whole(which in 0_usize..17) {
            let starts: Vec<_> = WHOLE.match_indices('<').map(|(at, _)| at).collect();
            let from = starts[1 + which % (starts.len() - 1)];
            let to = from + WHOLE[from..].find('>').expect("a tag ends") + 1;
            // An empty element is whole, and is missed by nobody here.
            prop_assume!(!WHOLE[from..to].ends_with("/>"));
            let broken = format!("{}{}", &WHOLE[..from], &WHOLE[to..]);
            prop_assert!(check(&broken).is_err(), "{}", broken);
        }
    }
}
