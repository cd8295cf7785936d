//! A client through a proxy, over smol.

#[path = "../../tests/support/proxies.rs"]
mod proxies;
#[path = "../../tests/scenarios/tunnel.rs"]
mod scenarios;
#[allow(dead_code, reason = "each scenario needs a part of it")]
mod support;

use sansock::{
    adapter::futures::{client, tunnel},
    client::Request,
};
use support::Smol;

#[test]
fn a_tunnel_leads_to_a_name_that_only_the_proxy_knows() {
    scenarios::a_tunnel_leads_to_a_name_that_only_the_proxy_knows::<Smol, _>(async |stream, proxy, host, config| {
        let stream = tunnel(Smol::stream(stream), Smol::timer(), proxy, host, 80, config).await?;
        Ok(client(stream, Smol::timer(), &Request::new(host, "/"), config).await?.0)
    });
}
