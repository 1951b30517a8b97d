//! What a client key signs: to be bound to an account, to sign in, and to be removed.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use super::ClientError;
use super::logins::Login;
use super::socket::Socket;
use crate::client_key::{ClientKey, Nonce, Purpose};
use crate::config::Origin;
use crate::names::{AccountName, Label};
use crate::protocol::login::BINDING;
use crate::protocol::page::{FromPage, ToPage};

/// How long the host may take for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Has a key bound to the account of whoever enters the code that `show` is given.
///
/// # Errors
/// Why it is not bound.
pub async fn bind(
    origin: &Origin,
    key: &ClientKey,
    name: Label,
    show: impl FnOnce(&str),
) -> Result<AccountName, ClientError> {
    let mut socket = Socket::connect(origin).await?;
    let ask = FromPage::BindKey { key: key.public(), name };
    let answer = signed(&mut socket, origin, key, Purpose::Bind, &ask).await?;
    let ToPage::BindingCode { code, .. } = &answer else { return Err(unexpected(&answer)) };
    show(code.reveal());
    let answer = socket.answer(BINDING + ANSWER_TIMEOUT).await?;
    let ToPage::KeyBound { account } = answer else { return Err(unexpected(&answer)) };
    Ok(account)
}

/// Has the key of a login removed.
///
/// # Errors
/// Why it is not removed.
pub async fn remove(login: &Login) -> Result<(), ClientError> {
    let mut socket = Socket::connect(&login.origin).await?;
    let ask = FromPage::RemoveKey { key: login.key.public().id() };
    let answer = signed(&mut socket, &login.origin, &login.key, Purpose::Remove, &ask).await?;
    if answer == (ToPage::KeyRemoved {}) { Ok(()) } else { Err(unexpected(&answer)) }
}

/// Connects, and signs in.
pub(super) async fn sign_in(login: &Login) -> Result<(Socket, AccountName), ClientError> {
    let mut socket = Socket::connect(&login.origin).await?;
    let ask = FromPage::KeySignIn { key: login.key.public().id() };
    let answer = signed(&mut socket, &login.origin, &login.key, Purpose::SignIn, &ask).await?;
    let ToPage::SignedIn { account, .. } = answer else { return Err(unexpected(&answer)) };
    // The first list comes by itself, unless the policy lets the key have none.
    let first = socket.answer(ANSWER_TIMEOUT).await?;
    if let ToPage::Lobby { .. } | ToPage::Refused { stream: None, .. } = first {
        Ok((socket, account))
    } else {
        Err(unexpected(&first))
    }
}

/// Asks, signs the challenge, and returns what follows. The origin is the one that the user of this
/// command line named, whatever the host says of itself.
async fn signed(
    socket: &mut Socket,
    origin: &Origin,
    key: &ClientKey,
    purpose: Purpose,
    ask: &FromPage,
) -> Result<ToPage, ClientError> {
    socket.say(ask).await?;
    let challenge = socket.answer(ANSWER_TIMEOUT).await?;
    let ToPage::KeyChallenge { nonce } = &challenge else { return Err(unexpected(&challenge)) };
    let nonce = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok();
    let nonce: Option<Nonce> = nonce.and_then(|nonce| nonce.try_into().ok());
    let signature = key.sign(purpose, origin.as_str(), &nonce.ok_or(ClientError::OutOfTurn)?);
    let signature = BASE64URL_NOPAD.encode(&signature);
    socket.say(&FromPage::KeyAnswer { signature }).await?;
    socket.answer(ANSWER_TIMEOUT).await
}

fn unexpected(message: &ToPage) -> ClientError {
    if let ToPage::Refused { refusal, .. } = message {
        ClientError::Refused(*refusal)
    } else {
        ClientError::OutOfTurn
    }
}
