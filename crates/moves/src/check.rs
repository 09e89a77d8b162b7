//! What must be true before a move starts.
//!
//! Used twice: when a request is made, so that every mistake is reported before anything starts, and when its turn comes,
//! since a queued move may have waited for hours.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use compare::Side;
use mapping::{ResolutionReason, Router};
use plan::Name;
use runtime::ActivePlan;
use sessions::Registry;
use types::identifier::Identifier;
use types::protocol::Protocol;

use crate::journal::{Journal, JournalError};
use crate::move_id::MoveId;
use crate::request::{MoveOptions, MoveRequest};

/// A reason why a group cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The account, as it was given; `None` when the reason concerns the whole group.
    pub account: Option<Arc<str>>,
    /// Which of several requests has it, from 0.
    pub group: usize,
    /// The reason.
    pub kind: ProblemKind,
}

/// See [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// No account was named.
    NoAccount,
    /// More accounts than a hold can take.
    TooManyAccounts(usize),
    /// More than [`MoveRequest::MAX_BATCH`].
    TooManyGroups(usize),
    /// The name cannot be an account's.
    BadAccount(String),
    /// A whole domain, as a mapping or a kick may name it; its accounts are not known to the proxy.
    Domain,
    /// A command that cannot be run: it has a NUL byte, or more than [`MoveOptions::MAX_COMMAND`] bytes.
    BadCommand(&'static str),
    /// Mailboxes are to be compared, and the proxy cannot log in to this destination over IMAP.
    CannotCompare(Name),
    /// The account is named in another request of the same batch.
    Repeated,
    /// The account is in a move that has not ended.
    InMove(MoveId),
    /// The target is not declared.
    UnknownTarget {
        /// As given.
        found: Name,
        /// The declared destinations.
        declared: Vec<Name>,
    },
    /// The account is at the target already.
    AlreadyThere(Name),
    /// The accounts of the group are at different destinations.
    SplitGroup {
        /// The destination of the group's first account.
        first: Name,
        /// The destination of this one.
        here: Name,
    },
    /// The store names a destination that is not declared.
    Undeclared,
    /// The store does not answer, so it is not known where the account is.
    StoreDown,
    /// A leg of the target is marked down.
    TargetDown {
        /// The target.
        target: Name,
        /// The leg.
        protocol: Protocol,
    },
    /// The account has a session in a protocol that the target does not offer.
    TargetLacks {
        /// The target.
        target: Name,
        /// The protocol.
        protocol: Protocol,
    },
    /// A sync would run onto a target that the account has been using.
    TargetInUse {
        /// The target.
        target: Name,
        /// The move that has brought the account there.
        since: MoveId,
    },
    /// A rollback would leave what the account has received at the target since the move.
    LeavesBehind {
        /// Where the account is now.
        source: Name,
        /// The move that has brought the account there.
        since: MoveId,
    },
}

/// A group that can be moved.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) source: Name,
    pub(crate) accounts: Vec<Arc<str>>,
}

/// Checks requests.
pub(crate) struct Checker<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) router: &'a Router,
    pub(crate) registry: &'a Registry,
    pub(crate) plan: &'a ActivePlan,
}

// === impl Checker ===

