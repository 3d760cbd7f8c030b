//! A4: where both are engaged, least disruption to the organisation; across nodes, too.

use concordat::proto::v1;

use crate::builders::identifier;
use crate::harness::{World, on_both_databases};

on_both_databases! {
    async fn row_a4_three_agencies_see_of_each_other_what_was_put_to_each(world: World) {
        let ncas = world.permit(world.hold_at("nca", "ico", vec![identifier(1)]).await).await.held;
        let ncscs = world.permit(world.hold_at("ncsc", "ico", vec![identifier(1)]).await).await.held;
        let icos = world.hold_at("ico", "nca", vec![identifier(1)]).await;
        world.authorise(&icos).await;
        let to_ncsc = crate::builders::Held { recipient: "ncsc".into(), ..icos.clone() };
        world.authorise(&to_ncsc).await;
        let (of_nca, of_ncsc, of_ico) =
            (world.engaged(&ncas).await, world.engaged(&ncscs).await, world.engaged(&icos).await);
        for (held, engagement) in [(&ncas, &of_nca), (&ncscs, &of_ncsc), (&icos, &of_ico), (&to_ncsc, &of_ico)] {
            world.let_see(held, engagement).await;
        }
        world.ask_victim("nca", &of_nca, "the ransom note").await;
        let list = async |agency: &str| World::only_engaged(world.meeting_list(agency).await);
        assert_eq!(list("ico").await.agencies, ["ico", "nca", "ncsc"]);
        assert_eq!((list("nca").await.agencies, list("nca").await.asks), (vec!["nca".to_owned(), "ico".to_owned()], 1));
        // No agreement is between the two: that the ICO sees both tells neither of the other.
        assert_eq!((list("ncsc").await.agencies, list("ncsc").await.asks), (vec!["ncsc".to_owned(), "ico".to_owned()], 0));
        let puts = list("ico").await.engagements.remove(0).put_to;
        assert_eq!(puts.iter().map(|put| put.agency.as_str()).collect::<Vec<_>>(), ["nca", "ncsc"]);
        let shown = list("ncsc").await.engagements;
        assert!(shown.iter().all(|one| one.agency == "ncsc" || one.put_to.is_empty()), "to whom else, is the ICO's");
    }

    async fn row_a4_an_engagement_on_another_node_is_read_there(world: World) {
        let (ico, nca) = match world.parted("nca").await {
            Ok(both) => both,
            Err(world) => return *world,
        };
        let held = nca.permit(nca.hold_at("nca", "ico", vec![identifier(1)]).await).await.held;
        let engagement = nca.engaged(&held).await;
        assert_eq!(nca.meeting_list("ico").await, v1::ListDeconflictionResponse::default());
        nca.let_see(&held, &engagement).await;
        let seen = World::only_engaged(nca.meeting_list("ico").await);
        assert_eq!(seen.agencies, ["nca"]);
        assert_eq!(ico.meeting_list("ico").await, v1::ListDeconflictionResponse::default(), "it stays with its holder");
        nca.finish().await;
        world = ico;
    }
}
