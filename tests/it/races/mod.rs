//! Races: several processes save one key through one mount or two, and no save is ever lost.
//! `counter` counts, `between` is about two machines, `local` about two processes of one, `opening` about
//! files that come and go while they are opened, `appends` about those who append, `listed` about what is
//! shown meanwhile, `doubled` about requests that something sends twice. What a
//! process does is in `actor.py` and `increments.py`, run by `actor` and `counter`.

mod actor;
mod after_close;
mod appends;
mod between;
mod counter;
mod doubled;
mod examples;
mod exclusive;
mod kept;
mod listed;
mod local;
mod locks;
mod moved;
mod opening;
