//! A private PostgreSQL server for the tests.
//!
//! The first test that asks starts one server for the whole test process; each test has a fresh database on it. The
//! server listens on a socket in a folder of its own and nowhere else. It ends, and its folder goes, when the process
//! that started it ends, however that ends: a shell holds the other end of a pipe and acts when the pipe closes.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use tempfile::TempDir;

/// The superuser of every server started here. Its socket's folder is closed to other users, so it has no password.
const SUPERUSER: &str = "concordat";
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "createdb"];
const PREFIX: &str = "concordat-pg-";
/// A file system in memory, where Linux has one: a database is some 900 files, made several times quicker here.
const MEMORY: &str = "/dev/shm";
const ROOMY_KIBIBYTES: u64 = 4 << 20;
const START_WITHIN: Duration = Duration::from_mins(1);

/// Runs the server `$1` on the folder `$2` with the settings that follow, until standard input closes. A line stops it
/// as `pg_ctl stop --mode=immediate` does, or starts it again.
const WATCH: &str = r#"
postgres=$1 folder=$2; shift 2
start() { "$postgres" -D "$folder/files" -k "$folder" "$@" >"$folder/log" 2>&1 & }
stop() { kill -QUIT $!; wait $!; }
start "$@"
while read -r what; do
  case $what in stop) stop ;; start) start "$@" ;; esac
done
stop
rm -rf "$folder"
"#;

/// The URL of a fresh, empty database on the server that this test process shares.
///
/// `None` where no server can be started: then what is left out is said once on standard error, and with
/// `CONCORDAT_TESTS=all` it is a failure.
pub(crate) fn database() -> Option<String> {
    shared().map(Server::database)
}

/// The URL of a copy of such a database, in which nobody works meanwhile.
pub(crate) fn copy(url: &str) -> String {
    let (place, _) = url.split_once('?').expect("a URL of ours names the socket's folder");
    let (_, name) = place.rsplit_once('/').expect("and a database");
    shared().expect("the server that has the database").made_of(name)
}

fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
    present(SHARED.get_or_init(|| Server::start(Durability::None)).as_ref())
}

/// A server of the caller's own that keeps each committed transaction through a crash, or `None` as for [`database`].
pub(crate) fn durable_server() -> Option<Server> {
    present(Server::start(Durability::Full))
}

/// A server of the caller's own that only follows another one, which is not there, or `None` as for [`database`].
pub(crate) fn standby() -> Option<Server> {
    present(Server::start_as(Durability::None, true))
}

fn present<S, E: std::fmt::Display>(server: Result<S, E>) -> Option<S> {
    static SAID: OnceLock<()> = OnceLock::new();
    match server {
        Ok(server) => Some(server),
        Err(why) if all_tests_are_wanted() => panic!("CONCORDAT_TESTS=all, but PostgreSQL is left out: {why}"),
        Err(why) => {
            SAID.get_or_init(|| {
                // Not `eprintln!`: the test runner would keep it to itself when the test passes.
                let _ = writeln!(io::stderr(), "\nLEFT OUT: every test on PostgreSQL, because {why}\n");
            });
            None
        }
    }
}

/// What a committed transaction survives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Durability {
    /// Nothing is flushed: quick, and enough for a server that is thrown away.
    None,
    /// As in service.
    Full,
}

/// A running server. Dropping it stops it at once and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    programs: PathBuf,
    folder: TempDir,
    watch: Child,
}

impl Server {
    fn start(durability: Durability) -> Result<Self, String> {
        Self::start_as(durability, false)
    }

    fn start_as(durability: Durability, follows: bool) -> Result<Self, String> {
        let programs = programs()?;
        let folder = match durability {
            Durability::None => quick_folder(PREFIX),
            Durability::Full => TempDir::with_prefix(PREFIX),
        };
        let folder = folder.map_err(|e| format!("there is no temporary folder: {e}"))?;
        let user = unprivileged_user(folder.path())?;
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(|e| format!("cannot give the folder to {uid}: {e}"))?;
        }

