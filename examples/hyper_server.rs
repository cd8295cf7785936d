//! A WebSocket server on hyper that sends back what it gets, over HTTP/1.1 and HTTP/2, and a page to try it.
//!
//! `cargo run --release --features http2,tls --example hyper_server`, then open the page that it names. Browsers speak HTTP/2
//! only by TLS, with `--tls`.

use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
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
        hyper::{self as adapter, Upgrade, WebSocket},
    },
    handshake::Refused,
    server,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

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
    let address = listener.local_addr()?;
    let (tls, secure) = if arguments.tls { (Some(acceptor()), "s") } else { (None, "") };
    println!("a page to try it:  http{secure}://{address}/");
    println!("the WebSocket:     ws{secure}://{address}/");
    io::stdout().flush()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let tls = tls.clone();
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let served = match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream).await,
                            Err(error) => Err(error.into()),
                        },
                        None => serve(stream).await,
                    };
                    served.unwrap_or_else(|error| eprintln!("{peer}: {error}"));
                });
            }
            Err(error) => {
                // No more sockets for now: those who are served make room.
                eprintln!("hyper_server: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
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
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().enable_connect_protocol();
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request)));
    builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
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
    println!("a WebSocket over {:?}", request.version());
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
async fn echo(websocket: impl Future<Output = Result<WebSocket, adapter::Error>>) -> Result<(), adapter::Error> {
    let mut websocket = websocket.await?;
    while let Some(message) = websocket.recv().await? {
        websocket.feed(message).await?;
    }
    Ok(())
}
