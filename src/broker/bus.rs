//! The system bus: one connection, made when it is needed, and again after it broke.

use std::time::Duration;

use tokio::sync::Mutex;
use zbus_systemd::zbus::{self, Connection, DBusError as _};

/// The D-Bus error for a unit that systemd does not know.
pub(super) const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// The D-Bus error for an unknown object path: the unit was unloaded between two calls.
pub(super) const NO_SUCH_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";

/// Why systemd or machined did not carry out a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// The bus or the service behind it is not there.
    #[error("the system bus does not answer: {0}")]
    Unreachable(zbus::Error),
    /// The service answered with an error.
    #[error("{name}: {message}")]
    Refused {
        /// The D-Bus name of the error.
        name: String,
        /// The message of the error.
        message: String,
    },
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// systemd accepted the job, but the job did not succeed.
    #[error("the job for {unit} ended with {result:?}")]
    Job {
        unit: String,
        /// The result that systemd reports: failed, dependency, timeout...
        result: String,
    },
}

impl From<zbus::Error> for BusError {
    fn from(error: zbus::Error) -> Self {
        if let zbus::Error::MethodError(name, message, _) = &error {
            let (name, message) = (name.to_string(), message.clone().unwrap_or_default());
            return Self::Refused { name, message };
        }
        // zbus has separate types for the errors that every service can send.
        if let zbus::Error::FDO(error) = &error {
            let (name, message) = (error.name().to_string(), error.description().unwrap_or_default());
            return Self::Refused { name, message: message.to_owned() };
        }
        Self::Unreachable(error)
    }
}

impl BusError {
    /// Whether the service answered with this D-Bus error.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name == wanted)
    }
}

/// The connection to the system bus, if there is one.
#[derive(Debug, Default)]
pub(super) struct Bus {
    connection: Mutex<Option<Connection>>,
}

/// How long connecting to the bus may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Bus {
    /// Returns the connection, and makes one if there is none.
    pub(super) async fn connection(&self) -> Result<Connection, BusError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let connect = async {
            let connection = Connection::system().await?;
            // Without this call, systemd sends no JobRemoved.
            zbus_systemd::systemd1::ManagerProxy::new(&connection).await?.subscribe().await?;
            Ok::<_, zbus::Error>(connection)
        };
        let connection = within(CONNECT_TIMEOUT, async { Ok(connect.await?) }).await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Drops a broken connection, so that the next request makes a new one.
    pub(super) async fn forget(&self) {
        *self.connection.lock().await = None;
    }
}

/// Waits for `work`, at most this long.
pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    tokio::time::timeout(time, work).await.unwrap_or(Err(BusError::TimedOut(time)))
}
