//! The packaged program, run as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

use kafscale_server::config::table::VARIABLES;

fn kafscale() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kafscale"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KAFSCALE_")) {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = kafscale()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A broker process; killed when the test fails before it ends.
struct Broker {
    child: Child,
    address: String,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Broker {
    fn start(store: &str) -> Broker {
        let mut child = kafscale()
            .args([
                "broker",
                "--broker-addr",
                "127.0.0.1:0",
                "--metrics-addr",
                "127.0.0.1:0",
                "--log-format",
                "text",
            ])
            .env("KAFSCALE_STORE_URL", store)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let started = lines
            .by_ref()
            .find(|line| line.contains("serving Kafka on "))
            .unwrap();
        let address = started
            .split("serving Kafka on ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        Broker {
            child,
            address,
            lines: Box::new(lines),
        }
    }

    fn terminate(&mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(
            // The shell's own `kill`: a small machine has no other.
            Command::new("sh")
                .args(["-c", "kill -TERM \"$0\"", &id])
                .status()
                .unwrap()
                .success()
        );
        let code = self.child.wait().unwrap().code().unwrap();
        (code, self.lines.by_ref().collect::<Vec<_>>().join("\n"))
    }
}

#[test]
fn lines_go_in_and_come_out_and_sigterm_ends_the_broker_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("file://{}", dir.path().display());
    let mut broker = Broker::start(&store);
    let lines: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
    let produced = run(&["produce", "t", "--bootstrap", &broker.address], &lines);
    assert!(produced.status.success(), "{}", text(&produced.stderr));
    assert!(text(&produced.stderr).contains("10000 records written to t"));
    let consumed = run(
        &["consume", "t", "--bootstrap", &broker.address, "--exit-at-end"],
        "",
    );
    assert!(consumed.status.success(), "{}", text(&consumed.stderr));
    assert_eq!(text(&consumed.stdout), lines);
    let (code, said) = broker.terminate();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("everything that was accepted is in the bucket"),
        "{said}"
    );

    let broker = Broker::start(&store);
    let some = run(
        &[
            "consume",
            "t",
            "--bootstrap",
            &broker.address,
            "--max-messages",
            "2",
        ],
        "",
    );
    assert_eq!(text(&some.stdout), "line 0\nline 1\n");
}

#[test]
fn keys_keep_their_values_in_order_in_every_codec() {
    let broker = Broker::start("memory:");
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let arguments = ["--key-separator", ":", "--bootstrap", &broker.address];
        let input = "a:1\nb:2\na:3\nno key\n";
        let produced = run(
            &[&["produce", codec, "--compression", codec][..], &arguments].concat(),
            input,
        );
        assert!(produced.status.success(), "{}", text(&produced.stderr));
        let consumed = run(
            &[&["consume", codec, "--exit-at-end"][..], &arguments].concat(),
            "",
        );
        assert_eq!(text(&consumed.stdout), "a:1\nb:2\na:3\n:no key\n", "{codec}");
    }
}

#[test]
fn help_names_every_flag_and_its_variable() {
    let help = run(&["broker", "--help"], "");
    assert!(help.status.success());
    let help = text(&help.stdout);
    for variable in VARIABLES {
        if let Some(flag) = variable.flag {
            assert!(help.contains(&format!("--{flag} ")), "--{flag}");
            assert!(
                help.contains(&format!("[{}, default: ", variable.name)),
                "{}",
                variable.name
            );
        }
    }
    for arguments in [&["--help"][..], &["produce", "--help"], &["consume", "--help"]] {
        assert!(
            text(&run(arguments, "").stdout).contains("Examples:"),
            "{arguments:?}"
        );
    }
    assert!(text(&run(&["--version"], "").stdout).starts_with("kafscale "));
}

#[test]
fn mistakes_end_with_a_message_and_a_code() {
    let none = run(&["broker"], "");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("kafscale broker --store file:///var/lib/kafscale"));
    let bad = run(&["broker", "--store", "memory:", "--broker-id", "x"], "");
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("--broker-id is \"x\"; it must be a whole number"));
    assert_eq!(run(&["broker", "--no-such-flag"], "").status.code(), Some(2));
    let nobody = run(&["consume", "t", "--bootstrap", "127.0.0.1:1"], "");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("Is a broker running there?"));
}
