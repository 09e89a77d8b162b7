//! Compares two mailboxes folder by folder, both servers at the same time.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;
use tokio::try_join;
use types::protocol::Protocol;

use crate::difference::{Difference, DifferenceKind, Report};
use crate::error::{Cause, CompareError};
use crate::folder_name::FolderName;
use crate::folders::{Folder, Folders};
use crate::imap_session::ImapSession;
use crate::messages::{Contents, Hashes, message_ids};
use crate::pairing::{Paired, pair};
use crate::pop3;
use crate::sharing;
use crate::side::Side;

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The account, as both servers know it.
    pub account: &'a str,
    /// Where it is.
    pub source: Side<'a>,
    /// Where it goes.
    pub target: Side<'a>,
    /// Whether to find out who shares folders with the account.
    pub with_shared: bool,
    /// When the comparison must have ended.
    pub deadline: Instant,
}

/// The mailbox on one server.
struct Mailbox<'a> {
    side: Side<'a>,
    session: ImapSession,
    folders: Folders,
    hashes: Hashes,
}

/// Logs in to both servers and compares what they have of the account.
///
/// # Errors
/// When one of the mailboxes cannot be read.
pub async fn compare(request: Request<'_>) -> Result<Report, CompareError> {
    let hashes = Hashes::default();
    let target_hashes = hashes.same_key();
    let mut report = Report::default();
    let (mut source, mut target) = try_join!(
        Mailbox::open(request.source, &request, hashes),
        Mailbox::open(request.target, &request, target_hashes),
    )?;
    let names: Vec<FolderName> = source.folders.selectable().map(|(name, _)| name.clone()).collect();
    for name in &names {
        compare_folder(name, &mut source, &mut target, &mut report).await?;
    }
    compare_subscriptions(&source.folders, &target.folders, &mut report);
    if request.source.offers(Protocol::Pop3) && request.target.offers(Protocol::Pop3) {
        let (of_source, of_target) = try_join!(
            read_uidls(request.source, &request, &source.hashes),
            read_uidls(request.target, &request, &target.hashes),
        )?;
        compare_uidls(&of_source, &of_target, &mut report);
    }
    if request.with_shared {
        let found = sharing::read(&mut source.session, request.account, &source.folders).await;
        report.sharing = found.map_err(|cause| source.error(cause))?;
    }
    Ok(report)
}

// === impl Mailbox ===

impl<'a> Mailbox<'a> {
    async fn open(side: Side<'a>, request: &Request<'_>, hashes: Hashes) -> Result<Self, CompareError> {
        let (session, folders) = open(side, request.account, request.deadline).await?;
        Ok(Self { side, session, folders, hashes })
    }

    fn error(&self, cause: Cause) -> CompareError {
        self.side.error(Protocol::Imap, cause)
    }

    async fn read(&mut self, folder: &FolderName) -> Result<Option<Contents>, CompareError> {
        let Some(Folder { mailbox, is_selectable: true }) = self.folders.own.get(folder) else {
            return Ok(None);
        };
        match Contents::read(&mut self.session, mailbox, &mut self.hashes).await {
            Ok(contents) => Ok(Some(contents)),
            Err(cause) => Err(self.error(cause)),
        }
    }
}

/// Logs in over IMAP, and lists the folders.
pub(crate) async fn open(
    side: Side<'_>,
    account: &str,
    deadline: Instant,
) -> Result<(ImapSession, Folders), CompareError> {
    let opened = async {
        let leg = side.log_in(Protocol::Imap, account, deadline).await?;
        let mut session = ImapSession::new(leg, deadline).await?;
        let folders = Folders::read(&mut session).await?;
        Ok((session, folders))
    };
    opened.await.map_err(|cause| side.error(Protocol::Imap, cause))
}

async fn read_uidls(
    side: Side<'_>,
    request: &Request<'_>,
    hashes: &Hashes,
) -> Result<HashSet<u64>, CompareError> {
    let read = async {
        let leg = side.log_in(Protocol::Pop3, request.account, request.deadline).await?;
        pop3::uidls(leg, hashes, request.deadline).await
    };
    read.await.map_err(|cause| side.error(Protocol::Pop3, cause))
}

