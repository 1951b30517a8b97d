//! The two ceremonies of WebAuthn (<https://www.w3.org/TR/webauthn-3/>), done by webauthn-rs. The
//! browser finds the passkeys without a user name, and the user is verified by PIN or biometrics
//! every time.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    AuthenticationResult, CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::accounts::{Account, AccountId, Accounts};
use crate::config::Origin;
use crate::protocol::login::CHALLENGE;

/// The relying party of the passkeys: the origin of the page, and its host.
#[derive(Debug)]
pub(super) struct RelyingParty {
    webauthn: Webauthn,
    origin: String,
}

/// The relying party cannot be set up for this origin.
#[derive(Debug, thiserror::Error)]
#[error("passkeys cannot be made for the origin {origin}: name a host, not an address, in tere.toml")]
pub(super) struct BadRelyingParty {
    origin: String,
}

/// Why a browser's answer is rejected. It contains nothing that came from the browser.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unverified {
    /// Not JSON, or not a credential.
    #[error("the answer is not a credential")]
    Unreadable,
    /// The user handle belongs to no account.
    #[error("the passkey belongs to no account")]
    NoAccount,
    /// The account exists, but does not have this passkey.
    #[error("the account has no such passkey")]
    NoPasskey,
    /// The browser says that the page was in a frame of another origin's page. The page forbids that.
    /// webauthn-rs checks this at a registration only.
    #[error("the answer was given inside a page of another origin")]
    CrossOrigin,
    /// The answer does not meet a requirement of the specification.
    #[error("{0}")]
    Webauthn(WebauthnError),
}

/// A challenge: the part that is sent to the browser, and the part that is kept to check the
/// answer.
#[derive(Debug)]
pub(super) struct IssuedChallenge<T> {
    /// The options of the ceremony, as JSON.
    pub(super) options: String,
    /// The state that the answer is checked against. Boxed: it is large, and a login holds one for
    /// long.
    pub(super) kept: Box<T>,
}

impl RelyingParty {
    pub(super) fn new(origin: &Origin) -> Result<Self, BadRelyingParty> {
        let bad = || BadRelyingParty { origin: origin.as_str().to_owned() };
        let url = Url::parse(origin.as_str()).map_err(|_| bad())?;
        let builder = WebauthnBuilder::new(origin.rp_id(), &url).map_err(|_| bad())?;
        let webauthn = builder.rp_name("tere").timeout(CHALLENGE).build().map_err(|_| bad())?;
        Ok(Self { webauthn, origin: origin.as_str().to_owned() })
    }

    /// Returns the origin of the page, for links.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Makes a challenge to register a passkey for `account`.
    pub(super) fn ask_to_register(
        &self,
        account: &Account,
    ) -> Result<IssuedChallenge<PasskeyRegistration>, WebauthnError> {
        let name = account.name.as_str();
        let id = account.id.uuid();
        let (response, kept) =
            self.webauthn.start_passkey_registration(id, name, name, Some(account.credentials()))?;
        let mut options = serde_json::to_value(response.public_key).map_err(WebauthnError::from)?;
        // webauthn-rs asks for no particular kind of passkey. A passkey that the authenticator does
        // not store could not be found again without a user name.
        if let Some(Value::Object(selection)) = options.get_mut("authenticatorSelection") {
            selection.insert("residentKey".into(), "required".into());
            selection.insert("requireResidentKey".into(), true.into());
            selection.insert("userVerification".into(), "required".into());
        }
        Ok(IssuedChallenge { options: options.to_string(), kept: Box::new(kept) })
    }

    /// Checks the answer to [`Self::ask_to_register`].
    pub(super) fn check_registration(
        &self,
        answer: &str,
        kept: &PasskeyRegistration,
    ) -> Result<Passkey, Unverified> {
        let answer: RegisterPublicKeyCredential =
            serde_json::from_str(answer).map_err(|_| Unverified::Unreadable)?;
        self.webauthn.finish_passkey_registration(&answer, kept).map_err(Unverified::Webauthn)
    }

    /// Makes a challenge to sign in with any passkey that the browser has for this host.
    pub(super) fn ask_to_sign_in(
        &self,
    ) -> Result<IssuedChallenge<DiscoverableAuthentication>, WebauthnError> {
        let (response, kept) = self.webauthn.start_discoverable_authentication()?;
        // `response.mediation` is left out: it makes a browser offer passkeys in a text field
        // without being asked, and the page has a button.
        let options = serde_json::to_string(&response.public_key).map_err(WebauthnError::from)?;
        Ok(IssuedChallenge { options, kept: Box::new(kept) })
    }

