//! What is done with client keys and resume keys in a login: they are asked to sign, and a client key
//! is bound by a touch.

use webauthn_rs::prelude::AuthenticationResult;

use super::super::accounts::{Account, Accounts, BoundKey, Change};
use super::super::bindings::{ClaimedKey, UnboundKey};
use super::super::clock::Now;
use super::super::passkeys::RelyingParty;
use super::super::vouch::KeyRule;
use super::{
    Action, Authenticated, CeremonyState, How, KeyQuestion, Login, LoginState, Next, Proof, RefusalReason,
    no_challenge,
};
use crate::client_key::{self, NONCE_LENGTH, Nonce, Purpose};
use crate::names::{AccountName, PasskeyId};
use crate::protocol::Refusal;
use crate::protocol::login::ToFront;

impl Login {
    pub(super) fn key_challenge(self, what: KeyQuestion, now: Now) -> (Self, Action) {
        self.challenge(now, || {
            let mut nonce = [0; NONCE_LENGTH];
            getrandom::fill(&mut nonce).map_err(|_| (Refusal::Unavailable, RefusalReason::Random))?;
            Ok((ToFront::KeyChallenge { nonce }, CeremonyState::Key { what, nonce }))
        })
    }

    /// Asks for a touch that binds a key, which may be given as long as the key waits: the person
    /// reads first what it is for.
    pub(super) fn ask_to_bind(
        self,
        name: &AccountName,
        claimed: Box<ClaimedKey>,
        rule: KeyRule,
        accounts: &Accounts,
        party: &RelyingParty,
        now: Now,
    ) -> (Self, Action) {
        let deadline = claimed.deadline.max(now.instant);
        self.challenge_until(deadline, || {
            let account = accounts.by_name(name);
            let account = account.ok_or((Refusal::UnknownPasskey, RefusalReason::Removed))?;
            let asked = party.ask_to_step_up(account).map_err(no_challenge)?;
            let message = ToFront::Binding {
                key: claimed.key.key.id(),
                name: claimed.key.name.clone(),
                source: claimed.key.source,
                allow: rule.allow,
                seconds: rule.seconds,
                options: asked.options,
            };
            Ok((message, CeremonyState::Bind { account: account.id, claimed, kept: asked.kept }))
        })
    }

    pub(super) fn bind(
        self,
        account: &Account,
        claimed: Box<ClaimedKey>,
        result: AuthenticationResult,
        now: Now,
    ) -> (Self, Action) {
        let UnboundKey { key, name, source } = &claimed.key;
        let (key, name, source) = (key.clone(), name.clone(), *source);
        let key = BoundKey { key, name, bound: now.unix, source, last_sign_in: None };
        let passkey = PasskeyId::of(result.cred_id());
        let change = Change::BindKey { account: account.id, result: Box::new(result), key };
        self.store(Next::Bound { account: account.name.clone(), passkey, claimed }, change)
    }

    /// Checks a signature, and does what it is for.
    pub(super) fn check_key(
        self,
        what: KeyQuestion,
        nonce: &Nonce,
        signature: &[u8],
        accounts: &Accounts,
        party: &RelyingParty,
        now: Now,
    ) -> (Self, Action) {
        let has_signed =
            |purpose, key: &_| client_key::verify(purpose, party.origin(), key, nonce, signature);
        let (purpose, id) = match what {
            KeyQuestion::Bind(unbound) => {
                return if !has_signed(Purpose::Bind, &unbound.key) {
                    self.refuse(Refusal::UnknownKey, None, RefusalReason::ClientKey)
                } else if accounts.by_client_key(&unbound.key.id()).is_some() {
                    self.refuse(Refusal::UnknownKey, None, RefusalReason::KnownKey)
                } else {
                    (Self { state: LoginState::Over, ..self }, Action::Wait(unbound))
                };
            }
            KeyQuestion::Resume(id) => {
                let found = accounts.by_resume_key(&id);
                let found = found.filter(|(_, kept)| has_signed(Purpose::Resume, &kept.key.key));
                let Some((account, kept)) = found else {
                    return self.refuse(Refusal::ResumeOver, None, RefusalReason::ResumeKey);
                };
                let proof = Proof::ResumeKey(id.clone(), kept.touched());
                let authenticated = Authenticated::of(account, How::ResumeKey, proof, now);
                let change = Change::UseKey { account: account.id, key: id };
                return self.store(Next::Vouch(authenticated), change);
            }
            KeyQuestion::SignIn(id) => (Purpose::SignIn, id),
            KeyQuestion::Remove(id) => (Purpose::Remove, id),
        };
        let found = accounts.by_client_key(&id).filter(|(_, bound)| has_signed(purpose, &bound.key));
        match (purpose, found) {
            (_, None) => self.refuse(Refusal::UnknownKey, None, RefusalReason::ClientKey),
            (Purpose::Remove, Some((account, _))) => {
                let (account, name) = (account.name.clone(), account.name.clone());
                let change = Change::RemoveKey { name, key: id.clone() };
                self.store(Next::Removed { account, key: id }, change)
            }
            (Purpose::SignIn | Purpose::Bind | Purpose::Resume, Some((account, bound))) => {
                let proof = Proof::ClientKey(id.clone(), bound.bound);
                let authenticated = Authenticated::of(account, How::ClientKey, proof, now);
                self.store(Next::Vouch(authenticated), Change::UseKey { account: account.id, key: id })
            }
        }
    }
}
