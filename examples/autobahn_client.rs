//! Runs all cases of an Autobahn fuzzing server against this crate's client.
//!
//! `cargo run --release --example autobahn_client -- --url ws://127.0.0.1:9002 --agent sansock`

use std::process::ExitCode;

use clap::Parser;
use sansock::{
    Config, Event, Message,
    adapter::{Error, blocking},
};

/// What drives the connections.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Runtime {
    /// A thread that waits
    Blocking,
    /// A task
    #[cfg(feature = "tokio-net")]
    Tokio,
}

#[derive(Parser)]
#[command(about = "Runs all cases of an Autobahn fuzzing server")]
struct Arguments {
    /// Where the fuzzing server listens
    #[arg(long, default_value = "ws://127.0.0.1:9002")]
    url: String,
    /// The name in its report, as it stands in a URI
    #[arg(long, value_name = "NAME", default_value = "sansock")]
    agent: String,
    /// What drives the connections
    #[arg(long, value_enum, default_value = "blocking")]
    runtime: Runtime,
    /// Offer to compress messages, which the cases 12.* and 13.* are about
    #[cfg(feature = "deflate")]
    #[arg(long)]
    deflate: bool,
}

impl Arguments {
    fn config(&self) -> Config {
        let config = Config::default().max_message_len(64 << 20);
        #[cfg(feature = "deflate")]
        let config = config.deflate(self.deflate.then(sansock::deflate::Deflate::default));
        config
    }

    fn uri(&self, target: &str) -> String {
        format!("{}{target}", self.url.trim_end_matches('/'))
    }

    fn case(&self, case: u32) -> String {
        format!("/runCase?case={case}&agent={}", self.agent)
    }

    fn reports(&self) -> String {
        format!("/updateReports?agent={}", self.agent)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(cases) => {
            println!("{cases} cases run, see the server's report");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("autobahn_client: {}: {error}", arguments.url);
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u32, Error> {
    match arguments.runtime {
        Runtime::Blocking => run_blocking(arguments),
        #[cfg(feature = "tokio-net")]
        Runtime::Tokio => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run_tokio(arguments))
        }
    }
}

fn run_blocking(arguments: &Arguments) -> Result<u32, Error> {
    let config = arguments.config();
    let connect = |target: &str| blocking::connect(&arguments.uri(target), &config);
    let count = number(connect("/getCaseCount")?.read()?);
    for case in 1..=count {
        let mut websocket = connect(&arguments.case(case))?;
        // Many cases fail the connection on purpose; the server judges how.
        let _ = websocket.read_with(|event, connection, out| match event {
            Event::Text(text) => connection.send_text(&text, out).err(),
            Event::Binary(data) => connection.send_binary(&data, out).err(),
            _ => None,
        });
    }
    connect(&arguments.reports())?.read()?;
    Ok(count)
}

#[cfg(feature = "tokio-net")]
async fn run_tokio(arguments: &Arguments) -> Result<u32, Error> {
    let config = arguments.config();
    let connect = async |target: &str| sansock::adapter::tokio::connect(&arguments.uri(target), &config).await;
    let count = number(connect("/getCaseCount").await?.recv().await?);
    for case in 1..=count {
        let mut websocket = connect(&arguments.case(case)).await?;
        while let Ok(Some(message)) = websocket.recv().await {
            websocket.feed(message).await?;
        }
    }
    connect(&arguments.reports()).await?.recv().await?;
    Ok(count)
}

fn number(message: Option<Message>) -> u32 {
    match message {
        Some(Message::Text(count)) => count.parse().unwrap_or(0),
        _ => 0,
    }
}