    /// Checks the answer to [`Self::ask_to_sign_in`] against the passkey that it names. Also
    /// returns the account of that passkey, if there is one.
    pub(super) fn check_sign_in<'a>(
        &self,
        answer: &str,
        kept: DiscoverableAuthentication,
        accounts: &'a Accounts,
    ) -> (Option<&'a Account>, Result<AuthenticationResult, Unverified>) {
        let Ok(answer) = serde_json::from_str::<PublicKeyCredential>(answer) else {
            return (None, Err(Unverified::Unreadable));
        };
        if let Err(unverified) = same_origin(&answer) {
            return (None, Err(unverified));
        }
        let Ok((id, credential)) = self.webauthn.identify_discoverable_authentication(&answer) else {
            return (None, Err(Unverified::NoAccount));
        };
        let Some(account) = accounts.by_id(AccountId::from(id)) else {
            return (None, Err(Unverified::NoAccount));
        };
        let Some(passkey) = account.passkey(credential) else {
            return (Some(account), Err(Unverified::NoPasskey));
        };
        let result = self.webauthn.finish_discoverable_authentication_v2(&answer, kept, passkey);
        (Some(account), result.map_err(Unverified::Webauthn))
    }

    /// Makes a challenge that only the passkeys of `account` may answer.
    pub(super) fn ask_to_step_up(
        &self,
        account: &Account,
    ) -> Result<IssuedChallenge<DiscoverableAuthentication>, WebauthnError> {
        let (response, kept) = self.webauthn.start_discoverable_authentication()?;
        let mut options = serde_json::to_value(response.public_key).map_err(WebauthnError::from)?;
        // So the browser offers no other passkey. The answer is checked against the account again.
        let allowed = account.credentials().into_iter().map(|id| {
            let id = BASE64URL_NOPAD.encode(id.as_slice());
            json!({ "type": "public-key", "id": id })
        });
        if let Value::Object(options) = &mut options {
            options.insert("allowCredentials".into(), Value::from_iter(allowed));
        }
        Ok(IssuedChallenge { options: options.to_string(), kept: Box::new(kept) })
    }

    /// Checks the answer to [`Self::ask_to_step_up`] for the same account. An authenticator that is
    /// told which passkeys are allowed need not say whose they are, so the passkey is found by its
    /// id among those of the account.
    pub(super) fn check_step_up(
        &self,
        answer: &str,
        kept: DiscoverableAuthentication,
        account: &Account,
    ) -> Result<AuthenticationResult, Unverified> {
        let answer: PublicKeyCredential = serde_json::from_str(answer).map_err(|_| Unverified::Unreadable)?;
        same_origin(&answer)?;
        let passkey = account.passkey(answer.get_credential_id()).ok_or(Unverified::NoPasskey)?;
        self.webauthn
            .finish_discoverable_authentication_v2(&answer, kept, passkey)
            .map_err(Unverified::Webauthn)
    }
}

/// The part of the browser's client data that says whether the page was framed by another.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Framing {
    #[serde(default)]
    cross_origin: bool,
    top_origin: Option<IgnoredAny>,
}

/// Refuses an answer that was given in a frame of another origin's page. See WebAuthn level 3, section
/// 5.8.1.
fn same_origin(answer: &PublicKeyCredential) -> Result<(), Unverified> {
    let framing: Framing = serde_json::from_slice(answer.response.client_data_json.as_slice())
        .map_err(|_| Unverified::Unreadable)?;
    if framing.cross_origin || framing.top_origin.is_some() {
        return Err(Unverified::CrossOrigin);
    }
    Ok(())
}

impl Account {
    fn credentials(&self) -> Vec<CredentialID> {
        self.passkeys.iter().map(|enrolled| enrolled.passkey.cred_id().clone()).collect()
    }

    fn passkey(&self, credential: &[u8]) -> Option<&Passkey> {
        let mut passkeys = self.passkeys.iter().map(|enrolled| &enrolled.passkey);
        passkeys.find(|passkey| passkey.cred_id().as_slice() == credential)
    }
}

impl From<Uuid> for AccountId {
    fn from(id: Uuid) -> Self {
        Self::of(id)
    }
}
