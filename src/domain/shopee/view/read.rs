//! From JSON to the view, field by field.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Authorization, Change, Detail, Expiry, Item, Notice, View};

/// JSON whose fields may be anything.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn of(self, name: &str) -> Self {
        Self(&self.0[name])
    }

    /// The first of these that says something, as text.
    fn text(self, names: &[&str]) -> String {
        names.iter().map(|name| scalar(&self.0[*name])).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The elements of a list; of anything else, itself.
    fn each(self, name: &str) -> Vec<Fields<'a>> {
        match &self.0[name] {
            Value::Array(list) => list.iter().map(Fields).collect(),
            Value::Null => Vec::new(),
            other => vec![Fields(other)],
        }
    }

    /// The scalars under these names, lists unfolded, sorted, each once.
    fn ids(self, names: &[&str]) -> Vec<String> {
        let all = names.iter().flat_map(|name| self.each(name)).map(|one| scalar(one.0));
        let mut ids: Vec<String> = all.filter(|id| !id.is_empty() && id != "0").collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn time(self, name: &str) -> Option<DateTime<Utc>> {
        let seconds = self.text(&[name]).parse().ok().filter(|seconds| *seconds > 0)?;
        DateTime::from_timestamp(seconds, 0)
    }

    fn item(self) -> Item {
        Item {
            item_id: self.text(&["item_id"]),
            model_id: Some(self.text(&["model_id", "variation_id"]))
                .filter(|id| id != "0")
                .unwrap_or_default(),
            name: self.text(&["item_name"]),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

impl View {
    /// The view of a push of this code, from its whole envelope.
    pub fn of(code: &str, envelope: &Value) -> Self {
        let unfolded;
        let mut data = &envelope["data"];
        if let Value::String(text) = data {
            // Some senders put `data` into a JSON string.
            unfolded = serde_json::from_str(text).unwrap_or(Value::Null);
            data = &unfolded;
        }
        if let Value::Array(list) = data {
            data = list.first().unwrap_or(&Value::Null);
        }
        Self::of_data(code.parse().unwrap_or(-1), Fields(data))
    }

    fn of_data(code: i64, data: Fields<'_>) -> Self {
        match code {
            1 | 2 => Self::Authorization(Authorization::of(code == 1, data)),
            3 => Self::Order {
                order_sn: data.text(&["ordersn", "order_sn"]),
                status: data.text(&["status"]),
                scenario: data.text(&["completed_scenario"]),
                changed_at: data.time("update_time"),
            },
            4 | 15 | 24 | 25 | 30 => Self::Parcel {
                sn: data.text(&["ordersn", "order_sn", "booking_sn"]),
                package_number: data.text(&["package_number"]),
                tracking_number: data.text(&["tracking_no", "tracking_number"]),
                status: data.text(&["status", "fulfillment_status"]),
            },
            5 => Self::Notices(data.each("actions").into_iter().map(Notice::of).collect()),
            7 | 9 => Self::Promotion {
                item: data.item(),
                promotion_type: data.text(&["promotion_type"]),
                promotion_id: data.text(&["promotion_id"]),
                action: data.text(&["action"]),
                reserved_stock: data.text(&["reserved_stock"]),
            },
            8 | 22 | 29 | 47 => changes(code, data),
            10 => chat(data),
            _ => Self::of_rarer(code, data),
        }
    }

    fn of_rarer(code: i64, data: Fields<'_>) -> Self {
        match code {
            11 | 38 => Self::Video {
                upload_id: data.text(&["video_upload_id"]),
                status: data.text(&["status"]),
                reason: data.text(&["message", "reason"]),
            },
            12 => Self::Expiry(Expiry::of(data)),
            13 => Self::Brand {
                name: data.of("register_brand").text(&["brand_name"]),
                result: data.of("register_result").text(&["result"]),
                reason: data.of("register_result").text(&["reason"]),
            },
            6 | 16 => Self::Violation {
                item: data.item(),
                status: data.text(&["item_status", "status"]),
                details: ["item_status_details", "deboost_details", "deboosted_details"]
                    .iter()
                    .flat_map(|list| data.each(list))
                    .map(Detail::of)
                    .collect(),
            },
            27 => {
                Self::PublishFailed { item: data.item(), scheduled: data.text(&["scheduled_publish_time"]) }
            }
            28 => penalty(data),
            31 | 33 => Self::Invoice {
                order_sn: data.text(&["order_sn", "ordersn"]),
                document: data.text(&["invoice_id", "document_type", "biz_request_type"]),
                failure: data.text(&["fail_reason", "fail_type"]),
                deadline: data.text(&["invoice_deadline_time"]),
            },
            34 | 35 => {
                Self::Blocked { what: data.text(&["shop_sku", "sku_id", "mt_sku_id", "item_id", "shop_id"]) }
            }
            36 => Self::SellableStock(
                data.each("list")
                    .into_iter()
                    .map(|one| {
                        let place = one.text(&["whs_id", "whs_region"]);
                        let sku = one.text(&["mt_sku_id"]);
                        (format!("{sku} at {place}"), one.text(&["whs_sellable_qty"]))
                    })
                    .collect(),
            ),
            20 | 21 | 23 | 37 => status(code, data),
            _ => Self::Opaque,
        }
    }
}

impl Authorization {
    fn of(granted: bool, data: Fields<'_>) -> Self {
        Self {
            granted,
            shop_ids: data.ids(&["shop_id", "shopid", "shop_id_list"]),
            merchant_ids: data.ids(&["merchant_id", "merchant_id_list"]),
            main_account_ids: data.ids(&["main_account_id"]),
            reason: data.text(&["authorize_type"]),
            note: data.text(&["extra"]),
        }
    }
}

impl Expiry {
    fn of(data: Fields<'_>) -> Self {
        Self {
            shop_ids: data.ids(&["shop_expire_soon"]),
            merchant_ids: data.ids(&["merchant_expire_soon"]),
            user_ids: data.ids(&["user_expire_soon"]),
            before: data.time("expire_before"),
            page: data.text(&["page_no"]),
            pages: data.text(&["total_page"]),
        }
    }
}

impl Notice {
    fn of(one: Fields<'_>) -> Self {
        Self { title: one.text(&["title"]), content: one.text(&["content"]), url: one.text(&["url"]) }
    }
}

impl Detail {
    fn of(one: Fields<'_>) -> Self {
        Self {
            kind: one.text(&["violation_type"]),
            reason: one.text(&["violation_reason"]),
            suggestion: one.text(&["suggestion"]),
            deadline: one.text(&["fix_deadline_time"]),
        }
    }
}

fn changes(code: i64, data: Fields<'_>) -> View {
    let one = |one: Fields<'_>, name: &str, before: &str, after: &str| Change {
        name: one.text(&[name]),
        before: one.text(&[before]),
        after: one.text(&[after]),
    };
    let order = ("order", data.text(&["order_sn", "ordersn"]));
    let Item { item_id, model_id, .. } = data.item();
    let (of, changes) = match code {
        8 => {
            let changed = data.each("changed_values").into_iter();
            let of =
                vec![("item", item_id), ("variation", model_id), order, ("action", data.text(&["action"]))];
            (of, changed.map(|value| one(value, "name", "old", "new")).collect())
        }
        22 => (
            vec![("item", item_id), ("variation", model_id)],
            vec![one(data, "update_field", "old_value", "new_value")],
        ),
        29 => {
            let changed = data.each("updated_values").into_iter();
            let of = vec![("return", data.text(&["return_sn"])), order];
            (of, changed.map(|value| one(value, "update_field", "old_value", "new_value")).collect())
        }
        _ => {
            let (before, after) = (data.of("old"), data.of("new"));
            let named = data.ids(&["changed_fields"]).into_iter();
            let change = |name: String| Change {
                before: before.text(&[name.as_str()]),
                after: after.text(&[name.as_str()]),
                name,
            };
            (vec![order, ("package", data.text(&["package_number"]))], named.map(change).collect())
        }
    };
    View::Changes { of, changes }
}

fn chat(data: Fields<'_>) -> View {
    let content = data.of("content");
    let about = content.of("source_content");
    View::Chat {
        kind: data.text(&["type"]),
        conversation_id: content.text(&["conversation_id"]),
        from: content.text(&["from_user_name", "from_id"]),
        message_type: content.text(&["message_type", "type"]),
        text: content.of("content").text(&["text", "content"]),
        about: about.text(&["order_sn", "item_id"]),
    }
}

fn penalty(data: Fields<'_>) -> View {
    let (issued, removed, tier) =
        (data.of("points_issued_data"), data.of("points_removed_data"), data.of("tier_update_data"));
    match data.text(&["action_type"]).as_str() {
        "1" => View::Penalty {
            action: "points issued",
            amount: issued.text(&["issued_points"]),
            reason: issued.text(&["violation_type"]),
        },
        "2" => View::Penalty {
            action: "points removed",
            amount: removed.text(&["removed_points"]),
            reason: removed.text(&["removed_reason", "violation_type"]),
        },
        "3" => View::Penalty {
            action: "tier changed",
            amount: format!("{} → {}", tier.text(&["old_tier"]), tier.text(&["new_tier"])),
            reason: String::new(),
        },
        _ => View::Opaque,
    }
}

fn status(code: i64, data: Fields<'_>) -> View {
    let (what, number, status) = match code {
        20 => ("purchase order", "purchase_order_id", "purchase_order_status"),
        21 => ("inbound", "inbound_id", "inbound_status"),
        23 => ("booking", "booking_sn", "booking_status"),
        _ => ("pickup", "first_mile_tracking_number", "status"),
    };
    View::Status {
        what,
        number: data.text(&[number, "binding_id"]),
        status: data.text(&[status]),
        reason: data.text(&["purchase_reason"]),
    }
}