async fn compare_folder(
    name: &FolderName,
    source: &mut Mailbox<'_>,
    target: &mut Mailbox<'_>,
    report: &mut Report,
) -> Result<(), CompareError> {
    let (Some(mut old), new) = try_join!(source.read(name), target.read(name))? else {
        return Ok(());
    };
    report.folders += 1;
    report.messages += old.messages.len();
    let folder = name.to_string();
    let Some(mut new) = new else {
        report.add(Difference::FolderMissing { folder, messages: old.messages.len() });
        return Ok(());
    };
    compare_uid_values(&folder, &old, &new, report);
    let has_same_uids = old.uid_validity == new.uid_validity;
    let mut missing = Vec::new();
    let mut added = 0;
    let mut other_uids = 0;
    pair(&mut old.messages, &mut new.messages, |paired| match paired {
        Paired::Missing(message) => missing.push(message.uid),
        Paired::Added(_) => added += 1,
        Paired::Both { source: one, target: two } => {
            if has_same_uids && one.uid != two.uid {
                other_uids += 1;
            }
            if one.size != two.size {
                report.add(Difference::SizeChanged {
                    folder: folder.clone(),
                    uid: one.uid,
                    source: one.size,
                    target: two.size,
                });
            }
            if one.flags != two.flags {
                report.add(Difference::FlagsChanged {
                    folder: folder.clone(),
                    uid: one.uid,
                    source: source.hashes.flags_text(&one).to_owned(),
                    target: target.hashes.flags_text(&two).to_owned(),
                });
            }
        }
    });
    if other_uids > 0 {
        report.add(Difference::UidsChanged { folder: folder.clone(), messages: other_uids });
    }
    if added > 0 {
        report.add(Difference::MessagesAdded { folder: folder.clone(), messages: added });
    }
    add_missing(&folder, missing, source, report).await
}

/// Adds the missing messages, the oldest first. Their Message-IDs are read again, since only their hashes were kept.
async fn add_missing(
    folder: &str,
    mut uids: Vec<u32>,
    source: &mut Mailbox<'_>,
    report: &mut Report,
) -> Result<(), CompareError> {
    if uids.is_empty() {
        return Ok(());
    }
    uids.sort_unstable();
    let mut ids = if report.has_room(DifferenceKind::MessageMissing) {
        let listed = &uids[..uids.len().min(Report::MAX_OF_A_KIND)];
        message_ids(&mut source.session, listed).await.map_err(|cause| source.error(cause))?
    } else {
        HashMap::new()
    };
    for uid in uids {
        let message_id = ids.remove(&uid);
        report.add(Difference::MessageMissing { folder: folder.to_owned(), uid, message_id });
    }
    Ok(())
}

fn compare_uid_values(folder: &str, old: &Contents, new: &Contents, report: &mut Report) {
    let folder = folder.to_owned();
    if old.uid_validity != new.uid_validity {
        // Clients have nothing of an empty folder, and servers create some by themselves (Drafts, Sent).
        if old.messages.is_empty() {
            return;
        }
        report.add(Difference::UidValidityChanged {
            folder,
            source: old.uid_validity,
            target: new.uid_validity,
        });
    } else if new.uid_next < old.uid_next {
        report.add(Difference::UidNextLower { folder, source: old.uid_next, target: new.uid_next });
    }
}

fn compare_subscriptions(source: &Folders, target: &Folders, report: &mut Report) {
    for name in source.subscribed.difference(&target.subscribed) {
        // A server may keep the subscription to a folder that was deleted.
        if source.own.contains_key(name) {
            report.add(Difference::SubscriptionMissing { folder: name.to_string() });
        }
    }
}

fn compare_uidls(source: &HashSet<u64>, target: &HashSet<u64>, report: &mut Report) {
    report.has_uidls = true;
    let messages = source.difference(target).count();
    if messages > 0 {
        report.add(Difference::UidlsChanged { messages, of: source.len() });
    }
}
