//! What a signal that arrives does.

use super::{Action, ActionFlags, Actions, DefaultAction, Disposition, Pending, Signal, SignalInfo, SignalSet, Taken};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The process ends.
    Terminate {
        /// Whether its memory is left to be looked at.
        core: bool,
    },
    /// The process stops.
    Stop,
    /// The process goes on, if it had stopped; it did when the signal was sent.
    Continue,
    /// Nothing.
    Ignore,
    /// A handler is called.
    Handler(Call),
}

/// A handler to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is told.
    pub info: SignalInfo,
    /// Its address, flags, and where it returns to.
    pub action: Action,
    /// The thread's mask while it runs.
    pub mask: SignalSet,
}

/// What a decision depends on besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// Nobody outside the process's group could let it go on if the terminal stopped it.
    pub orphaned: bool,
    /// The process is init, without which nothing works: only what it has a handler for reaches it.
    pub is_init: bool,
}

/// Takes the signal that a thread with this mask has to act on next: SIGKILL, then its own, then the process's.
pub fn take_next(mask: SignalSet, own: &mut Pending, shared: &mut Pending) -> Option<Taken> {
    let kill = SignalSet::of(&[Signal::SIGKILL]);
    let wanted = SignalSet::from_bits(!mask.as_mask().bits());
    let mut take = |wanted| own.take(wanted).or_else(|| shared.take(wanted));
    take(kill).or_else(|| take(wanted))
}

/// What the signal does to a process that wants `actions` done, in a thread with this mask.
pub fn decide(info: SignalInfo, actions: &mut Actions, mask: SignalSet, situation: Situation) -> Delivery {
    let signal = info.signal;
    let action = actions.get(signal);
    match action.disposition() {
        Disposition::Ignore => Delivery::Ignore,
        Disposition::Default => by_default(&info, situation),
        Disposition::Handler(_) => {
            if action.flags.contains(ActionFlags::RESET_HANDLER) {
                actions.reset(signal);
            }
            let own =
                if action.flags.contains(ActionFlags::NO_DEFER) { SignalSet::EMPTY } else { SignalSet::of(&[signal]) };
            Delivery::Handler(Call { info, action, mask: mask.union(action.mask).union(own).as_mask() })
        }
    }
}

fn by_default(info: &SignalInfo, situation: Situation) -> Delivery {
    let signal = info.signal;
    let default = signal.default_action();
    // What init itself did wrong ends it all the same, or it would do it for ever.
    let is_own_fault = SignalSet::SYNCHRONOUS.contains(signal) && !info.is_from_user();
    match default {
        DefaultAction::Ignore => Delivery::Ignore,
        DefaultAction::Continue => Delivery::Continue,
        _ if situation.is_init && !is_own_fault => Delivery::Ignore,
        // POSIX: the terminal does not stop who could never be let go on.
        DefaultAction::Stop if situation.orphaned && signal != Signal::SIGSTOP => Delivery::Ignore,
        DefaultAction::Stop => Delivery::Stop,
        DefaultAction::Terminate => Delivery::Terminate { core: false },
        DefaultAction::Core => Delivery::Terminate { core: true },
    }
}

/// Sees to it that a signal that an instruction caused arrives: a thread that blocks or ignores it cannot go on,
/// because it would cause the same again. Answers the thread's new mask.
pub fn force(signal: Signal, actions: &mut Actions, mask: SignalSet) -> SignalSet {
    let blocked = mask.contains(signal);
    if blocked || actions.get(signal).disposition() == Disposition::Ignore {
        actions.reset(signal);
    }
    mask.without(SignalSet::of(&[signal]))
}
