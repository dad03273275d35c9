//! Who may change how nice a process is: setpriority(2).

use super::credentials::Credentials;
use crate::errno::Errno;
use crate::sched::Nice;

/// What getpriority(2) answers, and what `RLIMIT_NICE` counts: 20 less the nice value, from 1 on.
pub fn rank(nice: Nice) -> u32 {
    (20 - nice.value()).unsigned_abs()
}

/// Whether a process that acts as `who` may have one that acts as `target`, whose `RLIMIT_NICE` is `limit`, be as nice as `new`
/// rather than `old`.
///
/// # Errors
/// [`Errno::EPERM`] if it is somebody else's; [`Errno::EACCES`] if it would be less nice than its limit allows.
pub fn may_change(who: &Credentials, target: &Credentials, old: Nice, new: Nice, limit: u64) -> Result<(), Errno> {
    if who.is_privileged() {
        return Ok(());
    }
    if ![target.users.real, target.users.effective].contains(&who.users.effective) {
        return Err(Errno::EPERM);
    }
    if new >= old || u64::from(rank(new)) <= limit { Ok(()) } else { Err(Errno::EACCES) }
}

/// The answer of a call for many, of what it is for each: the last failure, if there is any.
///
/// # Errors
/// [`Errno::ESRCH`] if there are none.
pub fn answer(each: impl IntoIterator<Item = Result<(), Errno>>) -> Result<(), Errno> {
    let mut answer = Err(Errno::ESRCH);
    for result in each {
        if result.is_err() || answer == Err(Errno::ESRCH) {
            answer = result;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(real: u32, effective: u32) -> Credentials {
        let mut credentials = Credentials::root();
        credentials.set_all_users([real, effective, effective]).unwrap();
        credentials
    }

    #[test]
    fn answers_are_never_negative() {
        let ranks = [Nice::MIN, Nice::NORMAL, Nice::MAX].map(rank);
        assert_eq!(ranks, [40, 20, 1]);
    }

    #[test]
    fn one_changes_what_is_ones_own_and_root_everything() {
        let may = |who: &Credentials, target: &Credentials| may_change(who, target, Nice::NORMAL, Nice::MAX, 0);
        assert_eq!(may(&user(7, 7), &user(7, 7)), Ok(()));
        assert_eq!(may(&user(7, 8), &user(8, 9)), Ok(()));
        assert_eq!(may(&user(7, 8), &user(9, 8)), Ok(()));
        assert_eq!(may(&user(8, 7), &user(8, 8)), Err(Errno::EPERM));
        assert_eq!(may(&user(7, 7), &Credentials::root()), Err(Errno::EPERM));
        assert_eq!(may(&Credentials::root(), &user(7, 7)), Ok(()));
    }

    #[test]
    fn nobody_but_root_gets_more_than_the_limit_allows() {
        let own = user(7, 7);
        let may = |who: &Credentials, old, new, limit| may_change(who, &own, Nice::new(old), Nice::new(new), limit);
        assert_eq!(may(&own, 5, 5, 0), Ok(()));
        assert_eq!(may(&own, 5, 6, 0), Ok(()));
        assert_eq!(may(&own, 5, 4, 0), Err(Errno::EACCES));
        assert_eq!(may(&own, 5, 4, 15), Err(Errno::EACCES));
        assert_eq!(may(&own, 5, 4, 16), Ok(()));
        assert_eq!(may(&own, 5, -20, u64::MAX), Ok(()));
        assert_eq!(may(&Credentials::root(), 5, -20, 0), Ok(()));
    }

    #[test]
    fn failures_of_some_are_told() {
        const NO: Result<(), Errno> = Err(Errno::EPERM);
        assert_eq!(answer([]), Err(Errno::ESRCH));
        assert_eq!(answer([Ok(()), Ok(())]), Ok(()));
        assert_eq!(answer([Ok(()), NO, Ok(())]), NO);
        assert_eq!(answer([NO, Err(Errno::EACCES)]), Err(Errno::EACCES));
    }
}
