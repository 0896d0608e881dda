//! The kernel's requests: decode, answer, nothing else.
//!
//! Every callback names its operation and hands one call of [`Vfs`](crate::vfs::Vfs) to
//! `answer.rs`. To follow one, read it here, then the method of the same story in `vfs`.

use std::ffi::OsStr;
use std::time::SystemTime;

use bytes::Bytes;
use fuser::{
    BsdFileFlags, FileHandle, Filesystem, INodeNo, KernelConfig, LockOwner, OpenFlags, RenameFlags,
    Request, TimeOrNow, WriteFlags,
};

use super::answer::Bridge;
use super::directory::{names, names_and_attributes};
use super::errno;
use super::negotiate::negotiate;
use super::reply::{Created, LookedUp, OpenedDir, OpenedFile, Written, Xattr};
use super::request::{Fs, access, at, context, creation, durable, over, set_mode, thread_of};
use crate::model::{NodeId, SaveReason};
use crate::vfs::{Departures, Durable, Fh, SetMode};

impl Filesystem for Fs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        negotiate(config)
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: fuser::ReplyEntry) {
        let dir = self.ino(parent);
        let (vfs, name, by) = (self.0.vfs.clone(), name.to_owned(), thread_of(request));
        let op = self.op_on("lookup", parent, &name, request).locking(parent);
        self.0.answer(op, reply, async move {
            vfs.lookup(dir, &name, by).await.map(LookedUp)
        });
    }

    fn forget(&self, _request: &Request, ino: INodeNo, nlookup: u64) {
        self.0.vfs.forget(NodeId(ino.0), nlookup);
    }

    fn getattr(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: Option<FileHandle>,
        reply: fuser::ReplyAttr,
    ) {
        let (vfs, node) = (self.0.vfs.clone(), self.ino(ino));
        let through = fh.map(|fh| Fh(fh.0)); // Only lseek(2) says which descriptor is meant.
        let by = match vfs.is_personal(node) {
            true => context(request),
            false => thread_of(request),
        };
        // Who reads on at the end may be told of another version, which comes whole.
        let op = self.heavy(self.op("getattr", ino, request));
        self.0.answer(op, reply, async move {
            vfs.numbered(vfs.attr_for(node, through, by).await?, by)
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: fuser::ReplyAttr,
    ) {
        let (vfs, node, by) = (self.0.vfs.clone(), self.ino(ino), context(request));
        let op = self.heavy(self.op("setattr", ino, request).saving().locking(ino));
        self.0.answer(op, reply, async move {
            vfs.check_changeable(node)?;
            let attr = match (size, fh) {
                // Mode, owner and times are accepted and not stored (V5).
                (None, _) => vfs.last_attr(node, by).await?,
                (Some(size), Some(fh)) => vfs.truncate(node, Fh(fh.0), size, by).await?,
                (Some(size), None) => vfs.truncate_closed(node, size, by).await?,
            };
            vfs.numbered(attr, by)
        });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: fuser::ReplyEntry,
    ) {
        let (vfs, by) = (self.0.vfs.clone(), context(request));
        let (dir, name) = (self.ino(parent), name.to_owned());
        let op = self.op_on("mkdir", parent, &name, request);
        let op = op.saving().locking(parent);
        self.0.answer(op, reply, async move {
            vfs.make_dir(dir, &name, by).await.map(LookedUp)
        });
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: fuser::ReplyEmpty) {
        let (vfs, dir, name) = (self.0.vfs.clone(), self.ino(parent), name.to_owned());
        let op = self
            .op_on("rmdir", parent, &name, request)
            .saving()
            .locking(parent);
        self.0
            .answer(op, reply, async move { vfs.remove_dir(dir, &name).await });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: fuser::ReplyEmpty) {
        let dir = self.ino(parent);
        let (vfs, name, by) = (self.0.vfs.clone(), name.to_owned(), context(request));
        let op = self
            .op_on("unlink", parent, &name, request)
            .saving()
            .locking(parent);
        self.0
            .answer(op, reply, async move { vfs.remove(dir, &name, by).await });
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: fuser::ReplyEmpty,
    ) {
        let (to_dir, dir) = (self.ino(newparent), self.ino(parent));
        let Some(over) = over(flags) else {
            let op = self.op_on("rename", parent, name, request);
            return self.0.refuse(op, reply, errno::UNKNOWN_FLAGS);
        };
        let (vfs, by) = (self.0.vfs.clone(), context(request));
        let (name, newname) = (name.to_owned(), newname.to_owned());
        let op = self
            .op_on("rename", parent, &name, request)
            .saving()
            .locking_both(parent, newparent)
            .to(self.0.vfs.subject(to_dir, Some(&newname)));
        self.0.answer(op, reply, async move {
            let (from, to) = ((dir, &*name), (to_dir, &*newname));
            vfs.rename(from, to, over, by).await
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: fuser::ReplyOpen) {
        let (vfs, node, by) = (self.0.vfs.clone(), self.ino(ino), context(request));
        let op = self.heavy(self.op("open", ino, request));
        self.0.answer(op, reply, async move {
            vfs.open(node, access(flags.0), by).await.map(OpenedFile)
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: fuser::ReplyCreate,
    ) {
        let dir = self.ino(parent);
        let (vfs, name, by) = (self.0.vfs.clone(), name.to_owned(), context(request));
        let mut op = self.op_on("create", parent, &name, request).locking(parent);
        if flags & libc::O_EXCL != 0 {
            // It may be a lock that is taken at once, and must not stay behind held by nobody.
            op = op.saving();
        }
        self.0.answer(op, reply, async move {
            let (access, how) = (access(flags), creation(flags, mode));
            let (attr, fh) = vfs.create(dir, &name, access, how, by).await?;
            Ok(Created(attr, fh))
        });
    }

    fn read(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: fuser::ReplyData,
    ) {
        let vfs = self.0.vfs.clone();
        let op = self.heavy(self.op("read", ino, request).through(fh));
        self.0.answer(op, reply, async move {
            vfs.read(Fh(fh.0), offset, size as usize).await
        });
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: fuser::ReplyWrite,
    ) {
        let (vfs, data) = (self.0.vfs.clone(), Bytes::copy_from_slice(data));
        let (at, by) = (at(offset, write_flags, flags), thread_of(request));
        let durable = durable(vfs.options().sync, write_flags, flags);
        let op = self.op("write", ino, request).through(fh);
        let op = match durable {
            Durable::AtOnce => self.heavy(op.saving().locking(ino)),
            Durable::AtSave => op,
        };
        self.0.answer(op, reply, async move {
            vfs.write(Fh(fh.0), at, &data, durable, by).await?;
            Ok(Written(u32::try_from(data.len()).unwrap_or(u32::MAX)))
        });
    }

    fn copy_file_range(
        &self,
        request: &Request,
        _ino_in: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        ino_out: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: fuser::CopyFileRangeFlags,
        reply: fuser::ReplyWrite,
    ) {
        let (vfs, by) = (self.0.vfs.clone(), thread_of(request));
        let (from, to) = ((Fh(fh_in.0), offset_in), (Fh(fh_out.0), offset_out));
        let op = self.op("copy", ino_out, request).saving();
        let op = self.heavy(op.locking(ino_out).through(fh_out));
        self.0.answer(op, reply, async move {
            Ok(Written(vfs.copy_range(from, to, len, by).await?))
        });
    }

    fn flush(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: fuser::ReplyEmpty,
    ) {
        let (vfs, by) = (self.0.vfs.clone(), thread_of(request));
        let op = self.heavy(self.op("flush", ino, request).saving().through(fh));
        self.0
            .answer(op, reply, async move { vfs.flush(Fh(fh.0), by).await });
    }

    fn fsync(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: fuser::ReplyEmpty,
    ) {
        let vfs = self.0.vfs.clone();
        let op = self.heavy(self.op("fsync", ino, request).saving().through(fh));
        self.0.answer(op, reply, async move {
            vfs.save(Fh(fh.0), SaveReason::Fsync).await
        });
    }

    fn release(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: fuser::ReplyEmpty,
    ) {
        let vfs = self.0.vfs.clone();
        let op = self.heavy(self.op("release", ino, request).saving().through(fh));
        self.0.answer(op, reply, async move {
            vfs.release(Fh(fh.0)).await;
            Ok(())
        });
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _flags: OpenFlags, reply: fuser::ReplyOpen) {
        let (vfs, node) = (self.0.vfs.clone(), self.ino(ino));
        self.0
            .answer(self.op("opendir", ino, request), reply, async move {
                Ok(OpenedDir(vfs.open_dir(node).await?))
            });
    }

    fn readdir(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: fuser::ReplyDirectory,
    ) {
        let op = self.op("readdir", ino, request).through(fh);
        let vfs = &self.0.vfs;
        self.0
            .at_once(op, || names(vfs, self.ino(ino), Fh(fh.0), offset, reply));
    }

    fn readdirplus(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: fuser::ReplyDirectoryPlus,
    ) {
        let Bridge { vfs, look, .. } = &self.0;
        let op = self.op("readdirplus", ino, request).through(fh);
        self.0.at_once(op, || {
            names_and_attributes(vfs, look, self.ino(ino), Fh(fh.0), offset, reply)
        });
    }

    fn releasedir(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: fuser::ReplyEmpty,
    ) {
        let op = self.op("releasedir", ino, request).through(fh);
        self.0.at_once(op, || {
            self.0.vfs.close_dir(Fh(fh.0));
            reply.ok();
            Ok(())
        });
    }

    fn fsyncdir(
        &self,
        request: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: fuser::ReplyEmpty,
    ) {
        let node = self.ino(ino);
        // Names are in the store as soon as their values are, but for those that moved away; those of
        // scratch files are on the local disk.
        let vfs = self.0.vfs.clone();
        let op = self.op("fsyncdir", ino, request).saving();
        self.0.answer(op, reply, async move {
            vfs.settle_departures(Departures::From(node)).await?;
            vfs.sync_dir(node).await
        });
    }

    fn statfs(&self, request: &Request, ino: INodeNo, reply: fuser::ReplyStatfs) {
        // A bucket has no size. Programs that ask want to know whether there is room: there is.
        const BLOCKS: u64 = 1 << 40;
        self.0.at_once(self.op("statfs", ino, request), || {
            reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, 255, 4096);
            Ok(())
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: fuser::ReplyXattr,
    ) {
        let op = self.op("getxattr", ino, request);
        if let Some(none) = errno::of_foreign_attribute(name) {
            return self.0.refuse::<Xattr, _>(op, reply, none);
        }
        let (vfs, node) = (self.0.vfs.clone(), self.ino(ino));
        let (name, by) = (name.to_owned(), context(request));
        self.0.answer(op, reply, async move {
            let value = vfs.attribute(node, &name, by).await?;
            Ok(Xattr(value.into(), size))
        });
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: fuser::ReplyXattr) {
        let (vfs, node, by) = (self.0.vfs.clone(), self.ino(ino), context(request));
        let op = self.op("listxattr", ino, request);
        self.0.answer(op, reply, async move {
            let names = vfs.attributes(node, by).await?;
            let list: String = names.iter().map(|name| format!("{name}\0")).collect();
            Ok(Xattr(list.into(), size))
        });
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: fuser::ReplyEmpty,
    ) {
        let (vfs, node, by) = (self.0.vfs.clone(), self.ino(ino), context(request));
        let (name, value, mode) = (name.to_owned(), value.to_vec(), set_mode(flags));
        let op = self.heavy(self.op("setxattr", ino, request).saving().locking(ino));
        self.0.answer(op, reply, async move {
            vfs.set_attribute(node, &name, Some(&value), mode, by).await
        });
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: fuser::ReplyEmpty) {
        let node = self.ino(ino);
        let (vfs, name, by) = (self.0.vfs.clone(), name.to_owned(), context(request));
        let op = self.heavy(self.op("removexattr", ino, request).saving().locking(ino));
        self.0.answer(op, reply, async move {
            vfs.set_attribute(node, &name, None, SetMode::Any, by).await
        });
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &std::path::Path,
        reply: fuser::ReplyEntry,
    ) {
        let dir = self.ino(parent);
        let (vfs, by) = (self.0.vfs.clone(), context(request));
        let (name, target) = (link_name.to_owned(), target.as_os_str().to_owned());
        let op = self
            .op_on("symlink", parent, &name, request)
            .locking(parent);
        self.0.answer(op, reply, async move {
            vfs.make_link(dir, &name, &target, by).await.map(LookedUp)
        });
    }

    fn readlink(&self, request: &Request, ino: INodeNo, reply: fuser::ReplyData) {
        let (vfs, node) = (self.0.vfs.clone(), self.ino(ino));
        let op = self.op("readlink", ino, request);
        self.0.answer(op, reply, async move { vfs.read_link(node) });
    }

    fn link(
        &self,
        request: &Request,
        _ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: fuser::ReplyEntry,
    ) {
        let (dir, by) = (self.ino(newparent), context(request));
        self.0.vfs.goes_on_to_make(dir, newname, by);
        let op = self.op_on("link", newparent, newname, request);
        self.0.refuse(op, reply, errno::NOT_BUILT);
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: fuser::ReplyEntry,
    ) {
        // Regular files are made by `create`.
        let (dir, by) = (self.ino(parent), context(request));
        self.0.vfs.goes_on_to_make(dir, name, by);
        let op = self.op_on("mknod", parent, name, request);
        self.0.refuse(op, reply, errno::NOT_BUILT);
    }
}
