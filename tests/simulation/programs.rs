//! What programs do: the calls that editors, shells and scripts make, in their order.
//!
//! Everything that a program writes is unlike everything else that is ever written, so that the history of
//! the store tells what became of it.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tokio::time::sleep;

use super::kernel::Caller;
use super::plan::Deed;
use super::world::{Errno, How};

const READ: How = How {
    read: true,
    write: false,
    append: false,
    create: false,
    exclusive: false,
    truncate: false,
    private: false,
};
const EDIT: How = How {
    write: true,
    ..READ
};
const REPLACE: How = How {
    read: false,
    write: true,
    create: true,
    truncate: true,
    ..READ
};
const APPEND: How = How {
    append: true,
    truncate: false,
    ..REPLACE
};
const LOCK: How = How {
    exclusive: true,
    truncate: false,
    ..REPLACE
};
const TEMPORARY: How = How {
    read: true,
    private: true,
    ..LOCK
};

/// A program under way.
pub(crate) struct Program {
    pub(crate) caller: Caller,
    pub(crate) rng: Rng,
    pub(crate) key: &'static str,
    pub(crate) lines: u32,
}

type Done = Result<(), Errno>;

impl Program {
    pub(crate) async fn run(mut self, deed: Deed) {
        // What fails is in the list of calls.
        let _ = match deed {
            Deed::Read => self.read().await,
            Deed::Edit => self.edit().await,
            Deed::Overwrite => self.overwrite().await,
            Deed::Script => self.script().await,
            Deed::Append => self.append().await,
            Deed::Replace => self.replace(false).await,
            Deed::ReplaceByScratch => self.replace(true).await,
            Deed::Backup => self.backup().await,
            Deed::LockByDirectory => self.lock_by_directory().await,
            Deed::LockByFile | Deed::LockByShell => self.lock_by_file(deed).await,
            Deed::Remove => self.remove().await,
            Deed::Move => self.rename().await,
            Deed::Describe => self.describe().await,
            Deed::Truncate => self.truncate().await,
            Deed::List => self.list().await,
            Deed::Look => self.caller.look(self.key).await.map(drop),
            Deed::Die => self.die().await,
            Deed::Swap => self.swap().await,
        };
    }

    /// A line that nobody else ever writes.
    fn line(&mut self) -> Vec<u8> {
        self.lines += 1;
        let padding = ".".repeat(self.rng.usize(..24));
        format!("<{}-{}{padding}>\n", self.caller.step, self.lines).into_bytes()
    }

    async fn pause(&mut self) {
        let most = [1, 20, 300, 3000][self.rng.usize(..4)];
        sleep(Duration::from_millis(self.rng.u64(..most))).await;
    }

    /// Closes, whatever came before; the first failure of the two.
    async fn close_after(&self, fd: u32, done: Done) -> Done {
        let closed = self.caller.close(fd).await;
        done.and(closed)
    }

    async fn read_all(&mut self) -> Result<Bytes, Errno> {
        let fd = self.caller.open(self.key, READ).await?;
        let read = self.caller.read_on(fd, 0).await;
        self.close_after(fd, Ok(())).await?;
        read
    }

    async fn read(&mut self) -> Done {
        let fd = self.caller.open(self.key, READ).await?;
        if self.rng.bool() {
            self.pause().await;
        }
        let mut done = self.caller.read_on(fd, 0).await;
        for _ in 0..self.rng.usize(..3) {
            self.pause().await;
            if let Ok(all) = &done {
                done = self.caller.read_on(fd, all.len()).await;
            }
        }
        self.close_after(fd, done.map(drop)).await
    }

    async fn edit(&mut self) -> Done {
        let fd = self.caller.open(self.key, EDIT).await?;
        let done = self.edit_opened(fd).await;
        self.close_after(fd, done).await
    }

    async fn edit_opened(&mut self, fd: u32) -> Done {
        let old = self.caller.read_on(fd, 0).await?;
        self.pause().await;
        let line = self.line();
        match self.rng.u8(..3) {
            0 => {
                self.caller.cut(fd, 0).await?;
                self.caller.write(fd, 0, &line).await?;
            }
            1 => self.caller.write(fd, 0, &line).await?,
            _ => self.caller.write(fd, old.len(), &line).await?,
        }
        if self.rng.bool() {
            self.caller.sync(fd).await?;
            self.pause().await;
            if self.rng.bool() {
                let line = self.line();
                self.caller.write(fd, 0, &line).await?;
            }
        }
        Ok(())
    }

    async fn overwrite(&mut self) -> Done {
        let fd = self.caller.open(self.key, REPLACE).await?;
        if self.rng.u8(..4) == 0 {
            self.pause().await;
        }
        // `: > f` writes nothing.
        let done = match self.rng.u8(..8) {
            0 => Ok(()),
            _ => {
                let line = self.line();
                self.caller.write(fd, 0, &line).await
            }
        };
        if self.rng.u8(..3) == 0 {
            let _ = self.caller.sync(fd).await;
        }
        self.close_after(fd, done).await
    }

    /// `x=$(cat f); printf %s "$x" > f`, where a child writes through what the shell opened.
    async fn script(&mut self) -> Done {
        let shell = self.caller.fork();
        let cat = shell.fork();
        let reader = Self {
            caller: cat.clone(),
            rng: self.rng.fork(),
            ..*self
        };
        let mut reader = reader;
        let read = reader.read_all().await;
        cat.exit().await;
        let done = match read {
            Ok(_) => {
                self.pause().await;
                self.write_by_child(&shell).await
            }
            Err(error) => Err(error),
        };
        shell.exit().await;
        done
    }

