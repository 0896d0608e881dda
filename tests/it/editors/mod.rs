//! Editors: what people save with, each in a real terminal on a real mount. A save is one PUT and
//! leaves no other key; what another machine saved meanwhile is never replaced unseen; and how the
//! user learns of it is the table in `docs/editors.md`, which is compared with what was seen.
//!
//! [`editor`] says what an editor is, [`catalog`] lists them, [`desk`] is somebody who works with one,
//! [`sessions`] what they do there, [`page`] the document.

mod catalog;
mod desk;
mod editor;
mod page;
mod sessions;
pub(crate) mod terminal;

use editor::Editor;

macro_rules! editors {
    ($($test:ident: $editor:ident,)*) => {
        /// A save is one PUT, and nothing is replaced unseen, by:
        mod a_save_is_one_put_and_replaces_nothing_unseen_by {
            $(#[test]
            fn $test() {
                let editor = &super::catalog::$editor;
                or_skip!(super::installed(editor));
                or_skip!(crate::world::mounts::possible());
                let row = or_skip!(super::sessions::row(editor));
                super::page::compare(editor, &row);
            })*
        }

        /// The editors, in the order of the page.
        const EDITORS: &[Editor] = &[$(catalog::$editor),*];
    };
}

editors! {
    vim: VIM,
    vim_nowritebackup: VIM_NOWRITEBACKUP,
    vim_backupcopy: VIM_BACKUPCOPY,
    vim_backup: VIM_BACKUP,
    nvim: NVIM,
    nano: NANO,
    nano_with_backups: NANO_BACKUP,
    emacs: EMACS,
    emacs_backup_by_copying: EMACS_BY_COPYING,
    emacs_file_precious: EMACS_PRECIOUS,
    micro: MICRO,
    mcedit: MCEDIT,
    kakoune: KAKOUNE,
    joe: JOE,
    ne: NE,
    vis: VIS,
    nvi: NVI,
    ed: ED,
    ex: EX,
    ex_silent: EX_SILENT,
}

/// Tells what is missing for this editor.
fn installed(editor: &Editor) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = ["tmux", editor.program].into_iter().find(|program| {
        !std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    });
    missing.map_or(Ok(()), |program| Err(format!("{program} is not installed")))
}
