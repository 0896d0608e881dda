//! What is asked of the kernel when the session begins.
//!
//! Only the saves' atomicity is demanded; everything else makes things faster where the kernel can
//! do it. The session itself begins in the module above.

use fuser::{InitFlags, KernelConfig};

/// Asks the kernel for what it can do.
///
/// # Errors
/// When it cannot open and truncate in one step.
pub(super) fn negotiate(config: &mut KernelConfig) -> std::io::Result<()> {
    // Without ATOMIC_O_TRUNC a truncating open arrives as a truncation that belongs to no
    // handle, and nothing here could be atomic.
    config
        .add_capabilities(InitFlags::FUSE_ATOMIC_O_TRUNC)
        .map_err(|_| std::io::Error::other("the kernel cannot open and truncate in one step"))?;
    for wish in [
        InitFlags::FUSE_PARALLEL_DIROPS,
        InitFlags::FUSE_DO_READDIRPLUS,
        InitFlags::FUSE_READDIRPLUS_AUTO,
        InitFlags::FUSE_AUTO_INVAL_DATA,
        InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
    ] {
        if config.add_capabilities(wish).is_err() {
            tracing::info!(?wish, "this kernel cannot do it");
        }
    }
    // Any number from 1 on is accepted.
    let _ = config.set_max_background(128);
    Ok(())
}
