//! A WebSocket server on hyper that sends back what it gets, over HTTP/1.1 and HTTP/2, and a page to try it.
//!
//! `cargo run --release --features http2 --example hyper_server`, then open the page that it names.

use std::{
    convert::Infallible,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use sansock::{
    Config,
    adapter::{
        http::refusal,
        hyper::{Error, Upgrade, WebSocket},
    },
    handshake::Refused,
    server,
};
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
#[command(about = "A WebSocket server on hyper that sends back what it gets, and a page to try it")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { listen } = Arguments::parse();
    match run(&listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyper_server: cannot listen on {listen}: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(listen: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    println!("a page to try it:  http://{address}/");
    println!("the WebSocket:     ws://{address}/");
    io::stdout().flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
            Err(error) => {
                // No more sockets for now: those who are served make room.
                eprintln!("hyper_server: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream) {
    let peer = stream.peer_addr();
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().enable_connect_protocol();
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request)));
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        eprintln!("{peer:?}: {error}");
    }
}

/// The page for who asks for it, a WebSocket for who asks for an upgrade, on every path.
fn answer(mut request: Request<Incoming>) -> Response<String> {
    let config = Config::default().max_message_len(64 << 20);
    let upgrade = match Upgrade::new(&mut request, &config) {
        Ok(upgrade) if upgrade.request().is_upgrade() => upgrade,
        Ok(_) if request.uri().path() == "/" => {
            let page = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
            return page.body(include_str!("echo_page.html").into()).expect("a valid answer");
        }
        Ok(_) => {
            let nothing = Response::builder().status(StatusCode::NOT_FOUND);
            return nothing.body("Not found\n".into()).expect("a valid answer");
        }
        Err(error) => return refusal(error).map(String::from),
    };
    open(&upgrade).unwrap_or_else(|refused| refusal(refused).map(String::from))
}

fn open(upgrade: &Upgrade) -> Result<Response<String>, Refused> {
    let subprotocol = upgrade.request().preferred(&["chat", "superchat"]);
    let (answer, websocket) = upgrade.accept(&server::Response::new().subprotocol(subprotocol))?;
    tokio::spawn(async {
        if let Err(error) = echo(websocket).await {
            eprintln!("{error}");
        }
    });
    Ok(answer.map(|()| String::new()))
}

/// Until the connection ends. It is there when hyper has sent the answer.
async fn echo(websocket: impl Future<Output = Result<WebSocket, Error>>) -> Result<(), Error> {
    let mut websocket = websocket.await?;
    while let Some(message) = websocket.recv().await? {
        websocket.feed(message).await?;
    }
    Ok(())
}
