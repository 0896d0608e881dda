//! The key-value commands: on a key of a store by its URL, or on any file by its path.
//!
//! The client (`src/client/`) does the work; here are the options of each command, its call, and what is printed.
//! `target.rs` reads what the user wrote, and `reach.rs` says how the client gets there. Read `get.rs` first.

mod append;
mod copy_store;
mod cp;
mod failures;
mod filter;
mod get;
mod group;
mod item;
mod lines;
mod ls;
mod many;
mod metadata_args;
mod patience;
mod presign;
mod put;
mod reach;
mod rescued;
mod rm;
mod stat;
mod stop;
mod target;
mod update;
mod versions;
mod watch;

use clap::Subcommand;

use reach::CommandResult;

pub(super) use rescued::{Apply, Diff, apply, diff};

pub(super) use copy_store::{Args as CopyStore, run as copy_store};

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List stores or keys.
    #[command(after_help = "\
Examples: etagfs ls s3://bucket                  its stores
          etagfs ls -l s3://bucket/UUID/dir      keys with sizes, times and ETags
          etagfs ls --flat -R s3://bucket/logs/  objects, where there are no stores")]
    Ls(Box<ls::Args>),
    /// Print a value.
    #[command(after_help = "\
Examples: etagfs get s3://bucket/UUID/settings.json | jq .
          etag=$(etagfs get --etag s3://bucket/UUID/key 2>&1 > value)
          etagfs get s3://bucket/UUID/key --default 0
Exit codes: 66 no such key; 3 with --if-none-match, the key still has that version; 75 with
--if-match, it has another one.")]
    Get(Box<get::Args>),
    /// Save a value and print its ETag.
    #[command(after_help = "\
Examples: echo 1 | etagfs put s3://bucket/UUID/counter
          etagfs put s3://bucket/UUID/page index.html --content-type text/html --meta author=me
          etagfs put s3://bucket/UUID/key --if-match \"$etag\" < value || echo 'somebody else was first'
Exit codes: 75 the condition did not hold, and nothing was written.")]
    Put(Box<put::Put>),
    /// Save a value under a key that does not exist yet, and print its ETag.
    Create(Box<put::Create>),
    /// Delete keys.
    Rm(Box<rm::Args>),
    /// Print what is known of keys: ETag, size, time, metadata.
    Stat(Box<stat::Args>),
    /// Copy a value between any two of: a key, a file, a standard stream.
    #[command(after_help = "\
Examples: etagfs cp s3://bucket/UUID/key file
          etagfs cp --no-clobber file s3://bucket/UUID/dir/
          etagfs cp s3://one/UUID/key s3://two/UUID/key")]
    Cp(Box<cp::Cp>),
    /// Move a value: copy it, then delete the source if it has not changed.
    Mv(Box<cp::Mv>),
    /// Change a value by a command; rerun it until its result is saved without a conflict.
    #[command(after_help = "\
Example: etagfs update s3://bucket/UUID/counter -- sh -c 'echo $(($(cat) + 1))'")]
    Update(Box<update::Args>),
    /// Append lines to a value; concurrent appends by others are kept.
    Append(Box<append::Append>),
    /// Print the lines of a value, or the elements of a konserve log.
    Log(Box<append::Log>),
    /// Print many values, one JSON object a line.
    #[command(after_help = "\
Examples: etagfs mget --in s3://bucket/UUID a b c | jq -r .value
          etagfs ls -R --null s3://bucket/UUID | etagfs mget --null --in s3://bucket/UUID > backup
A key that does not exist has the status \"absent\", and is no failure.")]
    Mget(Box<many::Get>),
    /// Save many values: JSON lines with "key" and "value", or what mget printed.
    #[command(after_help = "\
Example: etagfs mget --in s3://bucket/UUID a b | jq -c '.value |= ascii_upcase' |
           etagfs mput --in s3://bucket/UUID --if-unchanged
Fields of a line: key, value or value_base64, content_type, metadata, if_match, if_none_match.")]
    Mput(Box<many::Put>),
    /// Delete many keys.
    Mrm(Box<many::Remove>),
    /// Report changes of a key, or of all keys of a store or below a prefix.
    #[command(after_help = "\
Examples: etagfs watch s3://bucket/UUID/config -- systemctl reload my-service
          etagfs watch s3://bucket/UUID/jobs/ | jq -r .target")]
    Watch(Box<watch::Args>),
    #[command(after_help = "\
Examples: curl \"$(etagfs presign s3://bucket/UUID/key --expires 15m)\"
          curl -T file \"$(etagfs presign --put s3://bucket/UUID/key)\"")]
    /// Print a temporary URL that lets anyone who has it read or write a value.
    Presign(Box<presign::Args>),
    /// List the versions that a versioned bucket keeps of a key.
    Versions(Box<versions::Args>),
}

/// Runs one.
pub(super) fn run(command: Command) -> CommandResult {
    match command {
        Command::Ls(args) => ls::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Put(args) => put::put(&args),
        Command::Create(args) => put::create(&args),
        Command::Rm(args) => rm::run(&args),
        Command::Stat(args) => stat::run(&args),
        Command::Cp(args) => cp::cp(&args),
        Command::Mv(args) => cp::mv(&args),
        Command::Update(args) => update::run(&args),
        Command::Append(args) => append::append(&args),
        Command::Log(args) => append::log(&args),
        Command::Mget(args) => many::get(&args),
        Command::Mput(args) => many::put(&args),
        Command::Mrm(args) => many::remove(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Presign(args) => presign::run(&args),
        Command::Versions(args) => versions::run(&args),
    }
}
