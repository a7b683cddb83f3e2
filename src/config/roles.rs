//! What a process does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One of the things a process can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Answers pushes.
    Receiver,
    /// Runs jobs.
    Worker,
    /// Runs scheduled tasks.
    Scheduler,
    /// Serves the admin API and its pages.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Receiver, Self::Worker, Self::Scheduler, Self::Admin];

    /// The spelling in `--roles`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Worker => "worker",
            Self::Scheduler => "scheduler",
            Self::Admin => "admin",
        }
    }
}

/// A set of roles. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// Every role: one process does everything.
    pub fn all() -> Self {
        Self(Role::ALL.into())
    }

    /// No role: for commands that need only what they ask for themselves.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether `role` is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// The roles, in the order of [`Role::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::all()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|name| {
                let name = name.trim();
                Role::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
                    format!("`{name}` is not a role; choose from receiver, worker, scheduler, admin")
                })
            })
            .collect()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        assert_eq!(Roles::all().to_string(), "receiver,worker,scheduler,admin");
        assert_eq!("receiver,worker,scheduler,admin".parse(), Ok(Roles::all()));
        assert_eq!(" Worker , admin".parse(), Ok(Roles::from_iter([Role::Admin, Role::Worker])));
    }

    #[test]
    fn names_what_it_does_not_know() {
        let error = "receiver,wroker".parse::<Roles>().unwrap_err();
        assert!(error.starts_with("`wroker` is not a role"), "{error}");
        assert!("".parse::<Roles>().is_err());
    }
}
