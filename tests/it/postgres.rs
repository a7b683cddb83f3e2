//! The managed cluster, against the real thing.

use std::io::{BufRead, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::response::IntoResponse;
use flate2::{Compression, write::GzEncoder};
use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresError, PostgresOptions};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

use crate::support::database::{cluster, directory};

async fn query(cluster: &ManagedPostgres, statement: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.url(DATABASE)).await.expect("connect");
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect(statement)
}

async fn execute(cluster: &ManagedPostgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&cluster.url(DATABASE)).await.expect("connect");
    sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
}

#[tokio::test]
async fn a_cluster_keeps_its_data_over_stop_and_start() {
    let directory = directory();
    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    let url = cluster.url(DATABASE);
    cluster.stop().await.unwrap();
    assert!(PgConnection::connect(&url).await.is_err());

    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_recovers_what_was_committed() {
    let directory = directory();
    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    let url = cluster.url(DATABASE);
    execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;

    cluster.kill().await.unwrap();
    assert_eq!(cluster.pid().await, None);
    cluster.restart().await.unwrap();
    assert_eq!(cluster.url(DATABASE), url, "a pool that is open must find the server again");
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");

    cluster.stop_immediate().await.unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_revived() {
    let directory = directory();
    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    assert!(!cluster.revive().await.unwrap(), "it runs");

    let pid = cluster.pid().await.unwrap();
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap().success());
    let revived = async { while !cluster.revive().await.unwrap() {} };
    tokio::time::timeout(Duration::from_mins(1), revived).await.expect("its end is noticed");
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");

    cluster.kill().await.unwrap();
    assert!(!cluster.revive().await.unwrap(), "this end was asked for");
}

#[tokio::test]
async fn commits_are_durable_and_only_loopback_is_listened_on() {
    let cluster = cluster().await;
    for (setting, value) in [
        ("SELECT current_setting('fsync')", "on"),
        ("SELECT current_setting('full_page_writes')", "on"),
        ("SELECT current_setting('synchronous_commit')", "on"),
        ("SELECT current_setting('listen_addresses')", "127.0.0.1"),
        ("SELECT current_setting('unix_socket_directories')", ""),
        ("SELECT current_setting('max_connections')", "200"),
        ("SELECT current_setting('data_checksums')", "on"),
        (
            "SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()",
            "UTF8",
        ),
    ] {
        assert_eq!(query(cluster, setting).await, value, "{setting}");
    }
    let wrong = cluster.url(DATABASE).replacen("postgres://pushbox:", "postgres://pushbox:x", 1);
    let error = PgConnection::connect(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
    assert!(!format!("{cluster:?}").contains(&password(&cluster.directory().join("password"))));
}

#[tokio::test]
async fn given_settings_win_and_a_bad_one_is_quoted_from_the_log() {
    let directory = directory();
    let options = PostgresOptions {
        settings: vec![("max_connections".to_owned(), "23".to_owned())],
        ..PostgresOptions::new(directory.path())
    };
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    assert_eq!(query(&cluster, "SELECT current_setting('max_connections')").await, "23");
    cluster.stop().await.unwrap();

    let settings = vec![("shared_buffers".to_owned(), "a lot".to_owned())];
    let error = ManagedPostgres::start(PostgresOptions { settings, ..options }).await.unwrap_err();
    assert!(matches!(error, PostgresError::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("shared_buffers"), "{error}");
}

#[tokio::test]
async fn an_ephemeral_cluster_leaves_nothing() {
    let directory = directory();
    let data_dir = directory.path().join("data");
    let cluster = ManagedPostgres::start(PostgresOptions::ephemeral(&data_dir)).await.unwrap();
    assert!(cluster.directory().starts_with(&data_dir));
    cluster.stop().await.unwrap();
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn an_ephemeral_cluster_survives_a_crash_but_not_its_owner() {
    let directory = directory();
    let data_dir = directory.path().join("data");
    let cluster = ManagedPostgres::start(PostgresOptions::ephemeral(&data_dir)).await.unwrap();
    execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    cluster.kill().await.unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");
    cluster.stop_immediate().await.unwrap();
    assert!(data_dir.exists());
    drop(cluster);
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn stale_pid_files_are_overcome() {
    let directory = directory();
    let options = PostgresOptions::new(directory.path());
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    let pid_file = cluster.directory().join("data/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    let pid = cluster.pid().await.unwrap();
    cluster.stop().await.unwrap();
    assert!(!pid_file.exists());

    // A process that is gone, a living one that is no server (this test), and a dead one that was not waited for.
    let mut dead = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    std::io::copy(&mut dead.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
    for stale in [pid, std::process::id(), dead.id()] {
        std::fs::write(&pid_file, text.replacen(&pid.to_string(), &stale.to_string(), 1)).unwrap();
        let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
        assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
        cluster.stop().await.unwrap();
    }
    dead.wait().unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_made_again() {
    let directory = directory();
    let options = PostgresOptions::new(directory.path());
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    let home = cluster.directory().to_owned();
    cluster.stop().await.unwrap();
    // As if the program had been killed within initdb.
    std::fs::rename(home.join("data"), home.join("data.tmp")).unwrap();
    std::fs::remove_file(home.join("data.tmp/global/pg_control")).unwrap();

    let cluster = ManagedPostgres::start(options).await.unwrap();
    assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
    assert!(!home.join("data.tmp").exists());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_left_alone() {
    let directory = directory();
    let home = directory.path().join("postgres");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("letter.txt"), "dear diary").unwrap();
    let error = ManagedPostgres::start(PostgresOptions::ephemeral(directory.path())).await.unwrap_err();
    assert!(matches!(error, PostgresError::NotOurs { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(home.join("letter.txt")).unwrap(), "dear diary");
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
}

#[tokio::test]
async fn a_damaged_cluster_is_left_alone() {
    let directory = directory();
    let options = PostgresOptions::new(directory.path());
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    let data = cluster.directory().join("data");
    cluster.stop().await.unwrap();
    std::fs::remove_file(data.join("PG_VERSION")).unwrap();
    let error = ManagedPostgres::start(options).await.unwrap_err();
    assert!(error.to_string().contains("PG_VERSION is missing"), "{error}");
    assert!(data.join("base").is_dir());
}

#[tokio::test]
async fn a_cluster_of_another_version_names_it() {
    let directory = directory();
    let options = PostgresOptions { download_url: refused().await, ..PostgresOptions::new(directory.path()) };
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    let version = cluster.directory().join("data/PG_VERSION");
    cluster.stop().await.unwrap();
    std::fs::write(version, "99\n").unwrap();
    let error = ManagedPostgres::start(options).await.unwrap_err();
    assert!(matches!(error, PostgresError::OtherVersion { cluster: 99, .. }), "{error}");
}

#[tokio::test]
async fn two_programs_cannot_share_a_directory() {
    let directory = directory();
    let options = PostgresOptions::new(directory.path());
    let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
    let error = ManagedPostgres::start(options).await.unwrap_err();
    assert!(matches!(error, PostgresError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
    cluster.stop().await.unwrap();
}

fn password(path: &Path) -> String {
    std::fs::read_to_string(path).expect("read the password")
}

/// A base URL on loopback where nothing listens.
async fn refused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    format!("http://{}", listener.local_addr().expect("address"))
}

mod download {
    //! The download, from a server that this test runs, with an archive that it makes of the installed programs.

    use super::*;

    #[tokio::test]
    async fn without_an_installation_one_is_downloaded_and_kept() {
        let directory = directory();
        let release = Release::new(archive());
        let options = PostgresOptions {
            search: false,
            download_url: release.serve().await,
            ..PostgresOptions::new(directory.path())
        };
        let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
        assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
        cluster.stop().await.unwrap();

        let offline = PostgresOptions { download_url: refused().await, ..options };
        ManagedPostgres::start(offline).await.unwrap().stop().await.unwrap();
    }

    #[tokio::test]
    async fn an_archive_that_is_not_the_published_one_is_not_unpacked() {
        let directory = directory();
        let mut release = Release::new(archive());
        release.archive.push(0);
        let options = PostgresOptions {
            search: false,
            download_url: release.serve().await,
            ..PostgresOptions::new(directory.path())
        };
        let error = ManagedPostgres::start(options).await.unwrap_err();
        assert!(matches!(error, PostgresError::NotInstalled { .. }), "{error}");
        assert!(error.to_string().contains("has the SHA-256"), "{error}");
        assert!(!directory.path().join("postgres/binaries").exists());
    }

    #[tokio::test]
    async fn without_network_the_error_names_the_remedies() {
        let directory = directory();
        let options = PostgresOptions {
            search: false,
            download_url: refused().await,
            ..PostgresOptions::new(directory.path())
        };
        let error = ManagedPostgres::start(options).await.unwrap_err().to_string();
        for remedy in
            ["apt install postgresql", "dnf install postgresql-server", "brew install", "DATABASE_URL"]
        {
            assert!(error.contains(remedy), "{error}");
        }
        assert!(error.contains("refused"), "{error}");
    }

    struct Release {
        archive: Vec<u8>,
        checksum: String,
    }

    impl Release {
        fn new(archive: Vec<u8>) -> Self {
            let checksum = format!("{}  postgresql.tar.gz\n", hex::encode(Sha256::digest(&archive)));
            Self { archive, checksum }
        }

        /// Answers `/<version>/<file>`; the base URL.
        async fn serve(self) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
            let base = format!("http://{}", listener.local_addr().expect("address"));
            let (archive, checksum) = (axum::body::Bytes::from(self.archive), self.checksum);
            let app = axum::Router::new().route(
                "/{version}/{file}",
                axum::routing::get(
                    move |axum::extract::Path((version, file)): axum::extract::Path<(String, String)>| {
                        let (archive, checksum) = (archive.clone(), checksum.clone());
                        async move {
                            assert!(file.starts_with(&format!("postgresql-{version}-")), "{file}");
                            let checksum_file =
                                Path::new(&file).extension().is_some_and(|end| end == "sha256");
                            if checksum_file { checksum.into_response() } else { archive.into_response() }
                        }
                    },
                ),
            );
            tokio::spawn(async move { axum::serve(listener, app).await.expect("serve") });
            base
        }
    }

    /// Like a release: one directory at the top, `bin` in it. The programs are stubs that call the installed ones,
    /// because those find their libraries relative to where they were compiled to be.
    fn archive() -> Vec<u8> {
        let installed = installed_binaries();
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for tool in ["postgres", "initdb", "pg_ctl"] {
            let script = format!("#!/bin/sh\nexec {} \"$@\"\n", installed.join(tool).display());
            let mut header = tar::Header::new_gnu();
            header.set_size(script.len() as u64);
            header.set_mode(0o755);
            tar.append_data(&mut header, format!("postgresql-1.2.3-test/bin/{tool}"), script.as_bytes())
                .expect("append");
        }
        tar.into_inner().expect("tar").finish().expect("gzip")
    }

    fn installed_binaries() -> PathBuf {
        let output = std::process::Command::new("sh")
            .args(["-c", "dirname \"$(readlink -f \"$(command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres | tail -1)\")\""])
            .output()
            .expect("look for the installed Postgres");
        PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
    }
}

mod other_process {
    //! What happens when the program is killed, and what an ordinary user gets, need a program: this test's own
    //! binary, run again for one test with an environment variable.

    use super::*;

    const VARIABLE: &str = "PUSHBOX_TEST_CLUSTER";

    /// Not a test by itself: the program that the others start. It prints where its cluster is and the server's
    /// process id, and then runs until its standard input ends.
    #[tokio::test]
    async fn program() {
        let Some(data_dir) = std::env::var_os(VARIABLE) else { return };
        let mut options = PostgresOptions::new(PathBuf::from(data_dir));
        options.ephemeral = std::env::var_os("PUSHBOX_TEST_EPHEMERAL").is_some();
        let cluster = ManagedPostgres::start(options).await.unwrap();
        assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
        let pid = cluster.pid().await.unwrap();
        println!("\ncluster {pid} {}", cluster.directory().display());
        let wait = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        wait.await.unwrap().unwrap();
        cluster.stop().await.unwrap();
        println!("stopped");
    }

    struct Program {
        child: Child,
        output: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
        pid: u32,
        home: PathBuf,
    }

    impl Program {
        fn start(data_dir: &Path, change: impl FnOnce(&mut Command)) -> Self {
            let mut command = Command::new(std::env::current_exe().expect("this binary"));
            command
                .args(["--exact", "postgres::other_process::program", "--nocapture"])
                .env(VARIABLE, data_dir)
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            change(&mut command);
            let mut child = command.spawn().expect("start the program");
            let mut output = std::io::BufReader::new(child.stdout.take().expect("its output")).lines();
            let line = output
                .by_ref()
                .map(|line| line.expect("read its output"))
                .find(|line| line.starts_with("cluster "))
                .expect("the program says where its cluster is");
            let mut words = line.splitn(3, ' ').skip(1);
            let pid = words.next().and_then(|pid| pid.parse().ok()).expect("a process id");
            let home = PathBuf::from(words.next().expect("a directory"));
            Self { child, output, pid, home }
        }

        /// SIGKILL.
        fn kill(&mut self) {
            self.child.kill().expect("kill");
            self.child.wait().expect("wait");
        }
    }

    /// Waits until `done`; the limit is for a broken program only.
    async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_mins(1), wait).await.is_ok(), "{what} never happened");
    }

    fn runs(pid: u32) -> bool {
        let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps");
        let state = String::from_utf8(output.stdout).expect("text");
        // A zombie is only waiting for its new parent to look.
        !state.trim().is_empty() && !state.starts_with('Z')
    }

    #[tokio::test]
    async fn a_killed_program_takes_its_server_along() {
        let directory = directory();
        let mut program = Program::start(directory.path(), |_| ());
        assert!(runs(program.pid));
        program.kill();
        eventually("the end of the server", || !runs(program.pid)).await;
        eventually("the end of the stop", || !program.home.join("data/postmaster.pid").exists()).await;
        let log = std::fs::read_to_string(program.home.join("server.log")).unwrap();
        assert!(log.contains("received fast shutdown request"), "{log}");
        assert!(log.contains("database system is shut down"), "{log}");
    }

    #[tokio::test]
    async fn a_killed_program_removes_its_ephemeral_cluster() {
        let directory = directory();
        let data_dir = directory.path().join("data");
        let mut program = Program::start(&data_dir, |command| {
            command.env("PUSHBOX_TEST_EPHEMERAL", "1");
        });
        program.kill();
        eventually("the removal", || !program.home.exists()).await;
        assert!(!runs(program.pid));
    }

    #[tokio::test]
    async fn a_restart_right_after_a_kill_finds_the_server_stopping_or_stopped() {
        let directory = directory();
        let mut program = Program::start(directory.path(), |_| ());
        program.kill();
        let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
        assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
        assert_ne!(cluster.pid().await, Some(program.pid));
        cluster.stop().await.unwrap();
    }

    /// The supervisor is killed, too: nobody stops the server until the next start does.
    #[tokio::test]
    async fn a_server_that_lost_its_supervisor_is_stopped_by_the_next_start() {
        let directory = directory();
        let mut program = Program::start(directory.path(), |_| ());
        let supervisors =
            Command::new("ps").args(["-o", "ppid=", "-p", &program.pid.to_string()]).output().expect("ps");
        let supervisor = String::from_utf8(supervisors.stdout).unwrap().trim().to_owned();
        // The whole group but the server: the supervisor and the shell that waits for the pipe.
        let group = Command::new("ps").args(["-e", "-o", "pid=,pgid=,comm="]).output().expect("ps");
        let shells: Vec<String> = String::from_utf8(group.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter(|words| words[1] == supervisor && words[2] != "postgres")
            .map(|words| words[0].clone())
            .collect();
        assert_eq!(shells.len(), 2, "{shells:?}");
        assert!(Command::new("kill").arg("-KILL").args(&shells).status().expect("kill").success());
        program.kill();
        assert!(runs(program.pid));

        let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
        assert!(!runs(program.pid));
        assert_eq!(query(&cluster, "SELECT 'up'").await, "up");
        cluster.stop().await.unwrap();
    }

    #[tokio::test]
    async fn an_ordinary_user_runs_the_server_itself() {
        let directory = directory();
        let Some((uid, gid)) = ordinary_user(directory.path()) else { return };
        let data_dir = directory.path().join("home/of the user");
        std::fs::create_dir(directory.path().join("home")).unwrap();
        chown(directory.path().join("home"), Some(uid), Some(gid)).unwrap();
        let mut program = Program::start(&data_dir, |command| {
            command.uid(uid).gid(gid);
        });
        assert_eq!(program.home, data_dir.canonicalize().unwrap().join("postgres"));
        let mode = |name: &str| std::fs::metadata(program.home.join(name)).unwrap();
        assert_eq!(mode("password").mode() & 0o777, 0o600);
        assert_eq!(mode("data").uid(), uid);
        drop(program.child.stdin.take());
        assert!(program.output.any(|line| line.unwrap() == "stopped"));
        assert!(program.child.wait().unwrap().success());
        assert!(!runs(program.pid));
    }

    #[tokio::test]
    async fn root_keeps_the_cluster_where_its_user_can_go() {
        let directory = directory();
        if std::fs::metadata(directory.path()).unwrap().uid() != 0 {
            skip("needs root");
            return;
        }
        let closed = directory.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let options = PostgresOptions::new(closed.join("data"));
        let cluster = ManagedPostgres::start(options.clone()).await.unwrap();
        let home = cluster.directory().to_owned();
        assert!(home.starts_with("/var/lib/pushbox"), "{}", home.display());
        assert_ne!(std::fs::metadata(home.join("data")).unwrap().uid(), 0);
        execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
        cluster.stop().await.unwrap();
        let cluster = ManagedPostgres::start(options).await.unwrap();
        assert_eq!(cluster.directory(), home);
        assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");
        cluster.stop().await.unwrap();
        std::fs::remove_dir_all(home.parent().unwrap()).unwrap();

        let cluster = ManagedPostgres::start(PostgresOptions::ephemeral(closed.join("brief"))).await.unwrap();
        let home = cluster.directory().to_owned();
        assert!(home.starts_with(std::env::temp_dir()), "{}", home.display());
        cluster.stop().await.unwrap();
        assert!(!home.parent().unwrap().exists());
    }

    fn skip(reason: &str) {
        // Past the harness, which shows output of failed tests only.
        writeln!(std::io::stderr(), "skipped: {reason}").expect("say so");
    }

    /// Somebody else than us when we are root; skips with a reason when this binary is out of that user's reach.
    fn ordinary_user(directory: &Path) -> Option<(u32, u32)> {
        if std::fs::metadata(directory).expect("metadata").uid() != 0 {
            skip("every other test here runs as an ordinary user already");
            return None;
        }
        let (uid, gid) = (65534, 65534);
        let reachable = Command::new(std::env::current_exe().expect("this binary"))
            .arg("--help")
            .stdout(Stdio::null())
            .current_dir("/")
            .uid(uid)
            .gid(gid)
            .status();
        if reachable.is_ok_and(|status| status.success()) {
            return Some((uid, gid));
        }
        skip("an ordinary user cannot run this binary where it is");
        None
    }
}
