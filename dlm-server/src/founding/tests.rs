//! What a server decides of what it heard; `every_order` has all orders of it.

use super::*;

mod every_order;

const ME: ServerIdentity = ServerIdentity(10);

fn servers(numbers: &[u64]) -> BTreeSet<ServerId> {
    numbers.iter().copied().map(ServerId).collect()
}

/// Server 1, of three.
fn founder() -> Founder {
    start(&[1, 2, 3], false).expect("a plan")
}

fn start(peers: &[u64], join: bool) -> Result<Founder, FoundingError> {
    let plan = Plan {
        server: ServerId(1),
        peers: servers(peers),
        join,
    };
    Founder::new(plan, ME)
}

/// The founders of a list, of which the servers `known` were heard of.
fn founders(list: &[u64], known: &[u64]) -> Option<Founders> {
    let identity = |server| known.contains(&server).then(|| new(server).identity);
    let list = list.iter();
    Some(
        list.map(|&server| (ServerId(server), identity(server)))
            .collect(),
    )
}

/// A server without a cluster, of identity ten times its number, which founds nothing.
fn new(server: u64) -> Introduction {
    Introduction {
        server: ServerId(server),
        identity: ServerIdentity(u128::from(server) * 10),
        cluster: None,
        you: None,
        founders: None,
    }
}

/// The same, and it founds with the three; it has heard from these.
fn founding(server: u64, known: &[u64]) -> Introduction {
    Introduction {
        founders: founders(&[1, 2, 3], known),
        ..new(server)
    }
}

fn member(server: u64, cluster: u128, you: Standing) -> Introduction {
    Introduction {
        cluster: Some(ClusterId(cluster)),
        you: Some(you),
        founders: None,
        ..new(server)
    }
}

fn hear(founder: &mut Founder, said: Introduction) {
    founder.hear(None, said).expect("heard");
}

fn waiting(founder: &Founder) -> Waiting {
    match founder.decide().expect("decided") {
        Decision::Wait(waiting) => waiting,
        create @ Decision::Create(..) => panic!("{create:?}"),
    }
}

fn created(founder: &Founder) -> (ClusterId, Founding) {
    match founder.decide().expect("decided") {
        Decision::Create(identity, founding) => {
            assert_eq!(
                (identity.server, identity.server_identity),
                (ServerId(1), ME)
            );
            (identity.cluster, founding)
        }
        wait @ Decision::Wait(_) => panic!("{wait:?}"),
    }
}

/// The cluster of servers 1 to 3 with their identities.
fn cluster() -> ClusterId {
    let pairs = [1, 2, 3].map(|server| (ServerId(server), new(server).identity));
    cluster_of(&pairs.into_iter().collect())
}

#[test]
fn who_is_alone_founds_at_once() {
    for peers in [&[][..], &[1]] {
        let (number, founding) = created(&start(peers, false).expect("a plan"));
        assert_eq!(number, cluster_of(&BTreeMap::from([(ServerId(1), ME)])));
        assert!(matches!(founding, Founding::Together(members) if members.voters() == 1));
    }
}

#[test]
fn a_cluster_is_founded_when_all_know_all() {
    let mut founder = founder();
    let missing = Waiting::Introduced(servers(&[3]));
    hear(&mut founder, founding(2, &[2]));
    assert_eq!(waiting(&founder), missing);
    // Itself, at its own address; and a server that this one was not told of.
    hear(&mut founder, founding(1, &[1]));
    hear(&mut founder, founding(7, &[7]));
    assert_eq!(waiting(&founder), missing);
    hear(&mut founder, founding(3, &[1, 2, 3]));
    assert_eq!(waiting(&founder), Waiting::Agreed(servers(&[2])));
    assert_eq!(
        founder.introduction().founders,
        founders(&[1, 2, 3], &[1, 2, 3])
    );
    hear(&mut founder, founding(2, &[1, 2, 3]));
    let (number, founding) = created(&founder);
    assert_eq!(number, cluster());
    let Founding::Together(members) = founding else {
        panic!("{founding:?}");
    };
    let members: Vec<_> = members.iter().collect();
    let voter = true;
    let expected = [1, 2, 3].map(|server| {
        let identity = new(server).identity;
        (ServerId(server), Member { identity, voter })
    });
    assert_eq!(members, expected);
}

#[test]
fn who_was_faster_founded_the_same() {
    let mut founder = founder();
    hear(&mut founder, member(2, cluster().0, Standing::Member));
    let rest = waiting(&founder);
    let expected = Waiting::Rest {
        cluster: cluster(),
        missing: servers(&[3]),
    };
    assert_eq!(rest, expected);
    hear(&mut founder, new(3));
    let (number, founding) = created(&founder);
    assert_eq!(number, cluster());
    assert!(matches!(founding, Founding::Together(_)));
}

#[test]
fn a_founder_of_a_cluster_that_lost_another_joins_it() {
    let mut founder = founder();
    hear(&mut founder, member(2, cluster().0, Standing::Member));
    let identity = ServerIdentity(31);
    let wiped = Introduction { identity, ..new(3) };
    hear(&mut founder, wiped);
    assert_eq!(created(&founder), (cluster(), Founding::Join));
}

