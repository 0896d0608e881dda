//! The one thread that writes: it takes the waiting operations, runs them in one transaction and
//! answers them after its commit.
//!
//! It knows nothing of what an operation does. Because every operation evaluates its conditions
//! inside the transaction that commits its change, and transactions follow one another, no other
//! write can come between the two; and because several share one commit, they share one sync.
//! Read [`super::index`] for what an operation can do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::Database;
use tokio::sync::oneshot;

use super::Refusal;
use super::blobs::Blobs;
use super::index::Tx;
use super::lineage::Keeper;

/// Operations that may share one commit.
const BATCH: usize = 64;

/// The way to the writing thread; cheap to clone. The thread ends with the last clone.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Task>>,
}

/// An operation and the reply it owes.
trait Task: Send {
    /// Runs the operation; an error means that the transaction must be abandoned.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Refusal>;
    /// Replies: what the operation answered, or why the commit failed.
    fn reply(self: Box<Self>, committed: Result<(), Refusal>);
}

struct Operation<F, T> {
    op: Option<F>,
    answer: Option<Result<T, Refusal>>,
    reply: oneshot::Sender<Result<T, Refusal>>,
}

impl<F, T> Task for Operation<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Some(op) = self.op.take() else {
            return Ok(());
        };
        match op(tx) {
            Err(broken @ Refusal::Broken(_)) => Err(broken),
            answer => {
                self.answer = Some(answer);
                Ok(())
            }
        }
    }

    fn reply(self: Box<Self>, committed: Result<(), Refusal>) {
        let answer = match (committed, self.answer) {
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => Err(Refusal::broken("the operation did not run")),
            (Err(broken), _) => Err(broken),
        };
        // Nobody waits any more when the client has gone; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}

impl Writer {
    /// Starts the thread, which ends when the last clone of the writer is gone.
    pub(super) fn start(
        db: Arc<Database>,
        blobs: Arc<Blobs>,
        mut keeper: Keeper,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, tasks) = mpsc::channel::<Box<dyn Task>>();
        let thread = std::thread::Builder::new()
            .name("server-writer".into())
            .spawn(move || {
                while let Ok(first) = tasks.recv() {
                    let mut batch = vec![first];
                    batch.extend(tasks.try_iter().take(BATCH - 1));
                    // A panic is a bug in one operation; it must not end all writing. The unwound
                    // transaction is rolled back, and its operations are refused.
                    let committed =
                        catch_unwind(AssertUnwindSafe(|| commit(&db, &blobs, &mut batch)))
                            .unwrap_or_else(|_| Err(Refusal::broken("an operation panicked")));
                    if let Err(error) = &committed {
                        tracing::error!(%error, "a write transaction failed");
                    }
                    let outcome = committed.as_ref().map(|_| ()).map_err(Clone::clone);
                    for task in batch {
                        task.reply(outcome.clone());
                    }
                    if let Ok(dropped) = committed {
                        blobs.remove(&dropped);
                    }
                }
                if let Err(error) = keeper.advance(&db) {
                    tracing::error!(%error, "the end could not be noted in the index");
                }
            })?;
        Ok((Self { queue }, thread))
    }

    pub(super) async fn submit<T, F>(&self, op: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Box::new(Operation {
                op: Some(op),
                answer: None,
                reply,
            }))
            .map_err(|_| Refusal::broken("the writer has stopped"))?;
        answer
            .await
            .map_err(|_| Refusal::broken("the writer has stopped"))?
    }
}

/// Runs and commits a batch; returns the body files that nothing refers to any more.
fn commit(
    db: &Database,
    blobs: &Arc<Blobs>,
    batch: &mut [Box<dyn Task>],
) -> Result<Vec<u64>, Refusal> {
    let transaction = db.begin_write()?;
    let mut tx = Tx::open(&transaction, blobs)?;
    for task in batch.iter_mut() {
        task.run(&mut tx)?;
    }
    let dropped = tx.close();
    transaction.commit()?;
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Refusal, Storage};

    #[tokio::test]
    async fn an_operation_that_panics_changes_nothing_and_the_next_one_works() {
        let dir = tempfile::tempdir().unwrap();
        let (storage, closed) = Storage::open(dir.path(), Durability::ProcessDeath).unwrap();
        let panicked = storage.write::<(), _>(|tx| {
            tx.create_bucket("half", 0)?;
            panic!("a bug")
        });
        assert!(matches!(panicked.await, Err(Refusal::Broken(_))));
        storage
            .write(|tx| tx.create_bucket("whole", 0))
            .await
            .unwrap();
        let names = storage.read(|snapshot| snapshot.buckets()).await.unwrap();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].0, "whole");
        drop(storage);
        closed.wait().await;
        assert!(Storage::open(dir.path(), Durability::ProcessDeath).is_ok());
    }

    #[tokio::test]
    async fn operations_that_share_a_commit_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (storage, _closed) = Storage::open(dir.path(), Durability::ProcessDeath).unwrap();
        let create = || storage.write(|tx| tx.create_bucket("one", 0));
        let answers = futures_util::future::join_all((0..100).map(|_| create())).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    }
}
