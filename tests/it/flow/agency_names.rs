//! Agencies are renamed; their ids stay.

use concordat::config::NameSection;
use concordat::proto::v1;
use concordat::proto::v1::agency_service_client::AgencyServiceClient;

use crate::builders::assert_released;
use crate::harness::{World, on_both_databases, timestamp};

impl World {
    async fn agencies(&self, reader: &str) -> Vec<v1::Agency> {
        let mut client = AgencyServiceClient::new(self.officer(reader, "any", &["requester"]));
        client.list_agencies(v1::ListAgenciesRequest {}).await.unwrap().into_inner().agencies
    }
}

on_both_databases! {
    async fn agency_names_change_and_ids_stay(world: World) {
        let permitted = world.permitted("ncsc").await;
        // Ten days from now the ICO is called otherwise.
        let day = world.now().plus_days(10).to_string()[..10].to_owned();
        let ico = world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "ico").unwrap();
        ico.name[0].until = Some(day.clone());
        let name = NameSection { text: "Information Commission".into(), from: day.clone(), until: None };
        ico.name.insert(0, name);
        let nca = world.config.agency.iter_mut().find(|agency| agency.id.as_str() == "nca").unwrap();
        (nca.name, nca.holds) = (Vec::new(), None);
        world = world.restart().await;

        let before = world.agencies("nca").await;
        let ids: Vec<&str> = before.iter().map(|agency| agency.id.as_str()).collect();
        assert_eq!(ids, ["ico", "nca", "ncsc"]);
        assert_eq!(before[0].name, "Information Commissioner's Office");
        let names: Vec<&str> = before[0].names.iter().map(|name| name.text.as_str()).collect();
        assert_eq!(names, ["Information Commissioner's Office", "Information Commission"], "in the order of time");
        let starts = timestamp(concordat::domain::Instant::on_date(&day).unwrap());
        assert_eq!(before[0].names[0].valid_until, Some(starts));
        assert_eq!((before[0].names[1].valid_from, before[0].names[1].valid_until), (Some(starts), None));
        assert_eq!(before[1].name, "nca", "without a name, the id");
        let held: Vec<bool> = before.iter().map(|agency| agency.holds_records).collect();
        assert_eq!(held, [true, false, true]);
        assert!(before[1].duty_desk.is_empty() && before[1].correction_contact.is_empty());
        assert!(before[2].duty_desk.contains("NCSC") && before[2].correction_contact.contains("@ncsc"));

        world.hand.set(world.now().plus_days(11));
        let after = world.agencies("ico").await;
        assert_eq!((after[0].id.as_str(), after[0].name.as_str()), ("ico", "Information Commission"));
        assert_eq!(after[0].names, before[0].names);
        // What rests on the id is what it was.
        assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
    }
}
