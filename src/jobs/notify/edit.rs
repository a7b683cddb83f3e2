//! One message per order: its next state is written into the message that is there (`TELEGRAM_MODE=edit`).
//!
//! An edit raises no notification, so what needs action is a message of its own, which later states are written
//! into. An edit can be repeated safely, so nothing about it is ever uncertain. Under a backlog events go into
//! digests like all others; the order's message follows with its next state.

use sha2::{Digest, Sha256};

use crate::clients::telegram::TelegramError;
use crate::domain::order::OrderRef;
use crate::jobs::notify::DESTINATION;
use crate::jobs::notify::pending::Pending;
use crate::jobs::notify::run::{Chat, Halt, Run, Stopped};
use crate::jobs::notify::send::{AFTER_UNKNOWN, Posted};
use crate::observability::metrics::{telegram_message, timed_call};
use crate::store::telegram_orders::{self as orders, OrderMessage};

impl Run<'_> {
    /// Announces one event: as a message, or by an edit of its order's.
    pub(super) async fn show(&self, chat: Chat, pending: &Pending, backlog: bool) -> Result<Posted, Stopped> {
        let texts = self.texts(pending).await?;
        // An announcement of several parts, or one that was begun, goes the usual way to its end.
        let (Some(order), [html]) = (pending.order.as_ref().filter(|_| self.handler.edit), texts.as_slice())
        else {
            return self.send_whole(chat, pending, &texts).await;
        };
        let shown = OrderMessage {
            message_id: 0,
            event_id: pending.event.id,
            content_sha256: Sha256::digest(html.as_bytes()).to_vec(),
        };
        let editable = !pending.urgent && !backlog && pending.parts.is_empty();
        if editable && self.write_into(chat, order, html, &shown).await? {
            return Ok(Posted::Sent);
        }
        let posted = self.send_whole(chat, pending, &texts).await?;
        let mut connection = self.handler.pool.acquire().await?;
        if let Some(message_id) = orders::find_message_id(&mut connection, chat.id, pending.event.id).await? {
            let shown = OrderMessage { message_id, ..shown };
            orders::upsert_order_message(&mut connection, chat.id, order, &shown).await?;
        }
        Ok(posted)
    }

    /// Writes the text into the order's message. False: there is none that can be edited.
    async fn write_into(
        &self,
        chat: Chat,
        order: &OrderRef,
        html: &str,
        shown: &OrderMessage,
    ) -> Result<bool, Stopped> {
        let mut connection = self.handler.pool.acquire().await?;
        let Some(known) = orders::find_order_message(&mut connection, chat.id, order).await? else {
            return Ok(false);
        };
        drop(connection);
        let message_id = known.message_id;
        // It shows this already, or something newer.
        let needless = known.event_id > shown.event_id || known.content_sha256 == shown.content_sha256;
        if !needless {
            self.budget(chat).await?;
            let editing = self.handler.telegram.edit(chat.target, message_id, html);
            let edited = timed_call(DESTINATION, "editMessageText", TelegramError::class, editing).await;
            telegram_message(if edited.is_ok() { "ok" } else { "refused" });
            match edited {
                Ok(()) => {}
                Err(
                    TelegramError::EditTargetGone
                    | TelegramError::BadMarkup { .. }
                    | TelegramError::TooLong
                    | TelegramError::Rejected { .. },
                ) => {
                    let mut connection = self.handler.pool.acquire().await?;
                    orders::forget_order_message(&mut connection, chat.id, order).await?;
                    return Ok(false);
                }
                Err(TelegramError::Unknown { message }) => {
                    return Err(Halt::charged(message, AFTER_UNKNOWN).into());
                }
                Err(error) => return Err(self.stop(chat, error).await?),
            }
        }
        let mut connection = self.handler.pool.acquire().await?;
        let now = OrderMessage { message_id, ..shown.clone() };
        orders::upsert_order_message(&mut connection, chat.id, order, &now).await?;
        orders::mark_shown(&mut connection, chat.id, shown.event_id, message_id).await?;
        Ok(true)
    }
}
