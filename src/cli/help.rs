//! How the help is arranged: commands in groups, and on one screen what most people look for.
//!
//! It changes the definition of the command line in nothing but that, and knows commands by name only.

use clap::Command;

/// The commands in groups, in the order in which they are shown.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Mounts", &["mount", "umount", "alive", "top", "rescue"]),
    (
        "Keys (KEY is s3://BUCKET[/PREFIX]/UUID/KEY, or a path)",
        &[
            "ls", "get", "put", "create", "update", "append", "log", "rm", "stat", "cp", "mv",
            "mget", "mput", "mrm", "watch", "versions", "presign",
        ],
    ),
    ("Stores and buckets", &["stores", "bucket", "probe"]),
    ("Servers", &["demo", "serve"]),
    ("This program", &["man", "completions", "help"]),
];

/// What `-h` leaves to `--help`, by heading, except where it is the matter itself.
const RARELY_LOOKED_FOR: [&str; 6] = [
    "Bucket",
    "Credentials",
    "Network",
    "Objects",
    "Stores",
    "Konserve stores",
];
/// But these are looked for.
const LOOKED_FOR: [&str; 2] = ["endpoint_url", "flat"];

/// Arranges the help.
pub(super) fn arranged(command: Command) -> Command {
    let groups = grouped(&command);
    let command = command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}"
    ));
    command.mut_subcommands(|subcommand| match subcommand.get_name() {
        "mount" => subcommand,
        _ => short(subcommand),
    })
}

fn short(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let heading = arg.get_help_heading();
        let is_rare = heading.is_some_and(|heading| RARELY_LOOKED_FOR.contains(&heading));
        match is_rare && !LOOKED_FOR.contains(&arg.get_id().as_str()) {
            true => arg.hide_short_help(true),
            false => arg,
        }
    });
    command.mut_subcommands(short)
}

fn grouped(command: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        text.push_str(&format!("{heading}:\n"));
        for name in names {
            let about = command
                .find_subcommand(name)
                .and_then(Command::get_about)
                .map(ToString::to_string);
            let about = about.unwrap_or_else(|| "Print the help of a command".to_owned());
            text.push_str(&format!("  {name:<12} {about}\n"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_is_in_one_group() {
        let command = crate::cli::Cli::command();
        let mut names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        names.push("help");
        names.sort_unstable();
        let mut grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        grouped.sort_unstable();
        assert_eq!(grouped, names);
    }

    #[test]
    fn the_summary_of_a_command_fits_on_a_screen() {
        let mut command = arranged(crate::cli::Cli::command());
        command.build();
        for name in GROUPS[1].1 {
            let subcommand = command.find_subcommand_mut(name).expect("it is there");
            let help = subcommand.render_help().to_string();
            assert!(help.lines().count() <= 50, "{help}");
            assert!(!help.contains("--fips"), "{help}");
            assert!(subcommand.render_long_help().to_string().contains("--fips"));
        }
    }
}
