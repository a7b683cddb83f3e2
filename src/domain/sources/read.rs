//! What a verified body says, by declaration.

use std::borrow::Cow;

use super::pick::Picked;
use super::{IdSource, PayloadKind, Pushed, Refusal, Rules, Scope, Selector, Source};
use crate::domain::event::Payload;
use crate::domain::order::OrderRef;
use crate::domain::platforms;
use crate::domain::push::{OrderHint, ParsedPush, join_key, payload_of, sha256};
use crate::domain::shopee::{self, ShopeeBody};

/// Longer than any id of a platform, and than what an index can hold: then it is not taken for one.
const LONGEST: usize = 200;

/// A body as its source means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The platform tries whether there is somebody; needs no proof and is not stored.
    Probe,
    /// A push, readable or not.
    Push(Box<ParsedPush>),
}

impl Source {
    /// Reads a body. Whatever it is, there is an answer: what cannot be read is kept as bytes under the hash
    /// of them.
    pub fn read(&self, push: &Pushed<'_>) -> Reading {
        match self.rules {
            Rules::Declared => Reading::Push(Box::new(self.declared(push))),
            Rules::Shopee => match shopee::read(push.body) {
                ShopeeBody::Probe => Reading::Probe,
                ShopeeBody::Push(push) => Reading::Push(push),
            },
        }
    }

    fn declared(&self, push: &Pushed<'_>) -> ParsedPush {
        let payload = payload_of(push.body);
        let picked = match &payload {
            Payload::Json(text) => self.picker.pick(text),
            Payload::Raw { .. } => Picked::default(),
        };
        let one = |selectors: &[Selector]| self.first(selectors, push, &picked).map(Cow::into_owned);
        let account = one(&self.account.source);
        let event = one(&self.event);
        let unreadable = matches!(payload, Payload::Raw { .. }) && event.is_none();
        let code = event.unwrap_or_else(|| if unreadable { "unreadable" } else { "unnamed" }.to_owned());
        let subject = one(&self.subject);
        let occurred_at = one(&self.time.source).and_then(|text| self.time.unit.read(&text));
        ParsedPush {
            kind: platforms::kind(&self.platform, &code),
            key: self.key(push, &picked, account.as_deref(), &code),
            key_lifetime: self.id.retain,
            order: self.order_of(&code, account.as_deref(), subject.as_deref(), &payload),
            occurred_at,
            code,
            account,
            subject,
            payload,
        }
    }

    /// The scope, then the id: the first there is, else the hash of the body.
    fn key(&self, push: &Pushed<'_>, picked: &Picked<'_>, account: Option<&str>, event: &str) -> String {
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        for scope in &self.id.scope {
            match scope {
                Scope::Source => {}
                Scope::Account => parts.push(account.unwrap_or_default().into()),
                Scope::Event => parts.push(event.into()),
            }
        }
        let id = self.id.source.iter().find_map(|source| match source {
            IdSource::Of(selector) => self.value(selector, push, picked).map(Cow::into_owned),
            IdSource::BodySha256 => None,
            IdSource::Composite(of) => {
                let values: Option<Vec<String>> = of
                    .iter()
                    .map(|part| match part.any_of.iter().find_map(|one| self.value(one, push, picked)) {
                        Some(value) => Some(value.into_owned()),
                        None => part.optional.then(String::new),
                    })
                    .collect();
                values.map(|values| join_key(&values.iter().map(String::as_str).collect::<Vec<_>>()))
            }
        });
        let hashed = || format!("sha256:{}", hex::encode(sha256(push.body)));
        parts.push(id.map_or_else(|| hashed().into(), Cow::from));
        join_key(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    }

    /// The order in the payload of a source that sends whole orders.
    fn order_of(
        &self,
        event: &str,
        account: Option<&str>,
        subject: Option<&str>,
        payload: &Payload,
    ) -> Option<OrderHint> {
        let carries = self.payload == PayloadKind::Full && platforms::carries_order(&self.platform, event);
        let (Payload::Json(_), true) = (payload, carries) else { return None };
        let order = OrderRef {
            platform: self.platform.clone(),
            shop_id: account?.to_owned(),
            order_sn: subject?.to_owned(),
        };
        Some(OrderHint { order, changed_at: None })
    }

    /// Whether the account is one that is expected here, and the unsigned header that names it agrees.
    ///
    /// # Errors
    /// [`Refusal::Account`].
    pub fn check_account(&self, push: &Pushed<'_>, account: Option<&str>) -> Result<(), Refusal> {
        let rule = &self.account;
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let text = std::str::from_utf8(push.body).unwrap_or_default();
        let picked = self.picker.pick(if matches!(rule.check, Some(Selector::Json(_))) { text } else { "" });
        let checked = rule.check.as_ref().and_then(|check| self.value(check, push, &picked));
        if !rule.bound.is_empty() {
            let bound = account.and_then(|account| rule.bound.iter().find(|(of, _)| same(of, account)));
            let agrees = bound.zip(checked).is_some_and(|((_, value), checked)| same(value, &checked));
            return agrees.then_some(()).ok_or(Refusal::Account);
        }
        let expected = rule.expect.is_empty()
            || account.is_some_and(|account| rule.expect.iter().any(|one| same(one, account)));
        // In the path stands the whole value, or its first label: `demo-a` for `demo-a.myshoplaza.com`.
        let agrees = match (push.account, checked.as_deref()) {
            (Some(path), Some(value)) => {
                same(path, value) || same(path, value.split('.').next().unwrap_or_default())
            }
            _ => true,
        };
        (expected && agrees).then_some(()).ok_or(Refusal::Account)
    }

    /// The first of these that yields a value.
    pub(super) fn first<'a>(
        &'a self,
        selectors: &'a [Selector],
        push: &Pushed<'a>,
        picked: &'a Picked<'_>,
    ) -> Option<Cow<'a, str>> {
        selectors.iter().find_map(|selector| self.value(selector, push, picked))
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the source, like its neighbours")]
    fn value<'a>(
        &self,
        selector: &'a Selector,
        push: &Pushed<'a>,
        picked: &'a Picked<'_>,
    ) -> Option<Cow<'a, str>> {
        let value: Cow<'a, str> = match selector {
            Selector::Header(name) => {
                let value = std::str::from_utf8(push.headers.find(name).trimmed()?).ok()?;
                value.into()
            }
            Selector::Json(pointer) => picked.get(pointer)?.into(),
            Selector::Path => push.account?.into(),
            Selector::Const(text) => text.as_str().into(),
        };
        // Postgres has no text with a NUL in it.
        let value = if value.contains('\0') { value.replace('\0', "").into() } else { value };
        (1..=LONGEST).contains(&value.len()).then_some(value)
    }
}
