//! As whom a process acts: credentials(7). Root has all capabilities, nobody else has any.

use crate::errno::Errno;
use crate::signal::Signal;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general;

/// Groups that a process may have besides: Linux's `NGROUPS_MAX`.
pub const MOST_GROUPS: usize = 65_536;

/// "Do not change this", where a user or group is expected.
const UNCHANGED: u32 = u32::MAX;

const SET_USER_ID: u32 = general::S_ISUID;
const SET_GROUP_ID: u32 = general::S_ISGID;
const GROUP_EXECUTE: u32 = general::S_IXGRP;

/// The identities of a kind, users or groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// Who started the process.
    pub real: u32,
    /// As whom it acts.
    pub effective: u32,
    /// As whom it can act again.
    pub saved: u32,
    /// As whom it opens files: the effective one, unless setfsuid(2) was called since.
    pub file_system: u32,
}

/// As whom a process acts. Threads have copies, which fork(2) and clone(2) copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Users.
    pub users: Identities,
    /// Groups.
    pub groups: Identities,
    /// Further groups, sorted.
    supplementary: Arc<Vec<u32>>,
    /// No program that is executed gives rights that its caller has not (`PR_SET_NO_NEW_PRIVS`); once set, for ever.
    pub no_new_privileges: bool,
}

impl Identities {
    /// One for all.
    pub fn same(identity: u32) -> Self {
        Self { real: identity, effective: identity, saved: identity, file_system: identity }
    }

    /// setuid(2), setgid(2).
    fn set(&mut self, identity: u32, privileged: bool) -> Result<(), Errno> {
        if identity == UNCHANGED {
            return Err(Errno::EINVAL);
        }
        if privileged {
            (self.real, self.saved) = (identity, identity);
        } else if identity != self.real && identity != self.saved {
            return Err(Errno::EPERM);
        }
        (self.effective, self.file_system) = (identity, identity);
        Ok(())
    }

    /// setreuid(2), setregid(2).
    fn set_two(&mut self, real: u32, effective: u32, privileged: bool) -> Result<(), Errno> {
        let old = *self;
        let may = |identity, allowed: &[u32]| privileged || identity == UNCHANGED || allowed.contains(&identity);
        if !may(real, &[old.real, old.effective]) || !may(effective, &[old.real, old.effective, old.saved]) {
            return Err(Errno::EPERM);
        }
        self.real = or(real, old.real);
        self.effective = or(effective, old.effective);
        if real != UNCHANGED || (effective != UNCHANGED && effective != old.real) {
            self.saved = self.effective;
        }
        self.file_system = self.effective;
        Ok(())
    }

    /// setresuid(2), setresgid(2).
    fn set_three(&mut self, [real, effective, saved]: [u32; 3], privileged: bool) -> Result<(), Errno> {
        let old = [self.real, self.effective, self.saved];
        let may = |identity| privileged || identity == UNCHANGED || old.contains(&identity);
        if ![real, effective, saved].into_iter().all(may) {
            return Err(Errno::EPERM);
        }
        self.real = or(real, self.real);
        self.effective = or(effective, self.effective);
        self.saved = or(saved, self.saved);
        self.file_system = self.effective;
        Ok(())
    }

    /// setfsuid(2), setfsgid(2): answers what was, whether that changed or not.
    fn set_file_system(&mut self, identity: u32, privileged: bool) -> u32 {
        let old = self.file_system;
        let allowed = [self.real, self.effective, self.saved, old];
        if identity != UNCHANGED && (privileged || allowed.contains(&identity)) {
            self.file_system = identity;
        }
        old
    }
}

fn or(identity: u32, otherwise: u32) -> u32 {
    if identity == UNCHANGED { otherwise } else { identity }
}

impl Credentials {
    /// Root's.
    pub fn root() -> Self {
        Self::default()
    }

    /// Whether the process has all capabilities.
    pub fn is_privileged(&self) -> bool {
        self.users.effective == 0
    }

