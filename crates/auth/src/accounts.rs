//! The accounts of a node, and the question whether credentials open one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use kernel::{Code, SubjectPattern, TenantId};
use subtle::ConstantTimeEq;

use crate::options::{HIDDEN, Options, User};
use crate::permissions::{Permissions, Rule};

/// Somebody who was let in.
#[derive(Debug, Default)]
pub struct Principal {
    /// Name for logs and operators; empty: anonymous.
    pub name: String,
    /// Whose subjects it sees.
    pub tenant: TenantId,
    /// What it may do.
    pub permissions: Permissions,
    is_dismissed: AtomicBool,
}

impl Principal {
    /// Somebody of this name.
    pub fn new(name: impl Into<String>, tenant: TenantId, permissions: Permissions) -> Principal {
        Principal { name: name.into(), tenant, permissions, is_dismissed: AtomicBool::new(false) }
    }

    /// Whether it was let in by accounts that are no longer in force, and would not be let in as what it is now: nothing
    /// more may be done for it.
    pub fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Relaxed)
    }
}

/// Who it is and what it may do count, not whether it was dismissed.
impl PartialEq for Principal {
    fn eq(&self, other: &Principal) -> bool {
        (&self.name, self.tenant, &self.permissions) == (&other.name, other.tenant, &other.permissions)
    }
}

impl Eq for Principal {}

/// What somebody shows at a door. Empty: not shown.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// Name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
    /// Token.
    pub token: &'a str,
}

/// Why a list of accounts cannot be used; it names the account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither password nor token, or both.
    #[error("auth.users[{0}]: give a user and a password, or a token")]
    Credentials(usize),
    /// A configuration that was shown, not written: everybody knows what hides its secrets.
    #[error(
        "auth.users[{0}]: {HIDDEN} is what `neuroplex config show` writes in place of a secret; put the real password or \
         token there"
    )]
    Hidden(usize),
    /// Two accounts with the same user or token.
    #[error("auth.users[{0}]: the same user or token stands twice")]
    Twice(usize),
    /// A list holds something that is no pattern.
    #[error("auth.users[{at}].{list}: {text:?} is no subject pattern")]
    Pattern {
        /// Which account.
        at: usize,
        /// Which list.
        list: &'static str,
        /// What stands there.
        text: String,
    },
}

/// The name under which clients of an account are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The user; empty: anonymous.
    pub user: String,
    /// Its tenant.
    pub tenant: TenantId,
}

#[derive(PartialEq)]
struct Account {
    user: String,
    password: String,
    token: String,
    principal: Arc<Principal>,
}

/// Every account of the node. None at all: the node is open, and everybody is anonymous.
pub struct Accounts {
    accounts: Vec<Account>,
    anonymous: Arc<Principal>,
    tenants: Vec<String>,
}

impl Accounts {
    /// Checks and takes the accounts of the configuration.
    pub fn new(options: &Options) -> Result<Accounts, Error> {
        Accounts::with_tenants(options, vec![String::new()])
    }

    /// Other accounts for the same node: its tenants keep their ids, and new ones come behind them. Whose account has not
    /// changed stays the same [`Principal`].
    pub fn renewed(&self, options: &Options) -> Result<Accounts, Error> {
        let mut new = Accounts::with_tenants(options, self.tenants.clone())?;
        for account in &mut new.accounts {
            if let Some(same) = self.accounts.iter().find(|before| *before == account) {
                account.principal = same.principal.clone();
            }
        }
        if self.are_required() == new.are_required() {
            new.anonymous = self.anonymous.clone();
        }
        Ok(new)
    }

    fn with_tenants(options: &Options, tenants: Vec<String>) -> Result<Accounts, Error> {
        let mut all = Accounts { accounts: Vec::new(), anonymous: Arc::default(), tenants };
        for (at, user) in options.users.iter().enumerate() {
            let by_password = !user.user.is_empty() && !user.password.is_empty() && user.token.is_empty();
            let by_token = !user.token.is_empty() && user.password.is_empty();
            if !by_password && !by_token {
                return Err(Error::Credentials(at));
            }
            if user.password == HIDDEN || user.token == HIDDEN {
                return Err(Error::Hidden(at));
            }
            let twice = |a: &Account| match by_token {
                true => a.token == user.token,
                false => a.token.is_empty() && a.user == user.user,
            };
            if all.accounts.iter().any(twice) {
                return Err(Error::Twice(at));
            }
            let name = if user.user.is_empty() { "token" } else { &user.user };
            let principal = Principal::new(name, all.tenant(&user.tenant), permissions(at, user)?);
            all.accounts.push(Account {
                user: user.user.clone(),
                password: user.password.clone(),
                token: user.token.clone(),
                principal: Arc::new(principal),
            });
        }
        Ok(all)
    }

