//! The world that `demo` and `simulate` set up in the simulator, and the settings that lead there.

use std::collections::BTreeMap;

use crate::simulator::{Simulator, TokenPair};

/// The app of the simulated console.
pub(super) const PARTNER_ID: i64 = 2_000_001;
const PARTNER_KEY: &str = "shpk-simulated-partner-key";
const PUSH_KEY: &str = "simulated-live-push-partner-key";
/// As it is "saved in the console": it is signed, and leads nowhere.
pub(super) const CALLBACK_URL: &str = "https://hooks.example.com/webhook/shopee";

const BOT_TOKEN: &str = "700001:simulated-bot-token";
/// A forum.
pub(super) const CHAT_ID: i64 = -1_001_234_567_890;
/// The spreadsheet that is shared with the simulated service account.
pub(super) const SPREADSHEET_ID: &str = "simulated-spreadsheet";

/// What the simulated service of the seller's verifies with.
const FORWARD_SECRET: &str = "whsec_c2ltdWxhdGVkLWZvcndhcmQtc2VjcmV0LTMyYnl0ZXM=";

/// Puts app, bot, forum and spreadsheet into the world; what is there stays as it is.
pub(super) fn set(sim: &Simulator) {
    let (app, bot, chat, sheet) = sim.read(|world| {
        (
            world.shopee.apps.contains_key(&PARTNER_ID),
            world.telegram.bots.contains_key(BOT_TOKEN),
            world.telegram.chats.contains_key(&CHAT_ID),
            world.google.spreadsheets.contains_key(SPREADSHEET_ID),
        )
    });
    if !app {
        sim.add_app(PARTNER_ID, PARTNER_KEY, PUSH_KEY, CALLBACK_URL);
    }
    if !bot {
        sim.add_bot(BOT_TOKEN, "pushbox_demo_bot");
    }
    if !chat {
        sim.add_forum(CHAT_ID, "Shop events");
    }
    if !sheet {
        sim.add_spreadsheet(SPREADSHEET_ID, "Shop orders");
    }
    sim.set_forward_secrets(&[FORWARD_SECRET]);
}

/// The settings with which pushbox uses this simulator, in the order in which a person reads them. Only the
/// first shop is among them: the others have no place in the environment.
pub(super) fn settings(sim: &Simulator, shops: &BTreeMap<i64, TokenPair>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("PARTNER_ID", PARTNER_ID.to_string()),
        ("PARTNER_KEY", PARTNER_KEY.to_owned()),
        ("WEBHOOK_PARTNER_KEY", PUSH_KEY.to_owned()),
        ("CALLBACK_URL", CALLBACK_URL.to_owned()),
        ("SHOPEE_API_URL", sim.shopee_url().to_string()),
        ("SHOPEE_CALLS_PER_SECOND", "100".to_owned()),
        ("TELEGRAM_API_URL", sim.telegram_url().to_string()),
        ("TELEGRAM_BOT_TOKEN", BOT_TOKEN.to_owned()),
        ("TELEGRAM_CHAT_ID", CHAT_ID.to_string()),
        ("GOOGLE_SHEETS_URL", sim.google_url().to_string()),
        ("GOOGLE_CREDENTIALS_JSON", sim.google_credentials_json()),
        ("SPREADSHEET_ID", SPREADSHEET_ID.to_owned()),
        ("FORWARD_URL", sim.forward_url().join("hook").expect("a path").to_string()),
        ("FORWARD_SECRET", FORWARD_SECRET.to_owned()),
        ("FORWARD_ALLOW_PRIVATE", "true".to_owned()),
    ];
    if let Some((shop_id, tokens)) = shops.first_key_value() {
        settings.extend([
            ("SHOP_ID", shop_id.to_string()),
            ("ACCESS_TOKEN", tokens.access_token.clone()),
            ("REFRESH_TOKEN", tokens.refresh_token.clone()),
        ]);
    }
    settings
}
