//! Credentials, as the caller chooses them.
//!
//! These are settings; nothing is read or asked here but what kind of machine this is. Secrets are
//! never shown. Next: `sources.rs` finds credentials where these settings allow it, `keys.rs` keeps
//! and renews them.

use std::fmt;

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// Whom the standard chain finds: environment, profile files (keys, a process, SSO, a role), web
    /// identity token, container, EC2 instance.
    Standard {
        /// This profile, and nobody else.
        profile: Option<String>,
        /// Whether to ask the EC2 instance metadata service.
        instance: Instance,
    },
    /// These keys.
    Keys {
        /// The access key id.
        id: String,
        /// The secret access key.
        secret: String,
        /// The token of temporary keys.
        token: Option<String>,
    },
    /// Nobody: requests are not signed.
    Anonymous,
}

/// Whether to ask the EC2 instance metadata service (IMDS). Where there is none, the question
/// can cost many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    /// If the firmware says that this is EC2, or `AWS_EC2_METADATA_SERVICE_ENDPOINT` says where to ask.
    #[default]
    IfEc2,
    /// Yes.
    Ask,
    /// No.
    Ignore,
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Standard {
            profile: None,
            instance: Instance::IfEc2,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard { profile, instance } => f
                .debug_struct("Standard")
                .field("profile", profile)
                .field("instance", instance)
                .finish(),
            Self::Keys { id, .. } => f
                .debug_struct("Keys")
                .field("id", id)
                .finish_non_exhaustive(),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

impl Instance {
    /// Whether it is asked on this machine.
    pub(super) fn is_asked(self) -> bool {
        match self {
            Self::Ask => true,
            Self::Ignore => false,
            Self::IfEc2 => is_ec2() || is_told(),
        }
    }
}

/// A caller that sets this means it.
fn is_told() -> bool {
    std::env::var_os("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some_and(|url| !url.is_empty())
}

/// The marks that AWS names for telling an EC2 instance from inside: the vendor on Nitro, the
/// hypervisor's UUID on Xen.
fn is_ec2() -> bool {
    let says = |file: &str, start: &str| {
        std::fs::read_to_string(file).is_ok_and(|text| {
            text.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        })
    };
    says("/sys/class/dmi/id/sys_vendor", "Amazon EC2") || says("/sys/hypervisor/uuid", "ec2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let keys = Credentials::Keys {
            id: "AK".into(),
            secret: "hidden".into(),
            token: Some("hidden".into()),
        };
        let shown = format!("{keys:?}");
        assert!(shown.contains("AK") && !shown.contains("hidden"));
    }
}
