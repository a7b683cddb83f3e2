//! A real browser, driven over the pipe that Chromium offers for it: no driver program and no websocket between.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Nothing that a page does takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the browser has to be there, as in CI.
const REQUIRED: &str = "BROWSER_TESTS_REQUIRED";

/// One window of one browser with a profile of its own.
pub(crate) struct Browser {
    /// Ends with this.
    _child: Child,
    _profile: tempfile::TempDir,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Option<String>,
    next: u64,
    /// What the page complained of: scripts that failed, things that the content policy forbids.
    complaints: Vec<String>,
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|place| names.map(|name| place.join(name)))
        .find(|program| program.is_file());
    assert!(
        found.is_some() || std::env::var_os(REQUIRED).is_none(),
        "{REQUIRED} is set, and there is no chromium"
    );
    found
}

impl Browser {
    /// A browser with an empty page; none on a machine that has no Chromium, unless it must have one.
    pub(crate) async fn start() -> Option<Self> {
        let program = program()?;
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let mut child = command(&program, profile.path()).spawn().expect("start chromium");
        let commands = child.stdin.take().expect("its pipe");
        let answers = BufReader::new(child.stdout.take().expect("its pipe"));
        let mut browser = Self {
            _child: child,
            _profile: profile,
            commands,
            answers,
            session: None,
            next: 0,
            complaints: Vec::new(),
        };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &attach).await;
        browser.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({})).await;
        }
        browser.window(1280, false).await;
        Some(browser)
    }

    /// Asks the browser for something and waits for its answer.
    async fn call(&mut self, method: &str, parameters: &Value) -> Value {
        match self.try_call(method, parameters).await {
            Ok(answer) => answer,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    async fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.next += 1;
        let id = self.next;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = session.clone().into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).await.expect("the browser listens");
        loop {
            let mut message = Vec::new();
            let read = tokio::time::timeout(PATIENCE, self.answers.read_until(0, &mut message)).await;
            let length = read.unwrap_or_else(|_| panic!("{method}: no answer")).expect("the browser answers");
            assert!(length > 0, "{method}: the browser is gone");
            message.pop();
            let message: Value = serde_json::from_slice(&message).expect("JSON");
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(message["result"].clone()),
                };
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let entry = &message["params"]["entry"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(message["params"].to_string()),
            // An answer of 401 or 404 to a page that was asked for is an answer.
            Some("Log.entryAdded") if entry["level"] == "error" && entry["source"] != "network" => {
                self.complaints.push(entry["text"].to_string());
            }
            _ => {}
        }
    }

    /// What the pages complained of so far.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Makes the window so wide, in CSS pixels; a narrow one is a phone's.
    pub(crate) async fn window(&mut self, width: u32, dark: bool) {
        let size = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", &size).await;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", &media).await;
    }

    /// Opens an address and waits until its page is there.
    pub(crate) async fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({"url": url})).await;
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.until("document.readyState === 'complete'").await;
    }

    /// What a script says; it may be a promise.
    pub(crate) async fn ask(&mut self, script: &str) -> Value {
        self.try_ask(script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    async fn try_ask(&mut self, script: &str) -> Result<Value, String> {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.try_call("Runtime.evaluate", &parameters).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until something is true of the page, also over a change of page.
    pub(crate) async fn until(&mut self, condition: &str) {
        let begun = Instant::now();
        // While the page changes there is nobody to ask.
        while self.try_ask(condition).await != Ok(Value::Bool(true)) {
            if begun.elapsed() > PATIENCE {
                let shown = self.ask("location.href + '\\n' + document.body.innerText").await;
                panic!("never: {condition}\n{}", shown.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the page of this path is there, with its script.
    pub(crate) async fn arrive(&mut self, path: &str) {
        self.until(&format!("location.pathname === {} && document.readyState === 'complete'", json!(path)))
            .await;
    }

    /// Waits until the page says this.
    pub(crate) async fn reads(&mut self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Clicks with the mouse at what the selector finds first.
    pub(crate) async fn click(&mut self, selector: &str) {
        self.until(&format!("!!document.querySelector({})", json!(selector))).await;
        let place = self
            .ask(&format!(
                "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center'}});
                   const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
                json!(selector)
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &event).await;
        }
    }

    /// Types where the focus is.
    pub(crate) async fn enter(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text})).await;
    }

    /// Presses a key: one letter, `Tab` or `Enter`.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            letter => (letter.to_uppercase().bytes().next().map_or(0, u32::from), letter),
        };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code,
                "text": if kind == "keyDown" { text } else { "" }});
            self.call("Input.dispatchKeyEvent", &event).await;
        }
    }
}

/// The browser's pipe is on descriptors 3 and 4, which only a shell can give it without unsafe code.
fn command(program: &Path, profile: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(
            "exec \"$0\" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --disable-extensions --disable-background-networking --no-proxy-server --lang=en-GB \
             --remote-debugging-pipe --user-data-dir=\"$1\" about:blank 3<&0 4>&1 0</dev/null 1>/dev/null",
        )
        .arg(program)
        .arg(profile)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}
