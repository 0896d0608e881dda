//! Copying between two handles inside of one call, copy_file_range(2): what `cat` and `cp` do.
//!
//! Without it, the kernel copies from pages that all descriptors of a file share, and which may belong to
//! another version. This does the same as reading through one handle and writing through the other.

use super::access::{At, Durable};
use super::handles::Fh;
use super::{Context, Error, Vfs};

/// How many bytes one call copies; programs repeat the call for the rest.
const AT_ONCE: u64 = 4 << 20;

impl Vfs {
    /// Copies at most `len` bytes from an offset of the first handle to one of the second. Returns how many.
    ///
    /// # Errors
    /// Any of [`read`](Self::read) and [`write`](Self::write).
    pub async fn copy_range(
        &self,
        from: (Fh, u64),
        to: (Fh, u64),
        len: u64,
        by: Context,
    ) -> Result<u32, Error> {
        let len = u32::try_from(len.min(AT_ONCE)).unwrap_or(u32::MAX);
        let bytes = self.read(from.0, from.1, len as usize).await?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let durable = match self.options.sync {
            true => Durable::AtOnce,
            false => self.table().durable(to.0),
        };
        self.write(to.0, At::Offset(to.1), &bytes, durable, by)
            .await?;
        Ok(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
    }
}
