//! What the kernel keeps of a file by itself, and what belongs to the file there, not to a descriptor:
//! its pages and its size (R2, W12).
//!
//! read(2) and write(2) come to us. sendfile(2), splice(2), copy_file_range(2) and memory maps use
//! pages, which the kernel has us fill through one descriptor and then shows through all of them, up to
//! the size that it knows. It drops the pages at each open. So they are filled only while all
//! descriptors show the same bytes, and the size stays that of what is open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::content::Content;
use super::handles::{Fh, Handle, ReadFrom, Reader, Writer};
use super::{Access, Attr, Error, Told, Vfs, Who};
use crate::model::{Ino, Version};

/// How long a page waits for descriptors that show other bytes: most are closed at once. Meanwhile an
/// open of the file waits too.
const OTHERS: Duration = Duration::from_millis(100);
/// How often it looks whether they are.
const LOOK: Duration = Duration::from_millis(5);

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Its caller alone.
    Caller,
    /// A page that the kernel keeps, and shows through any descriptor of the file. This thread asked.
    Page(u32),
}

/// The bytes that a handle shows through a page.
#[derive(Debug, PartialEq)]
enum View {
    /// None: it cannot be read.
    None,
    /// Those of a version.
    Of(Version),
    /// The text of one of the mount's own files.
    Text(Bytes),
    /// Those of a file on the local disk, which all its handles share.
    Shared,
    /// Some that no other handle has.
    Own,
}

impl Handle {
    fn view(&self) -> View {
        match self {
            Self::Reader(reader) => match reader.source().version() {
                Some(version) => View::Of(version.clone()),
                None => View::Text(Bytes::new()),
            },
            Self::Writer(writer) => writer.view(),
            Self::Scratch(_) => View::Shared,
            Self::Fixed(Content::Shared(text)) => View::Text(text.clone()),
            // A rescue, which never changes.
            Self::Fixed(_) => View::Shared,
            Self::Access(_) => View::Own,
            Self::Dir(..) => View::None,
        }
    }

    /// How many bytes it shows, if it can be read and that can be told now.
    fn extent(&self) -> Option<u64> {
        match self {
            Self::Reader(reader) => match &*reader.source() {
                ReadFrom::Pieces(pieces) => pieces.entry.size,
                source => Some(source.size()),
            },
            Self::Writer(writer) if writer.reads => match writer.shape() {
                Some(shape) => Some(shape.size),
                None => Some(writer.state.try_lock().ok()?.content.len() as u64),
            },
            Self::Fixed(text) => Some(text.len() as u64),
            Self::Writer(_) | Self::Scratch(_) | Self::Access(_) | Self::Dir(..) => None,
        }
    }
}

impl Writer {
    fn view(&self) -> View {
        match &self.began_with {
            // What it writes changes the size that the kernel knows.
            _ if self.shape().is_some() => View::Own,
            _ if !self.reads => View::None,
            Some(version) if !self.was_changed() => View::Of(version.clone()),
            _ => View::Own,
        }
    }
}

impl Vfs {
    /// As [`read`](Self::read), for its caller or for a page.
    ///
    /// # Errors
    /// [`Error::Divided`] for a page of a file whose descriptors show different bytes; any of `read`.
    pub async fn read_for(&self, what: For, fh: Fh, start: u64, len: u32) -> Result<Bytes, Error> {
        let len = len as usize;
        let For::Page(thread) = what else {
            return self.read(fh, start, len).await;
        };
        let (ino, handle) = {
            let table = self.table();
            let opened = table.handles.get(&fh).ok_or(Error::BadHandle)?;
            (opened.ino, Arc::clone(&opened.handle))
        };
        if self.check_whole(ino, &handle).is_err() && self.processes.waits_for_map(thread).await {
            // A refusal would kill it, and a program that runs from here need not know of others.
            return self.read(fh, start, len).await;
        }
        let since = Instant::now();
        while self.check_whole(ino, &handle).is_err() && since.elapsed() < OTHERS {
            tokio::time::sleep(LOOK).await;
        }
        self.check_whole(ino, &handle)?;
        let bytes = self.read(fh, start, len).await?;
        // It may have waited for the store. From here on an open waits for this answer, and drops the page.
        self.check_whole(ino, &handle)?;
        self.note_page(ino, &handle);
        Ok(bytes)
    }

    /// Reports whether all descriptors of a file show the same bytes.
    fn check_whole(&self, ino: Ino, handle: &Handle) -> Result<(), Error> {
        let handles = self.table().handles_of(ino);
        let views = handles.iter().map(|handle| handle.view());
        let mut views = views.filter(|view| *view != View::None);
        let first = views.next();
        let is_whole = views.all(|view| view != View::Own && Some(&view) == first.as_ref());
        // What grows while it is read is never the same.
        match is_whole && !matches!(handle, Handle::Access(_)) {
            true => Ok(()),
            false => Err(Error::Divided),
        }
    }

