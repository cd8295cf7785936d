//! Runs all cases of an Autobahn fuzzing server against this crate's client.
//!
//! `cargo run --release --example autobahn_client -- --url ws://127.0.0.1:9002 --agent sansock`

use std::{net::TcpStream, process::ExitCode};

use clap::Parser;
use sansock::{
    Config, Event, Message,
    adapter::blocking::{self, Error, WebSocket},
};

#[derive(Parser)]
#[command(about = "Runs all cases of an Autobahn fuzzing server")]
struct Arguments {
    /// Where the fuzzing server listens
    #[arg(long, default_value = "ws://127.0.0.1:9002")]
    url: String,
    /// The name in its report, as it stands in a URI
    #[arg(long, value_name = "NAME", default_value = "sansock")]
    agent: String,
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
    let (agent, config) = (&arguments.agent, arguments.config());
    let connect = |target: &str| connect(&arguments.url, target, &config);
    let count = match connect("/getCaseCount")?.read()? {
        Some(Message::Text(count)) => count.parse().unwrap_or(0),
        _ => 0,
    };
    for case in 1..=count {
        let mut websocket = connect(&format!("/runCase?case={case}&agent={agent}"))?;
        // Many cases fail the connection on purpose; the server judges how.
        let _ = websocket.read_with(|event, connection, out| match event {
            Event::Text(text) => connection.send_text(&text, out).err(),
            Event::Binary(data) => connection.send_binary(&data, out).err(),
            _ => None,
        });
    }
    connect(&format!("/updateReports?agent={agent}"))?.read()?;
    Ok(count)
}

fn connect(url: &str, target: &str, config: &Config) -> Result<WebSocket<TcpStream>, Error> {
    blocking::connect(&format!("{}{target}", url.trim_end_matches('/')), config)
}