    fn tenant(&mut self, name: &str) -> TenantId {
        let known = self.tenants.iter().position(|t| t == name);
        let at = known.unwrap_or_else(|| {
            self.tenants.push(name.to_owned());
            self.tenants.len() - 1
        });
        TenantId(at as u32)
    }

    /// Whether users of more than one tenant are let in now.
    pub fn are_of_many_tenants(&self) -> bool {
        let mut all = self.accounts.iter().map(|account| account.principal.tenant);
        all.next().is_some_and(|first| all.any(|other| other != first))
    }

    /// Names of the tenants, by id; the node's own comes first and is empty.
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// Whose clients may not stay as they are when `new` takes the place of these: their account is gone, or its secret or
    /// permissions have changed. The anonymous leave when credentials are needed.
    pub fn departed(&self, new: &Accounts) -> Vec<Name> {
        let name = |who: &Principal| Name { user: who.name.clone(), tenant: who.tenant };
        self.departing(new).map(name).collect()
    }

    /// Dismisses everybody who departs when `new` takes the place of these.
    pub fn dismiss(&self, new: &Accounts) {
        self.departing(new).for_each(|who| who.is_dismissed.store(true, Relaxed));
    }

    fn departing<'a>(&'a self, new: &'a Accounts) -> impl Iterator<Item = &'a Principal> {
        let gone = self.accounts.iter().filter(|account| !new.accounts.contains(account));
        let anonymous = (!self.are_required() && new.are_required()).then_some(&*self.anonymous);
        gone.map(|account| &*account.principal).chain(anonymous)
    }

    /// Whether credentials are needed.
    pub fn are_required(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// Who shows these credentials. Errors with [`Code::AuthFailed`]. The time it takes says nothing about the bytes of a
    /// name or secret; it may say that one of the same length exists.
    pub fn authenticate(&self, shown: Credentials<'_>) -> Result<Arc<Principal>, Code> {
        if !self.are_required() {
            return Ok(self.anonymous.clone());
        }
        let same = |a: &str, b: &str| a.as_bytes().ct_eq(b.as_bytes());
        let mut found = None;
        for account in &self.accounts {
            let opens = match account.token.is_empty() {
                true => same(&account.user, shown.user) & same(&account.password, shown.password),
                false => same(&account.token, shown.token),
            };
            if bool::from(opens) {
                found = Some(&account.principal);
            }
        }
        found.cloned().ok_or(Code::AuthFailed)
    }
}

fn permissions(at: usize, user: &User) -> Result<Permissions, Error> {
    let list = |list: &'static str, texts: &[String]| -> Result<Vec<SubjectPattern>, Error> {
        let read = |text: &String| {
            SubjectPattern::parse(text.as_bytes()).map_err(|_| Error::Pattern {
                at,
                list,
                text: text.clone(),
            })
        };
        texts.iter().map(read).collect()
    };
    let publish = Rule {
        allow: list("publish_allow", &user.publish_allow)?,
        deny: list("publish_deny", &user.publish_deny)?,
    };
    let subscribe = Rule {
        allow: list("subscribe_allow", &user.subscribe_allow)?,
        deny: list("subscribe_deny", &user.subscribe_deny)?,
    };
    Ok(Permissions::new(publish, subscribe))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(user: &str, password: &str, token: &str, tenant: &str) -> User {
        let own = str::to_owned;
        User {
            user: own(user),
            password: own(password),
            token: own(token),
            tenant: own(tenant),
            ..User::default()
        }
    }

