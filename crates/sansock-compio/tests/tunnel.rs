//! A client through a proxy, over compio.

#[path = "../../../tests/support/proxies.rs"]
mod proxies;
#[path = "../../../tests/scenarios/tunnel.rs"]
mod scenarios;
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

use sansock_compio::{client, sansock::client::Request, tunnel};
use support::Compio;

#[test]
fn a_tunnel_leads_to_a_name_that_only_the_proxy_knows() {
    scenarios::a_tunnel_leads_to_a_name_that_only_the_proxy_knows::<Compio, _>(async |stream, proxy, host, config| {
        let stream = tunnel(Compio::stream(stream), proxy, host, 80, config).await?;
        Ok(client(stream, &Request::new(host, "/"), config).await?.0)
    });
}