#[test]
fn a_wiped_server_does_not_come_back_under_its_number() {
    for join in [false, true] {
        let mut founder = start(&[1, 2, 3], join).expect("a plan");
        hear(&mut founder, member(3, 5, Standing::Stranger));
        hear(&mut founder, member(2, 5, Standing::OtherStorage));
        let (server, by) = (ServerId(1), ServerId(2));
        let error = founder.decide().expect_err("wiped");
        assert_eq!(error, FoundingError::Wiped { server, by });
        let text = error.to_string();
        for command in ["`dlm server remove 1`", "`dlm server add M", "--join"] {
            assert!(text.contains(command), "{text}");
        }
    }
}

#[test]
fn a_cluster_that_was_founded_without_it_is_not_joined_unasked() {
    let mut founder = founder();
    hear(&mut founder, member(2, 5, Standing::Stranger));
    let error = founder.decide().expect_err("not a member");
    assert!(matches!(error, FoundingError::NotAdded { .. }), "{error}");
    assert!(error.to_string().contains("`dlm server add 1"), "{error}");
}

#[test]
fn who_joins_waits_until_it_is_a_member() {
    let mut founder = start(&[2, 3], true).expect("a plan");
    assert_eq!(founder.introduction().founders, None);
    assert_eq!(waiting(&founder), Waiting::Founded);
    hear(&mut founder, new(2));
    hear(&mut founder, new(3));
    assert_eq!(waiting(&founder), Waiting::Founded, "it founds nothing");
    let mut unheard = member(2, 5, Standing::Stranger);
    unheard.you = None;
    hear(&mut founder, unheard);
    let cluster = ClusterId(5);
    assert_eq!(waiting(&founder), Waiting::Told { cluster });
    hear(&mut founder, member(2, 5, Standing::Stranger));
    let server = ServerId(1);
    let added = waiting(&founder);
    assert_eq!(added, Waiting::Added { server });
    assert!(added.to_string().contains("`dlm server add 1 ADDR`"));
    // One knows of it before the other does.
    hear(&mut founder, member(3, 5, Standing::Member));
    assert_eq!(created(&founder), (cluster, Founding::Join));
}

#[test]
fn two_clusters_are_named() {
    let mut founder = founder();
    hear(&mut founder, member(2, 5, Standing::Member));
    hear(&mut founder, member(3, 6, Standing::Stranger));
    let text = founder.decide().expect_err("two clusters").to_string();
    let one = "server 2 belongs to cluster 00000000000000000000000000000005";
    let other = "server 3 to cluster 00000000000000000000000000000006";
    assert!(text.contains(one) && text.contains(other), "{text}");
}

#[test]
fn what_was_set_up_wrongly_is_said() {
    let (server, other) = (ServerId(1), ServerId(2));
    let asked = ServerId(3);
    let says = other;
    let heard = founder().hear(Some(asked), new(2));
    assert_eq!(heard, Err(FoundingError::WrongServer { asked, says }));
    let twin = Introduction {
        identity: ServerIdentity(11),
        ..new(1)
    };
    let heard = founder().hear(None, twin);
    assert_eq!(heard, Err(FoundingError::SameNumber { server }));
    let longer = Introduction {
        founders: founders(&[1, 2, 3, 4], &[]),
        ..new(2)
    };
    let error = founder().hear(None, longer).expect_err("another list");
    assert!(
        error
            .to_string()
            .contains("the servers 1, 2, 3, 4, this one for 1, 2, 3;"),
        "{error}"
    );
}

#[test]
fn a_storage_that_was_replaced_does_not_come_back() {
    let mut founder = founder();
    for identity in [20, 21] {
        let identity = ServerIdentity(identity);
        hear(&mut founder, Introduction { identity, ..new(2) });
    }
    let server = ServerId(2);
    let heard = founder.hear(None, new(2));
    assert_eq!(heard, Err(FoundingError::StorageBack { server }));
    let mut founder = start(&[1, 2, 3], false).expect("a plan");
    let mut identities = (100..).map(ServerIdentity);
    let refused = identities.position(|identity| {
        let said = Introduction { identity, ..new(2) };
        founder.hear(None, said).is_err()
    });
    assert_eq!(refused, Some(STORAGES_MAX), "not without end");
}

#[test]
fn plans_that_cannot_be_are_refused() {
    assert_eq!(start(&[1], true), Err(FoundingError::NobodyToJoin));
    assert_eq!(start(&[0, 2], false), Err(FoundingError::Zero));
    let seven: Vec<u64> = (1..=7).collect();
    assert!(start(&seven, false).is_ok());
    let servers = 8;
    let eight: Vec<u64> = (1..=servers).collect();
    let servers = servers as usize;
    assert_eq!(
        start(&eight, false),
        Err(FoundingError::TooMany { servers })
    );
    assert!(start(&eight, true).is_ok(), "who joins may know many");
}

#[test]
fn a_member_says_what_the_other_is() {
    let identity = Identity {
        cluster: ClusterId(5),
        server: ServerId(2),
        server_identity: ServerIdentity(20),
    };
    let voter = true;
    let one = Member {
        identity: ME,
        voter,
    };
    let members = Members::new([(ServerId(1), one)]);
    for (members, to, expected) in [
        (&members, (1, ME), Some(Standing::Member)),
        (
            &members,
            (1, ServerIdentity(11)),
            Some(Standing::OtherStorage),
        ),
        (&members, (3, ME), Some(Standing::Stranger)),
        (&Members::default(), (1, ME), None),
    ] {
        let (server, storage) = to;
        let said = Introduction::of_member(identity, members, (ServerId(server), storage));
        assert_eq!(said.you, expected);
        assert_eq!(
            (said.server, said.cluster),
            (identity.server, Some(identity.cluster))
        );
    }
}
