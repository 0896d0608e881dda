//! What a program opens a file for, and how it writes.

/// What an open wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// To read.
    pub read: bool,
    /// To write.
    pub write: bool,
    /// To start from nothing (O_TRUNC).
    pub truncate: bool,
    /// To write at the end only (O_APPEND).
    pub append: bool,
    /// When each write is to be saved.
    pub durable: Durable,
}

/// Where written bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At this offset; a gap before it is filled with zeros.
    Offset(u64),
    /// After the last byte (O_APPEND), whatever offset the kernel assumes.
    End,
}

/// When written bytes are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// By the next close or fsync.
    AtSave,
    /// Before the write returns (O_SYNC, O_DSYNC).
    AtOnce,
}
