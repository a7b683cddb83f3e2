//! The program as a person or a script meets it.

use std::process::{Command, Output};

fn pushbox(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().expect("an empty working directory");
    Command::new(env!("CARGO_BIN_EXE_pushbox"))
        .args(arguments)
        .current_dir(directory.path())
        .env_clear()
        .envs(settings.iter().copied())
        .output()
        .expect("run pushbox")
}

#[test]
fn serve_names_all_faults_at_once() {
    let answer = pushbox(
        &["serve"],
        &[
            ("CALLBACK_URL", "hooks.example.com"),
            ("PARTNER_ID", "twelve"),
            ("SPREADSHEET_ID", "1AbC"),
            ("ADMIN_LISTEN", "0.0.0.0:9000"),
            ("DISPLAY_TIMEZONE", "Mars/Olympus"),
        ],
    );
    assert_eq!(answer.status.code(), Some(2));
    let text = String::from_utf8(answer.stderr).expect("text");
    for setting in [
        "CALLBACK_URL",
        "PARTNER_ID",
        "PARTNER_KEY",
        "WEBHOOK_PARTNER_KEY",
        "GOOGLE_CREDENTIALS_JSON",
        "ADMIN_TOKEN",
        "DISPLAY_TIMEZONE",
    ] {
        assert!(text.contains(setting), "{setting} is not named:\n{text}");
    }
}

#[test]
fn openapi_prints_the_committed_document() {
    let answer = pushbox(&["openapi"], &[]);
    assert!(answer.status.success());
    let committed =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/admin.json")).expect("the document");
    assert_eq!(answer.stdout, committed);
}

#[test]
fn keygen_prints_fresh_keys() {
    let [one, two] = [(); 2].map(|()| String::from_utf8(pushbox(&["keygen"], &[]).stdout).expect("text"));
    for name in ["ADMIN_TOKEN=", "ENCRYPTION_KEY=", "FORWARD_SECRET=whsec_"] {
        assert!(one.contains(name), "{one}");
    }
    assert_ne!(one, two);
}

#[test]
fn what_it_does_not_know_is_a_usage_error() {
    assert_eq!(pushbox(&["serv"], &[]).status.code(), Some(2));
    assert_eq!(pushbox(&["serve", "--roles", "cook"], &[]).status.code(), Some(2));
    assert_eq!(pushbox(&["--help"], &[]).status.code(), Some(0));
}