    /// A page was filled, which the kernel shows through the other descriptors too, and does not say so:
    /// whoever knows nothing of the file may have read it there (W1). Who knows an older version keeps to
    /// that, and is refused rather than believed.
    fn note_page(&self, ino: Ino, through: &Handle) {
        let handles = self.table().handles_of(ino);
        let others = handles.iter().filter(|other| other.who() != through.who());
        for other in others {
            if let Handle::Reader(reader) = &**other
                && self.is_blind(reader)
            {
                self.note_reading(reader);
            }
        }
    }

    fn is_blind(&self, reader: &Reader) -> bool {
        let Some(caller) = reader.who else {
            return false;
        };
        let shown = self.table().seen.shown_to(&caller, &reader.place);
        shown.is_none()
    }

    /// The kernel is about to be told these attributes. If the file is open for reading and shows another
    /// number of bytes there, it is not to take this one for the file's: what copies without read(2) would
    /// end too early.
    pub(super) fn keep_size(&self, attr: Attr) -> Attr {
        let handles = self.table().handles_of(attr.ino);
        let differs = |size: u64| size != attr.size;
        if handles.iter().any(|it| it.extent().is_some_and(differs)) {
            self.in_kernel(attr.ino, |kernel, id| kernel.keep_size(id));
            self.mend_size(attr.ino);
        }
        attr
    }

    /// A file was opened; `before` is the version that the kernel was told of last.
    pub(super) fn opened(&self, ino: Ino, fh: Fh, access: Access, before: Option<Version>) {
        if access.truncate {
            self.cuts_size(ino);
        }
        let Ok(handle) = self.table().handle(fh) else {
            return;
        };
        if !access.read || access.truncate {
            return;
        }
        let version = match &*handle {
            Handle::Reader(reader) => reader.source().version().cloned(),
            Handle::Writer(writer) => writer.began_with.clone(),
            _ => None,
        };
        let is_other = before != version;
        if is_other && before.is_some() {
            // The kernel may still believe in the size of what was there before: `fstat` would tell
            // of another version than this handle reads (R2).
            self.forget_in_kernel(ino);
        }
        if is_other || self.check_whole(ino, &handle).is_err() {
            self.grow_in_kernel(ino);
        }
    }

    /// A writer has changed what it has, perhaps for the first time since it had what is stored.
    pub(super) fn changed(&self, ino: Ino, is_first: bool) {
        let others = self.table().handles_of(ino).len() > 1;
        if is_first && others {
            // A page that was filled for others, a moment ago, ends where theirs does. From here on none is
            // filled.
            self.forget_in_kernel(ino);
        }
        self.mend_size(ino);
    }

    /// As [`numbered`](Self::numbered), of attributes whose size the kernel takes for the file's in any
    /// case.
    ///
    /// # Errors
    /// As `numbered`.
    pub fn taken(&self, attr: Attr, who: Who) -> Result<Told, Error> {
        self.cuts_size(attr.ino);
        self.numbered(attr, who)
    }

    /// The kernel makes the size of the file that of one descriptor, after this answer.
    pub(super) fn cuts_size(&self, ino: Ino) {
        if let Some(node) = self.table().tree.get_mut(ino) {
            node.is_cut = true;
        }
    }

    /// If it did, and others show more bytes: the size is theirs again.
    pub(super) fn mend_size(&self, ino: Ino) {
        {
            let mut table = self.table();
            let Some(node) = table.tree.get_mut(ino) else {
                return;
            };
            if !std::mem::take(&mut node.is_cut) || node.open.len() < 2 {
                return;
            }
        }
        self.grow_in_kernel(ino);
    }

    /// Has the kernel know a size that is not too small for any descriptor.
    pub(super) fn grow_in_kernel(&self, ino: Ino) {
        let handles = self.table().handles_of(ino);
        let longest = handles.iter().filter_map(|it| it.extent()).max();
        if let Some(size) = longest.filter(|size| *size > 0) {
            self.in_kernel(ino, |kernel, id| kernel.grow(id, size));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::model::Origin;
    use crate::vfs::tests::in_memory;
    use crate::vfs::{At, Creation, Durable, Opening, OverExisting};

    #[tokio::test]
    async fn a_page_of_a_map_does_not_make_a_file_longer() {
        let state = tempfile::tempdir().unwrap();
        let vfs = in_memory(state.path());
        let access = Access {
            read: true,
            write: true,
            truncate: true,
            append: false,
        };
        let creation = Creation {
            over: OverExisting::Replace,
            origin: Origin::Other,
        };
        let by = Opening {
            who: None,
            thread: 0,
        };
        let name = OsStr::new("key");
        let made = vfs.create(Ino::ROOT, name, access, creation, by).await;
        let (_, fh) = made.unwrap();
        for (at, bytes) in [
            (At::Offset(0), "abcd"),
            (At::Within(2), "XY\0\0\0"),
            (At::Within(4), "\0"),
            (At::Within(9), "\0"),
        ] {
            let written = vfs.write(fh, at, bytes.as_bytes(), Durable::AtSave, 0);
            written.await.unwrap();
        }
        let read = vfs.read_for(For::Page(0), fh, 0, 100).await;
        assert_eq!(read.unwrap(), "abXY");
    }
}