impl Checker<'_> {
    /// Returns where the group is now, or every reason not to move it.
    pub(crate) async fn check(
        &self,
        request: &MoveRequest,
    ) -> Result<Result<Checked, Vec<Problem>>, JournalError> {
        let mut problems = Vec::new();
        self.check_target(&request.target, &mut problems);
        check_commands(&request.options, &mut problems);
        let names = self.names(request, &mut problems);
        let accounts = self.resolve(&names, &request.target, &mut problems).await;
        if let Some((source, accounts)) = accounts.filter(|_| problems.is_empty()) {
            self.check_sessions(&request.target, &accounts, &mut problems);
            self.check_data(request, &source, &accounts, &mut problems).await?;
            self.check_compare(request, &source, &mut problems);
            if problems.is_empty() {
                return Ok(Ok(Checked { source, accounts }));
            }
        }
        Ok(Err(problems))
    }

    fn check_target(&self, target: &Name, problems: &mut Vec<Problem>) {
        let Some(backend) = self.plan.backends.get(target) else {
            let declared = self.plan.backends.iter().map(|(name, _)| Arc::clone(name)).collect();
            problems.push(Problem::group(ProblemKind::UnknownTarget { found: Arc::clone(target), declared }));
            return;
        };
        for (protocol, health) in backend.legs() {
            if health.down {
                let target = Arc::clone(target);
                problems.push(Problem::group(ProblemKind::TargetDown { target, protocol }));
            }
        }
    }

    /// Returns the normalised names, each once.
    fn names(&self, request: &MoveRequest, problems: &mut Vec<Problem>) -> Vec<Arc<str>> {
        if request.accounts.is_empty() {
            problems.push(Problem::group(ProblemKind::NoAccount));
        }
        if request.accounts.len() > sessions::Hold::MAX_GROUP {
            problems.push(Problem::group(ProblemKind::TooManyAccounts(request.accounts.len())));
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for account in &request.accounts {
            if names_domain(account) {
                problems.push(Problem::of(account, ProblemKind::Domain));
                continue;
            }
            if let Err(error) = Identifier::parse(&**account) {
                problems.push(Problem::of(account, ProblemKind::BadAccount(error.to_string())));
                continue;
            }
            let name: Arc<str> = self.router.normalize(account).into();
            if seen.insert(Arc::clone(&name)) {
                names.push(name);
            }
        }
        names
    }

    async fn resolve(
        &self,
        names: &[Arc<str>],
        target: &Name,
        problems: &mut Vec<Problem>,
    ) -> Option<(Name, Vec<Arc<str>>)> {
        let mut source: Option<Name> = None;
        let mut accounts = Vec::new();
        for name in names {
            let found = self.router.resolve(name).await;
            let kind = match found.reason {
                ResolutionReason::StoreDown { .. } => Some(ProblemKind::StoreDown),
                ResolutionReason::Undeclared => Some(ProblemKind::Undeclared),
                _ if found.destination == *target => Some(ProblemKind::AlreadyThere(Arc::clone(target))),
                _ => None,
            };
            if let Some(kind) = kind {
                problems.push(Problem::of(name, kind));
                continue;
            }
            let first = source.get_or_insert_with(|| Arc::clone(&found.destination));
            if *first != found.destination {
                let kind = ProblemKind::SplitGroup { first: Arc::clone(first), here: found.destination };
                problems.push(Problem::of(name, kind));
                continue;
            }
            accounts.push(Arc::clone(name));
        }
        Some((source?, accounts))
    }

    /// The clients that are connected now must be able to come back.
    fn check_sessions(&self, target: &Name, accounts: &[Arc<str>], problems: &mut Vec<Problem>) {
        let Some(backend) = self.plan.backends.get(target) else { return };
        let offered: HashSet<Protocol> = backend.legs().map(|(protocol, _)| protocol).collect();
        let names: HashSet<&str> = accounts.iter().map(|account| &**account).collect();
        let sessions = self.registry.sessions_where(sessions::Hold::MAX_GROUP, |session| {
            session.account.as_deref().is_some_and(|account| names.contains(account))
                && !offered.contains(&session.protocol)
        });
        for session in sessions {
            let Some(account) = session.account else { continue };
            let kind = ProblemKind::TargetLacks { target: Arc::clone(target), protocol: session.protocol };
            let problem = Problem::of(&account, kind);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    /// Both destinations must be comparable, where that is asked for.
    fn check_compare(&self, request: &MoveRequest, source: &Name, problems: &mut Vec<Problem>) {
        if request.options.compare.is_none() {
            return;
        }
        for name in [source, &request.target] {
            if Side::of(&self.plan.backends, &self.plan.plan, name).is_none() {
                problems.push(Problem::group(ProblemKind::CannotCompare(Arc::clone(name))));
            }
        }
    }

    /// Data that a move would destroy or leave behind.
    async fn check_data(
        &self,
        request: &MoveRequest,
        source: &Name,
        accounts: &[Arc<str>],
        problems: &mut Vec<Problem>,
    ) -> Result<(), JournalError> {
        let options = &request.options;
        for account in accounts {
            if options.sync.is_some() && !options.force && request.rollback_of.is_none() {
                // A copy that deletes what only the target has would destroy what has arrived there.
                if let Some(since) = self.journal.last_arrival(account, &request.target).await? {
                    let kind = ProblemKind::TargetInUse { target: Arc::clone(&request.target), since };
                    problems.push(Problem::of(account, kind));
                }
            }
            if let Some(since) = request.rollback_of
                && options.sync.is_none()
                && !options.leave_behind
            {
                let kind = ProblemKind::LeavesBehind { source: Arc::clone(source), since };
                problems.push(Problem::of(account, kind));
            }
        }
        Ok(())
    }
}

fn check_commands(options: &MoveOptions, problems: &mut Vec<Problem>) {
    for (name, command) in [("sync", &options.sync), ("verify", &options.verify)] {
        if command
            .as_ref()
            .is_some_and(|command| command.len() > MoveOptions::MAX_COMMAND || command.contains('\0'))
        {
            problems.push(Problem::group(ProblemKind::BadCommand(name)));
        }
    }
}

/// `@example.org` in a mapping, `*@example.org` in a kick, `*` for every account. As the name of one account, each would
/// move none and report success.
fn names_domain(account: &str) -> bool {
    account.starts_with('@') || account.starts_with("*@") || account == "*"
}

// === impl Problem ===

impl Problem {
    pub(crate) const fn group(kind: ProblemKind) -> Self {
        Self { account: None, group: 0, kind }
    }

    pub(crate) const fn in_group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    pub(crate) fn of(account: &Arc<str>, kind: ProblemKind) -> Self {
        Self { account: Some(Arc::clone(account)), group: 0, kind }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{}: ", account.escape_debug())?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccount => f.write_str("no account was named"),
            Self::TooManyAccounts(count) => {
                let max = sessions::Hold::MAX_GROUP;
                write!(f, "{count} accounts in one move; at most {max} move together: use a batch")
            }
            Self::TooManyGroups(count) => {
                let max = MoveRequest::MAX_BATCH;
                write!(f, "{count} groups in one batch; at most {max} are accepted: make several batches")
            }
            Self::BadAccount(reason) => f.write_str(reason),
            Self::Domain => f.write_str("a domain cannot be moved: name its accounts, in a batch"),
            Self::BadCommand(name) => write!(
                f,
                "the {name} command has a NUL byte or more than {} bytes: put what it does into a script",
                MoveOptions::MAX_COMMAND
            ),
            Self::CannotCompare(name) => {
                write!(f, "{name} has no IMAP leg, or no login to compare mailboxes: set moves.compare.{name}")
            }
            Self::Repeated => f.write_str("the account is named twice in this batch"),
            Self::InMove(id) => {
                write!(f, "the account is in move {id}, which has not ended: wait for it, or cancel it")
            }
            Self::UnknownTarget { found, declared } => {
                let declared = declared.join(", ");
                write!(f, "{} is not a declared destination; declared are: {declared}", found.escape_debug())
            }
            Self::AlreadyThere(target) => write!(f, "the account is at {target} already"),
            Self::SplitGroup { first, here } => {
                write!(f, "the account is at {here}, the first of its group at {first}: move them separately")
            }
            Self::Undeclared => f.write_str(
                "the mapping names a destination that is not declared: correct the entry, or declare the destination",
            ),
            Self::StoreDown => f.write_str("the mapping store does not answer: try again when it does"),
            Self::TargetDown { target, protocol } => {
                write!(f, "{target} is marked down for {}: see `pointsman status`", protocol.name())
            }
            Self::TargetLacks { target, protocol } => write!(
                f,
                "the account has a session over {0}, and {target} has no {0} leg: declare protocol.{0} there",
                protocol.name()
            ),
            Self::TargetInUse { target, since } => write!(
                f,
                "move {since} has brought the account to {target} before: a sync that deletes what only {target} has would \
                 destroy what arrived there; if the command only adds, use `--force`"
            ),
            Self::LeavesBehind { source, since } => write!(
                f,
                "the account has been at {source} since move {since}: what it received there would stay behind; copy it \
                 back with `--sync`, or accept that with `--leave-behind`"
            ),
        }
    }
}