    #[test]
    fn credentials_open_their_own_account_only() {
        let users = vec![user("a", "pa", "", ""), user("b", "pb", "", "x"), user("", "", "t", "x")];
        let all = Accounts::new(&Options { users }).unwrap();
        let ask = |user, password, token| all.authenticate(Credentials { user, password, token });
        assert_eq!(ask("a", "pa", "").unwrap().tenant, TenantId(0));
        assert_eq!(ask("b", "pb", "").unwrap().tenant, ask("", "", "t").unwrap().tenant);
        for (user, password, token) in
            [("", "", ""), ("a", "pb", ""), ("a", "", ""), ("", "", "x"), ("a", "", "pa")]
        {
            assert_eq!(ask(user, password, token), Err(Code::AuthFailed));
        }
    }

    #[test]
    fn only_accounts_that_are_gone_or_changed_depart_and_tenants_keep_their_ids() {
        let of = |users| Options { users };
        let old = Accounts::new(&of(vec![user("a", "pa", "", "x"), user("b", "pb", "", "y")])).unwrap();
        let same = old.renewed(&of(vec![user("b", "pb", "", "y"), user("a", "pa", "", "x")])).unwrap();
        assert_eq!((old.departed(&same), same.tenants()), (vec![], old.tenants()));
        let new = old.renewed(&of(vec![user("a", "other", "", "x"), user("b", "pb", "", "y")])).unwrap();
        assert_eq!(old.departed(&new), [Name { user: "a".into(), tenant: TenantId(1) }]);
        let denied = User { publish_deny: vec![">".into()], ..user("b", "pb", "", "y") };
        let new = old.renewed(&of(vec![denied, user("c", "pc", "", "z")])).unwrap();
        assert_eq!((old.departed(&new).len(), new.tenants().len()), (2, 4));
        let open = Accounts::new(&Options::default()).unwrap();
        assert_eq!(open.departed(&old), [Name { user: String::new(), tenant: TenantId(0) }]);
    }

    #[test]
    fn who_departs_is_dismissed_and_whoever_stays_is_the_same_as_before() {
        let of = |users| Options { users };
        let ask =
            |all: &Accounts, user| all.authenticate(Credentials { user, password: "p", token: "" }).unwrap();
        let old = Accounts::new(&of(vec![user("a", "p", "", ""), user("b", "p", "", "")])).unwrap();
        let (a, b) = (ask(&old, "a"), ask(&old, "b"));
        let new = old.renewed(&of(vec![user("b", "p", "", "")])).unwrap();
        assert!(!a.is_dismissed(), "the new ones are not in force yet");
        old.dismiss(&new);
        assert!(a.is_dismissed() && !b.is_dismissed() && Arc::ptr_eq(&b, &ask(&new, "b")));
        let again = new.renewed(&of(vec![user("a", "p", "", ""), user("b", "p", "", "")])).unwrap();
        new.dismiss(&again);
        assert!(!ask(&again, "a").is_dismissed() && a.is_dismissed(), "who comes back is somebody else");
        let open = Accounts::new(&Options::default()).unwrap();
        let anybody = open.authenticate(Credentials::default()).unwrap();
        open.dismiss(&open.renewed(&Options::default()).unwrap());
        assert!(!anybody.is_dismissed());
        let closed = open.renewed(&of(vec![user("a", "p", "", "")])).unwrap();
        open.dismiss(&closed);
        assert!(anybody.is_dismissed());
        let open = closed.renewed(&Options::default()).unwrap();
        assert!(!open.authenticate(Credentials::default()).unwrap().is_dismissed());
    }

    #[test]
    fn a_node_without_accounts_is_open() {
        let all = Accounts::new(&Options::default()).unwrap();
        assert!(!all.are_required() && all.authenticate(Credentials::default()).is_ok());
    }

    #[test]
    fn accounts_that_make_no_sense_are_refused() {
        for users in [
            vec![user("a", "", "", "")],
            vec![user("a", "p", "t", "")],
            vec![user("a", HIDDEN, "", "")],
            vec![user("", "", HIDDEN, "")],
            vec![user("a", "p", "", ""), user("a", "q", "", "")],
            vec![user("", "", "t", ""), user("x", "", "t", "")],
            vec![User { publish_allow: vec!["a..b".into()], ..user("a", "p", "", "") }],
        ] {
            assert!(Accounts::new(&Options { users }).is_err());
        }
    }
}