    /// setuid(2).
    ///
    /// # Errors
    /// [`Errno::EINVAL`], [`Errno::EPERM`].
    pub fn set_user(&mut self, user: u32) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.users.set(user, privileged)
    }

    /// setgid(2).
    ///
    /// # Errors
    /// [`Errno::EINVAL`], [`Errno::EPERM`].
    pub fn set_group(&mut self, group: u32) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.groups.set(group, privileged)
    }

    /// setreuid(2). `u32::MAX` stands for no change.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn set_users(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.users.set_two(real, effective, privileged)
    }

    /// setregid(2). `u32::MAX` stands for no change.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn set_groups(&mut self, real: u32, effective: u32) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.groups.set_two(real, effective, privileged)
    }

    /// setresuid(2): real, effective, saved. `u32::MAX` stands for no change.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn set_all_users(&mut self, users: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.users.set_three(users, privileged)
    }

    /// setresgid(2): real, effective, saved. `u32::MAX` stands for no change.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn set_all_groups(&mut self, groups: [u32; 3]) -> Result<(), Errno> {
        let privileged = self.is_privileged();
        self.groups.set_three(groups, privileged)
    }

    /// setfsuid(2): answers what was.
    pub fn set_file_system_user(&mut self, user: u32) -> u32 {
        let privileged = self.is_privileged();
        self.users.set_file_system(user, privileged)
    }

    /// setfsgid(2): answers what was.
    pub fn set_file_system_group(&mut self, group: u32) -> u32 {
        let privileged = self.is_privileged();
        self.groups.set_file_system(group, privileged)
    }

    /// Further groups, sorted.
    pub fn supplementary(&self) -> &[u32] {
        &self.supplementary
    }

    /// setgroups(2).
    ///
    /// # Errors
    /// [`Errno::EPERM`]; [`Errno::EINVAL`] if there are too many, or one that is none.
    pub fn set_supplementary(&mut self, mut groups: Vec<u32>) -> Result<(), Errno> {
        if !self.is_privileged() {
            return Err(Errno::EPERM);
        }
        if groups.len() > MOST_GROUPS || groups.contains(&UNCHANGED) {
            return Err(Errno::EINVAL);
        }
        groups.sort_unstable();
        self.supplementary = Arc::new(groups);
        Ok(())
    }

    /// Whether the process opens files as a member of a group.
    pub fn is_member(&self, group: u32) -> bool {
        self.groups.file_system == group || self.supplementary.binary_search(&group).is_ok()
    }

    /// Whether the process may look into what another has: its memory, files, environment (ptrace(2), access mode checking).
    pub fn may_inspect(&self, other: &Self) -> bool {
        let is_all = |own: u32, of: &Identities| [of.real, of.effective, of.saved] == [own; 3];
        let is_same = is_all(self.users.file_system, &other.users) && is_all(self.groups.file_system, &other.groups);
        is_same || self.is_privileged()
    }

    /// execve(2) of a file with this mode, user and group. `honoured` is false on file systems where set-user-ID bits do not
    /// count. True if the program gets rights that its caller has not: `AT_SECURE`.
    pub fn execute(&mut self, mode: u32, user: u32, group: u32, honoured: bool) -> bool {
        let honoured = honoured && !self.no_new_privileges;
        if honoured && mode & SET_USER_ID != 0 {
            self.users.effective = user;
        }
        // Without the right to execute, the bit once meant mandatory locks.
        if honoured && mode & (SET_GROUP_ID | GROUP_EXECUTE) == SET_GROUP_ID | GROUP_EXECUTE {
            self.groups.effective = group;
        }
        for identities in [&mut self.users, &mut self.groups] {
            (identities.saved, identities.file_system) = (identities.effective, identities.effective);
        }
        self.users.effective != self.users.real || self.groups.effective != self.groups.real
    }

    /// Whether a process that acts so may send `signal` to one that acts as `target`: kill(2). Within a session,
    /// SIGCONT always arrives, so that a shell lets go on what it started.
    ///
    /// # Errors
    /// [`Errno::EPERM`].
    pub fn may_signal(&self, target: &Self, signal: Option<Signal>, same_session: bool) -> Result<(), Errno> {
        let theirs = [target.users.real, target.users.saved];
        let allowed = self.is_privileged()
            || theirs.contains(&self.users.real)
            || theirs.contains(&self.users.effective)
            || (signal == Some(Signal::SIGCONT) && same_session);
        if allowed { Ok(()) } else { Err(Errno::EPERM) }
    }
}