    async fn write_by_child(&mut self, shell: &Caller) -> Done {
        let line = self.line();
        if self.rng.bool() {
            // The child opens it.
            let child = shell.fork();
            let fd = child.open(self.key, REPLACE).await?;
            let done = child.write(fd, 0, &line).await;
            let closed = child.close(fd).await;
            child.exit().await;
            return done.and(closed);
        }
        let fd = shell.open(self.key, REPLACE).await?;
        let child = shell.fork();
        let done = child.write(fd, 0, &line).await;
        child.exit().await;
        let closed = shell.close(fd).await;
        done.and(closed)
    }

    async fn append(&mut self) -> Done {
        let fd = self.caller.open(self.key, APPEND).await?;
        let mut done = Ok(());
        for _ in 0..self.rng.usize(1..4) {
            let line = self.line();
            done = self.caller.write(fd, 0, &line).await;
            if done.is_ok() && self.rng.bool() {
                done = self.caller.sync(fd).await;
            }
            if done.is_err() {
                break;
            }
            self.pause().await;
        }
        self.close_after(fd, done).await
    }

    /// Reads, writes a temporary file, and moves it over.
    async fn replace(&mut self, by_scratch: bool) -> Done {
        if self.rng.u8(..4) > 0 {
            match self.read_all().await {
                Ok(_) | Err(Errno::Absent) => {}
                Err(error) => return Err(error),
            }
        }
        let step = self.caller.step;
        let (temporary, how) = match by_scratch {
            true => (format!(".t.{step:06}"), TEMPORARY),
            false => (format!("t{step}"), LOCK),
        };
        let fd = self.caller.open(&temporary, how).await?;
        let text = self.line();
        let mut done = self.caller.write(fd, 0, &text).await;
        if done.is_ok() && self.rng.bool() {
            done = self.caller.sync(fd).await;
        }
        done = self.close_after(fd, done).await;
        if done.is_ok() {
            self.pause().await;
            done = self
                .caller
                .rename(&temporary, self.key, Some(text.into()))
                .await;
        }
        if done.is_err() {
            let _ = self.caller.unlink(&temporary).await;
        }
        done
    }

    /// As vim does.
    async fn backup(&mut self) -> Done {
        let known = self.read_all().await;
        let backup = format!("{}~", self.key);
        let moved = match known {
            Ok(_) => self.caller.rename(self.key, &backup, None).await.is_ok(),
            Err(Errno::Absent) => false,
            Err(error) => return Err(error),
        };
        let saved = async {
            let fd = self.caller.open(self.key, REPLACE).await?;
            let line = self.line();
            let mut done = self.caller.write(fd, 0, &line).await;
            if done.is_ok() && self.rng.bool() {
                done = self.caller.sync(fd).await;
            }
            self.close_after(fd, done).await
        }
        .await;
        if moved {
            match saved {
                Ok(()) => self.caller.unlink(&backup).await?,
                Err(_) => {
                    if self.rng.bool() {
                        let _ = self.caller.unlink(self.key).await;
                    }
                    self.caller.rename(&backup, self.key, None).await?;
                }
            }
        }
        saved
    }

    async fn lock_by_directory(&mut self) -> Done {
        self.caller.mkdir(self.key).await?;
        self.pause().await;
        self.caller.rmdir(self.key).await
    }

    async fn lock_by_file(&mut self, deed: Deed) -> Done {
        let mut how = LOCK;
        if deed == Deed::LockByShell {
            self.caller
                .mount
                .machine
                .with(self.caller.pid, |it| it.is_shell = true);
        } else if self.rng.bool() {
            how.read = true;
        }
        let fd = self.caller.open(self.key, how).await?;
        let done = match self.rng.u8(..4) {
            0 => Ok(()),
            _ => {
                let line = self.line();
                self.caller.write(fd, 0, &line).await
            }
        };
        self.close_after(fd, done).await?;
        self.pause().await;
        self.caller.unlink(self.key).await
    }

    async fn remove(&mut self) -> Done {
        if self.rng.bool() {
            self.read_all().await?;
            self.pause().await;
        }
        self.caller.unlink(self.key).await
    }

    async fn rename(&mut self) -> Done {
        let to = ["a", "b", "c", "d/x"][self.rng.usize(..4)];
        match to == self.key {
            true => Ok(()),
            false => self.caller.rename(self.key, to, None).await,
        }
    }

    async fn describe(&mut self) -> Done {
        let value = format!("{}", self.caller.step);
        self.caller.describe(self.key, &value).await
    }

    async fn truncate(&mut self) -> Done {
        let size = if self.rng.bool() { 0 } else { 3 };
        self.caller.truncate(self.key, size).await
    }

    async fn list(&mut self) -> Done {
        let dir = if self.rng.u8(..3) == 0 { "d" } else { "" };
        let names = self.caller.list(dir).await?;
        for name in names.iter().take(3) {
            let path = match dir {
                "" => name.clone(),
                dir => format!("{dir}/{name}"),
            };
            let _ = self.caller.look(&path).await;
        }
        Ok(())
    }

    /// Is killed before it closes.
    async fn die(&mut self) -> Done {
        let program = self.caller.fork();
        let fd = program.open(self.key, REPLACE).await;
        if let Ok(fd) = fd {
            let line = self.line();
            let _ = program.write(fd, 0, &line).await;
            self.pause().await;
        }
        program.exit().await;
        fd.map(drop)
    }

    /// A swap file, which stays.
    async fn swap(&mut self) -> Done {
        let path = format!(".{}.swp", self.caller.step);
        let how = How {
            exclusive: true,
            ..EDIT
        };
        let fd = self
            .caller
            .open(
                &path,
                How {
                    create: true,
                    ..how
                },
            )
            .await?;
        let line = self.line();
        let done = self.caller.write(fd, 0, &line).await;
        let done = self.close_after(fd, done).await;
        self.pause().await;
        done
    }
}
