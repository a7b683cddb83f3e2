//! What people changed of the settings, between the database and [`Config`](crate::config::Config).

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;

use crate::config::{Stored, settings};
use crate::domain::seal::{Sealer, setting_place};
use crate::store::settings::{SettingRow, list_settings, put_setting};

/// Why what people changed cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ChangedError {
    /// The database refuses.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The key is another one.
    #[error(
        "{0}: what was changed here cannot be opened with ENCRYPTION_KEY: list the key that sealed it, or take the \
         change back"
    )]
    CannotOpen(String),
}

/// Everything that people changed.
///
/// # Errors
/// When the database refuses, or a value was sealed with a key that is not there.
pub async fn read(connection: &mut PgConnection, sealer: &Sealer) -> Result<Stored, ChangedError> {
    open(&list_settings(connection).await?, sealer)
}

/// The texts of these rows.
///
/// # Errors
/// [`ChangedError::CannotOpen`].
pub(super) fn open(rows: &[SettingRow], sealer: &Sealer) -> Result<Stored, ChangedError> {
    let mut values = BTreeMap::new();
    for row in rows {
        let text = if row.sealed {
            let opened = sealer.open(&row.value, &setting_place(&row.name));
            opened.map_err(|_| ChangedError::CannotOpen(row.name.clone()))?.expose_secret().to_owned()
        } else {
            row.value.clone()
        };
        values.insert(row.name.clone(), text);
    }
    Ok(Stored(values))
}

/// Keeps one value, sealed where it may hold a secret.
pub(super) async fn write(
    connection: &mut PgConnection,
    sealer: &Sealer,
    name: &str,
    text: &str,
    changed_by: &str,
) -> Result<(), sqlx::Error> {
    if is_secret(name) {
        let hidden = sealer.seal(&SecretString::from(text), &setting_place(name));
        return put_setting(connection, name, &hidden, true, changed_by).await;
    }
    put_setting(connection, name, text, false, changed_by).await
}

/// Whether the value of a setting or list may hold a secret.
pub(super) fn is_secret(name: &str) -> bool {
    name == "forwards" || settings::find(name).is_some_and(|setting| setting.secret)
}