        let mut initdb = command(&programs.join("initdb"), user);
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER]);
        run(initdb.arg("--pgdata").arg(folder.path().join("files")))?;

        if follows {
            // The file's presence alone makes it one; it reads nothing of it, so it may be anybody's.
            fs::write(folder.path().join("files/standby.signal"), "").map_err(|e| e.to_string())?;
        }

        let mut watch = command(Path::new("/bin/sh"), user);
        watch.args(["-c", WATCH, "watch"]).arg(programs.join("postgres")).arg(folder.path());
        for setting in ["listen_addresses=", "port=5432", "max_connections=300", "timezone=UTC"] {
            watch.args(["-c", setting]);
        }
        if durability == Durability::None {
            watch.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        // In a group of its own, so that an interrupt from the keyboard stops us and the shell still cleans up.
        watch.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let watch = watch.spawn().map_err(|e| format!("/bin/sh does not start: {e}"))?;

        let server = Self { programs, folder, watch };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The URL of another database on the same server.
    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("postgres://{SUPERUSER}@localhost:5432/{name}?host={}", self.folder.path().display())
    }

    /// Whom it runs as.
    pub(crate) fn user(&self) -> (u32, u32) {
        let folder = fs::metadata(self.folder.path()).unwrap();
        (folder.uid(), folder.gid())
    }

    fn is_ready(&self) -> bool {
        let lock = fs::read_to_string(self.folder.path().join("files/postmaster.pid")).unwrap_or_default();
        // The eighth line is the server's state: what `pg_ctl start --wait` reads.
        lock.lines().nth(7).is_some_and(|state| ["ready", "standby"].contains(&state.trim()))
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let until = Instant::now() + START_WITHIN;
        loop {
            if self.is_ready() {
                return Ok(());
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            // A node that asks already is turned away with a FATAL of its own.
            let failed = |line: &str| line.contains("FATAL") && !line.contains("FATAL:  the database system is");
            if log.lines().any(failed) || Instant::now() > until {
                return Err(format!("the server does not start: {}", log.trim()));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Crashes it: every process of it ends at once, and no session is told more than that.
    pub(crate) fn crash(&mut self) {
        self.tell("stop");
        let lock = self.folder.path().join("files/postmaster.pid");
        let until = Instant::now() + START_WITHIN;
        while lock.exists() {
            assert!(Instant::now() < until, "the server does not stop");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it after a crash, and waits until it has recovered.
    pub(crate) fn start_again(&mut self) {
        self.tell("start");
        let until = Instant::now() + START_WITHIN;
        // Clients that are turned away meanwhile leave FATAL in the log: only the state counts here.
        while !self.is_ready() {
            assert!(Instant::now() < until, "the server does not start again");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn tell(&mut self, what: &str) {
        let pipe = self.watch.stdin.as_mut().expect("the pipe is open while the server is held");
        writeln!(pipe, "{what}").expect("the shell reads");
    }

    /// The URL of a fresh, empty database.
    pub(crate) fn database(&self) -> String {
        self.made_of("template0")
    }

    /// The URL of a fresh database that has what this one has.
    fn made_of(&self, template: &str) -> String {
        static MADE: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let mut createdb = command(&self.programs.join("createdb"), None);
        createdb.arg("--host").arg(self.folder.path()).args(["--port=5432", "--username", SUPERUSER]);
        run(createdb.args(["--template", template, &name])).expect("a running server makes databases");
        self.url_of(&name)
    }
}

impl Server {
    /// The URL of the database that every server has.
    pub(crate) fn maintenance_database(&self) -> String {
        format!("postgres://{SUPERUSER}@localhost:5432/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closes the pipe first.
        let _ = self.watch.wait();
    }
}

/// The folder of the server's programs: the one on the path, else the newest of Debian's.
fn programs() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    // What is on the path is often a link, and the other programs are beside what it leads to.
    let on_path = env::split_paths(&path)
        .filter_map(|folder| folder.join("postgres").canonicalize().ok())
        .filter_map(|postgres| postgres.parent().map(Path::to_path_buf));
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort();
    let newest_first = debian.into_iter().rev().map(|(_, folder)| folder);
    on_path
        .chain(newest_first)
        .find(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()))
        .ok_or_else(|| format!("{PROGRAMS:?} are not installed (on Debian: `apt-get install postgresql`)"))
}

/// What `pg_dump` writes of a database. It stands beside the server's programs, or where commands are looked for.
pub(crate) fn dump(url: &str) -> Vec<u8> {
    let beside = programs().map(|folder| folder.join("pg_dump")).ok().filter(|program| program.is_file());
    let program = beside.unwrap_or_else(|| "pg_dump".into());
    let output = Command::new(&program).args(["--inserts", url]).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}: install PostgreSQL's client", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A folder for what nobody needs after the test: in memory where that has room, since a disk that several tests flush
/// to makes each wait for all.
pub(crate) fn quick_folder(prefix: &str) -> io::Result<TempDir> {
    if is_roomy(MEMORY) { TempDir::with_prefix_in(prefix, MEMORY) } else { TempDir::with_prefix(prefix) }
}

/// Whether a file system has room for the databases of a whole test run; in a container this one is often tiny.
fn is_roomy(folder: &str) -> bool {
    let output = Command::new("df").args(["-Pk", folder]).stderr(Stdio::null()).output();
    let table = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let available = table.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    available.is_some_and(|kibibytes| kibibytes >= ROOMY_KIBIBYTES)
}

/// Whom the server runs as when we are root, which it refuses to run as.
fn unprivileged_user(ours: &Path) -> Result<Option<(u32, u32)>, String> {
    if fs::metadata(ours).map_err(|e| e.to_string())?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some).ok_or_else(|| "it does not run as root and there is no user `postgres` or `nobody`".to_owned())
}

/// A command that inherits no setting of ours; `PGHOST` and its like would lead it elsewhere.
fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{program} does not start: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

#[expect(clippy::disallowed_methods, reason = "the harness is where the tests read their settings")]
pub(crate) fn all_tests_are_wanted() -> bool {
    env::var("CONCORDAT_TESTS").is_ok_and(|tests| tests == "all")
}

#[tokio::test]
async fn each_database_is_fresh_and_apart() {
    let (Some(one), Some(two)) = (database(), database()) else { return };
    sqlx::query("CREATE TABLE here (n BIGINT)").execute(&connect(&one).await).await.unwrap();

    let elsewhere = sqlx::query("SELECT n FROM here").fetch_all(&connect(&two).await).await;

    assert!(elsewhere.is_err(), "a table of one test is seen by another");
}

#[tokio::test]
async fn only_a_durable_server_waits_for_the_disk() {
    let (Some(quick), Some(server)) = (database(), durable_server()) else { return };
    let durable = server.database();

    assert_eq!(setting(&quick, "fsync").await, "off");
    assert_eq!(setting(&durable, "fsync").await, "on");
    assert_eq!(setting(&durable, "synchronous_commit").await, "on");
}

#[test]
fn a_server_ends_when_the_pipe_closes() {
    let Some(mut server) = durable_server() else { return };
    let folder = server.folder.path().to_owned();

    // What happens to our end of it when this process is killed.
    drop(server.watch.stdin.take());

    let until = Instant::now() + START_WITHIN;
    while folder.exists() {
        assert!(Instant::now() < until, "{} is still there", folder.display());
        thread::sleep(Duration::from_millis(10));
    }
}

async fn connect(url: &str) -> sqlx::PgPool {
    sqlx::PgPool::connect(url).await.unwrap()
}

async fn setting(url: &str, name: &str) -> String {
    let query = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
    query.fetch_one(&connect(url).await).await.unwrap()
}
