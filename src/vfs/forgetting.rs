//! Forgetting on request (SIGHUP): everything that was kept only to save requests.
//!
//! What is no cache stays: drafts, scratch files, who was shown what, open files and the versions they
//! read. What never changes stays too (which key an object of a konserve store has). It makes no
//! request.

use super::table::Kind;
use super::{Kernel, Vfs};
use crate::model::{FileName, NodeId};

impl Vfs {
    /// Drops the caches, here and in the kernel. Waits for the kernel.
    pub fn drop_caches(&self) {
        let told = {
            let mut table = self.table();
            table.values.clear();
            table.listings.clear();
            table.just_absent = None;
            table.tree.each(|node| {
                node.known = None;
                node.there = None;
            });
            self.told_to_kernel(&table.tree)
        };
        if let Some(kernel) = self.kernel.get() {
            forget(&**kernel, told);
        }
        self.telemetry.metrics.dropped_caches();
        tracing::info!("caches dropped");
    }

    /// The inodes that the kernel may know, and their names, where it need not keep those: the name of
    /// a directory may be somebody's working directory, and the name of an open file is shown in `/proc`.
    fn told_to_kernel(&self, tree: &crate::model::Tree<super::table::Node>) -> Vec<Told> {
        let is_closed_file =
            |ino, kind: &Kind| matches!(kind, Kind::File(..)) && tree.handles(ino) == 0;
        let name = |ino| {
            let (parent, name) = tree.name(ino)?;
            Some((tree.numbers(parent)?.node, name.clone()))
        };
        tree.iter()
            .map(|(ino, node)| Told {
                ids: tree.ids(ino).collect(),
                name: name(ino).filter(|_| is_closed_file(ino, &node.kind)),
            })
            .collect()
    }
}

/// What the kernel was told of an inode.
struct Told {
    ids: Vec<NodeId>,
    name: Option<(NodeId, FileName)>,
}

fn forget(kernel: &dyn Kernel, told: Vec<Told>) {
    for Told { ids, name } in told {
        for id in ids {
            kernel.forget_file(id);
        }
        if let Some((parent, name)) = name {
            kernel.forget_name(parent, &name);
        }
    }
}
