//! A listing to its end, one page after another.
//!
//! Whatever a server answers, it ends: pages that come again are an error, and so are names that would not
//! fit into memory (A4, A5). It knows what no single page shows; `s3/list.rs` judges each of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{After, Backend, Error, ListQuery, Page};

/// A listing with this many pages in a row without a name is given up.
const EMPTY: u32 = 1000;

/// What a name costs while it is listed, and in what is made of it, besides its bytes, which are there
/// twice.
const COST: u64 = 320;

/// What the names of all listings of this process cost that are under way.
static UNDER_WAY: AtomicU64 = AtomicU64::new(0);

/// A listing under way.
pub struct Pages<'a> {
    backend: &'a dyn Backend,
    query: Option<ListQuery>,
    progress: Progress,
}

impl<'a> Pages<'a> {
    /// The pages of what is asked for.
    pub fn new(backend: &'a dyn Backend, query: ListQuery) -> Self {
        let what = format!("{}/{}*", backend.name(), query.prefix);
        Self {
            progress: Progress::new(what, backend.limits().listing_bytes),
            backend,
            query: Some(query),
        }
    }

    /// The next page; none after the last.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Corrupt`] for pages that come again, [`Error::TooBig`] for more names than
    /// fit into memory.
    pub async fn next(&mut self) -> Result<Option<Page>, Error> {
        let Some(query) = &mut self.query else {
            return Ok(None);
        };
        let page = self.backend.list(query).await?;
        let objects = page.objects.iter().map(|object| object.key.as_str());
        let names = objects.chain(page.prefixes.iter().map(String::as_str));
        self.progress
            .page(names, page.next.as_ref().map(|next| &*next.0))?;
        match &page.next {
            Some(cursor) => query.after = After::Page(cursor.clone()),
            None => self.query = None,
        }
        Ok(Some(page))
    }

    /// Goes on behind this name, if there is another page.
    pub fn jump(&mut self, name: String) {
        if let Some(query) = &mut self.query {
            query.after = After::Name(name);
        }
    }

    /// From now on asks for this many names at once.
    pub fn widen(&mut self, limit: u16) {
        if let Some(query) = &mut self.query {
            query.limit = limit;
        }
    }
}

/// Whether a listing gets anywhere, and how much of this machine's memory it takes.
pub(super) struct Progress {
    what: String,
    limit: u64,
    taken: u64,
    empty: u32,
    pages: u64,
    /// A page that must not come again: the first, the second, the fourth, ... (R. P. Brent's way to find
    /// a circle without remembering all of it.)
    mark: Option<u64>,
    next_mark: u64,
}

impl Progress {
    pub(super) fn new(what: String, limit: u64) -> Self {
        Self {
            what,
            limit,
            taken: 0,
            empty: 0,
            pages: 0,
            mark: None,
            next_mark: 1,
        }
    }

    /// Notes a page: its names, and what the next one is called.
    pub(super) fn page<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
        next: Option<&str>,
    ) -> Result<(), Error> {
        let mut hasher = DefaultHasher::new();
        let mut count = 0_u64;
        let mut cost = 0;
        for name in names {
            name.hash(&mut hasher);
            count += 1;
            cost += COST + 2 * name.len() as u64;
        }
        self.take(cost)?;
        let Some(next) = next else {
            return Ok(());
        };
        if count == 0 {
            // Only the next page can tell it from others.
            next.hash(&mut hasher);
            self.empty += 1;
        } else {
            self.empty = 0;
        }
        if self.empty == EMPTY {
            return Err(self.corrupt(format!("{EMPTY} pages in a row have no name")));
        }
        let print = hasher.finish();
        if self.mark == Some(print) {
            return Err(self.corrupt("the pages go round in a circle".to_owned()));
        }
        self.pages += 1;
        if self.pages == self.next_mark {
            self.mark = Some(print);
            self.next_mark *= 2;
        }
        Ok(())
    }

    fn take(&mut self, cost: u64) -> Result<(), Error> {
        self.taken += cost;
        let all = UNDER_WAY.fetch_add(cost, Ordering::Relaxed) + cost;
        match all > self.limit {
            true => Err(Error::TooBig {
                what: format!("the listing of {}", self.what),
                why: format!(
                    "its names do not fit into {} MiB of memory; see --listing-memory",
                    self.limit >> 20
                ),
            }),
            false => Ok(()),
        }
    }

    fn corrupt(&self, why: String) -> Error {
        Error::Corrupt {
            what: self.what.clone(),
            why,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these pages are taken before it is an error.
    fn taken(pages: impl Iterator<Item = (Vec<String>, String)>, limit: u64) -> (usize, Error) {
        let mut progress = Progress::new("b/*".to_owned(), limit);
        for (at, (names, next)) in pages.enumerate() {
            let names = names.iter().map(String::as_str);
            if let Err(error) = progress.page(names, Some(&next)) {
                return (at, error);
            }
        }
        panic!("the pages are over, and no error");
    }

    #[test]
    fn pages_that_come_again_are_an_error() {
        for tail in [0, 1, 5] {
            for circle in [1, 2, 3, 7, 100] {
                let page = |at: usize| match at < tail {
                    true => at,
                    false => tail + (at - tail) % circle,
                };
                // A new token each time does not make other pages of them.
                let pages = (0..).map(|at| (vec![format!("k{}", page(at))], format!("t{at}")));
                let (at, error) = taken(pages, u64::MAX);
                assert!(at <= 4 * (tail + circle), "{tail} {circle}: {at}");
                assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            }
        }
    }

    #[test]
    fn empty_pages_come_to_an_end() {
        let fresh = (0..).map(|at| (Vec::new(), format!("t{at}")));
        let (at, error) = taken(fresh, u64::MAX);
        assert_eq!(at + 1, EMPTY as usize);
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        let two = (0..).map(|at| (Vec::new(), format!("t{}", at % 2)));
        assert!(taken(two, u64::MAX).0 < 10);
    }

    #[test]
    fn names_that_do_not_fit_into_memory_are_an_error() {
        let names = |at: u64| (0..1000).map(move |n| format!("k{at:09}-{n:03}")).collect();
        let pages = (0..).map(|at| (names(at), format!("t{at}")));
        let (at, error) = taken(pages, 8 << 20);
        assert!((10..30).contains(&at), "{at}");
        assert!(matches!(error, Error::TooBig { .. }), "{error}");
    }
}
