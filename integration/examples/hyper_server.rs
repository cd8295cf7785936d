//! A WebSocket server on hyper that sends back what it gets, over HTTP/1.1 and HTTP/2, and a page to try it.
//!
//! `cargo run --release -p sansock-integration --example hyper_server`, then open the page that it names. Browsers
//! speak HTTP/2 only by TLS, with `--tls`.

#[path = "../../examples/support/accept.rs"]
mod accept;
#[path = "../../examples/support/shutdown.rs"]
mod shutdown;

use std::{
    convert::Infallible,
    error::Error,
    future,
    io::{self, Write},
    pin::pin,
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use sansock::{
    CloseCode, Config,
    adapter::{
        http::refusal,
        hyper::{self as adapter, Upgrade, WebSocket},
        tcp,
    },
    handshake::Refused,
    server,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::{accept::accept, shutdown::Shutdown};

#[derive(Parser)]
#[command(about = "A WebSocket server on hyper that sends back what it gets, and a page to try it")]
struct Arguments {
    /// The address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,
    /// Speak TLS, with a certificate that nobody has signed
    #[arg(long)]
    tls: bool,
}

// A client that never opens the window of a stream pins what was written to it until the TCP connection ends, because
// hyper takes writes before there is room for them: at most `MAX_STREAMS` times (`MAX_SEND_BUF` and four writes).

/// The most streams that a connection of HTTP/2 has open at once; hyper's default is 200. RFC 9113 §6.5.2 recommends no
/// fewer than 100.
const MAX_STREAMS: u32 = 100;

/// With this much buffered of a stream, the next write has to wait; hyper's default is 400 KiB.
const MAX_SEND_BUF: usize = 64 << 10;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyper_server: cannot listen on {}: {error}", arguments.listen);
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(&arguments.listen).await?;
    let shutdown = Shutdown::on_signal();
    let address = listener.local_addr()?;
    let (tls, secure) = if arguments.tls { (Some(acceptor()), "s") } else { (None, "") };
    println!("a page to try it:  http{secure}://{address}/");
    println!("the WebSocket:     ws{secure}://{address}/");
    io::stdout().flush()?;
    while let Some((stream, peer)) = shutdown.or(accept(|| listener.accept(), time::sleep)).await {
        let (tls, serving) = (tls.clone(), shutdown.clone());
        tokio::spawn(shutdown.track(async move {
            let _ = tcp::tune(&stream);
            let served = match tls {
                Some(tls) => match serving.or(tls.accept(stream)).await {
                    Some(Ok(stream)) => serve(stream, serving).await,
                    Some(Err(error)) => Err(error.into()),
                    None => Ok(()),
                },
                None => serve(stream, serving).await,
            };
            served.unwrap_or_else(|error| eprintln!("{peer}: {error}"));
        }));
    }
    drop(listener);
    let _ = time::timeout(shutdown::DEADLINE, shutdown.finished()).await;
    Ok(())
}

fn acceptor() -> TlsAcceptor {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.into()], key);
    let mut config = config.expect("the key is that of the certificate");
    config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    shutdown: Shutdown,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().enable_connect_protocol().max_concurrent_streams(MAX_STREAMS).max_send_buf_size(MAX_SEND_BUF);
    let serving = shutdown.clone();
    let service = service_fn(move |request| future::ready(Ok::<_, Infallible>(answer(request, &serving))));
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    if let Some(served) = shutdown.or(connection.as_mut()).await {
        return served;
    }
    // No further request. Over HTTP/2 this goes on until the WebSockets on its streams have closed.
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// The page for who asks for it, a WebSocket for who asks for an upgrade, on every path.
fn answer(mut request: Request<Incoming>, shutdown: &Shutdown) -> Response<String> {
    let config = Config::default().max_message_len(64 << 20);
    let upgrade = match Upgrade::new(&mut request, &config) {
        Ok(upgrade) if upgrade.request().is_upgrade() => upgrade,
        Ok(_) if request.uri().path() == "/" => {
            let page = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
            return page.body(include_str!("../../examples/echo_page.html").into()).expect("a valid answer");
        }
        Ok(_) => {
            let nothing = Response::builder().status(StatusCode::NOT_FOUND);
            return nothing.body("Not found\n".into()).expect("a valid answer");
        }
        Err(error) => return refusal(error).map(String::from),
    };
    println!("a WebSocket over {:?}", request.version());
    open(&upgrade, shutdown).unwrap_or_else(|refused| refusal(refused).map(String::from))
}

fn open(upgrade: &Upgrade, shutdown: &Shutdown) -> Result<Response<String>, Refused> {
    let subprotocol = upgrade.request().preferred(&["chat", "superchat"]);
    let (answer, websocket) = upgrade.accept(&server::Response::new().subprotocol(subprotocol))?;
    let serving = shutdown.clone();
    tokio::spawn(shutdown.track(async move {
        if let Err(error) = echo(websocket, &serving).await {
            eprintln!("{error}");
        }
    }));
    Ok(answer.map(|()| String::new()))
}

/// Until the connection ends. It is there when hyper has sent the answer.
async fn echo(
    websocket: impl Future<Output = Result<WebSocket, adapter::Error>>,
    shutdown: &Shutdown,
) -> Result<(), adapter::Error> {
    let mut websocket = websocket.await?;
    while let Some(received) = shutdown.or(websocket.recv()).await {
        let Some(message) = received? else { return Ok(()) };
        websocket.feed(message).await?;
    }
    websocket.close(CloseCode::GOING_AWAY, shutdown::REASON).await
}
