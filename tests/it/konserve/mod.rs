//! Konserve stores on real mounts: what the real library wrote is shown (`shown.rs`), saves are what it
//! would write (`saved.rs`), stores come and go as it expects (`stores.rs`), the first listing of a large one is made once (`first_listing.rs`), logs grow (`logs.rs`), odd objects do no harm (`odd.rs`), and
//! a writer made from the format alone saves at the same time (`together.rs`); the same without a mount (`commands.rs`).

mod commands;
mod first_listing;
mod fixtures;
mod logs;
mod odd;
mod saved;
mod shown;
mod stores;
mod together;
mod writer;
