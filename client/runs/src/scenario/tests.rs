//! What scenarios say, and what is wrong with others.

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::limits::ACTIONS_MAX;
use glockwork_proto::node::Policy;

fn parse(text: &str) -> Scenario {
    Scenario::parse("dir/a.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn brief(scenario: &Scenario) -> Vec<String> {
    let actions = scenario.actions.iter().map(|action| {
        let at = units::shown(action.at_us);
        format!("{at} {} {} {:?}", action.verb, action.target, action.undoes)
    });
    actions.collect()
}

#[test]
fn all_of_it_is_read() {
    let scenario = parse(
        r#"
        [workload]
        policy = "nofault"
        group = "mixed"
        seconds = 40
        tasks = 3
        files = 9
        io = "64k"
        reads-percent = 0
        seed = 7
        [expect]
        verdict = "deadlock"
        stall = "2s"
        recovery = "1.5s"
        [[at]]
        time = "7s"
        do = "slow"
        target = "servers"
        delay = "200ms"
        one-way = "to"
        [[at]]
        time = "2s"
        do = "kill"
        target = "server1"
        for = "3s"
        "#,
    );
    assert_eq!(scenario.name, "a");
    let settings = &scenario.settings;
    assert_eq!(settings.policy, Some(Policy::Nofault));
    assert_eq!(settings.io_bytes, Some(65_536));
    assert_eq!(settings.filled(3), *settings, "nothing is left open");
    assert_eq!(scenario.expect, Expect::Deadlock);
    let bounds = scenario.bounds;
    assert_eq!(
        (bounds.stall_us_max, bounds.recovery_us_max),
        (Some(2_000_000), Some(1_500_000))
    );
    let verbs: Vec<Verb> = scenario.actions.iter().map(|action| action.verb).collect();
    let slow = Verb::Slow {
        direction: Direction::To,
        delay_us: 200_000,
    };
    assert_eq!(verbs, [Verb::Kill, Verb::Restart, slow]);
    assert_eq!(scenario.actions[1].undoes, [0]);
    assert_eq!(parse("").settings, Settings::default());
}

#[test]
fn what_undoes_undoes_all_that_it_covers() {
    let scenario = parse(
        r#"
        at = [
            { time = "1s", do = "cut", target = "leader" },
            { time = "2s", do = "slow", target = "leader", delay = "1ms" },
            { time = "3s", do = "cut", target = "node1", for = "1s" },
            { time = "4s", do = "cut", target = "node1" },
            { time = "5s", do = "pause", target = "node1" },
            { time = "6s", do = "heal", target = "everything" },
            { time = "7s", do = "resume", target = "nodes" },
            { time = "8s", do = "restart-rolling", target = "servers" },
            { time = "9s", do = "restart", target = "leader" },
        ]
        "#,
    );
    assert_eq!(
        brief(&scenario),
        [
            "1s cut leader []",
            "2s slow leader []",
            "3s cut node1 []",
            "4s heal node1 [2]",
            "4s cut node1 []",
            "5s pause node1 []",
            "6s heal everything [0, 1, 4]",
            "7s resume nodes [5]",
            "8s restart-rolling servers []",
            "9s restart leader []",
        ]
    );
}

fn wrong(text: &str) -> String {
    Scenario::parse("a.toml", text).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, expected) in [
        ("[workload]\nsecond = 3", "a.toml:2: unknown field `second`"),
        ("[workload\nseconds = 3", "a.toml:1: "),
        ("[workload]\nseconds = -3", "a.toml:2: invalid value"),
        (
            "\n[workload]\nseconds = 0",
            "a.toml:3: seconds is 0: give a number in 1..=86400",
        ),
        ("[workload]\ntasks = 33", "a.toml:2: tasks is 33"),
        (
            "[workload]\nreads-percent = 1000",
            "a.toml:2: reads-percent is 255",
        ),
        (
            "[workload]\nio = \"5k\"",
            "a.toml:2: an io of 5120 bytes is not whole pages",
        ),
        (
            "[workload]\npolicy = \"fast\"",
            "a.toml:2: a policy is one of block",
        ),
        (
            "[expect]\nverdict = \"good\"",
            "a.toml:2: a verdict that is expected is clean or deadlock",
        ),
        ("[expect]\nstall = 3", "a.toml:2: invalid type"),
    ] {
        let said = wrong(text);
        assert!(said.starts_with(expected), "{text}: {said}");
    }
}

/// Keys of an action at 1 s in a run of 30 s, and what is said of them.
const WRONG: [(&str, &str); 19] = [
    (
        "do = \"burn\", target = \"node1\"",
        "there is nothing called `burn` to do; there are cut, slow",
    ),
    ("do = \"cut\"", "missing field `target`"),
    ("do = \"cut\", target = \"server0\"", "there is no server 0"),
    (
        "do = \"cut\", target = \"node1\", one-way = \"up\"",
        "one-way is `from`",
    ),
    (
        "do = \"kill\", target = \"node1\", one-way = \"to\"",
        "`kill` has no direction",
    ),
    (
        "do = \"slow\", target = \"node1\"",
        "`slow` needs a `delay`",
    ),
    (
        "do = \"slow\", target = \"node1\", delay = \"61s\"",
        "above 0 of at most 1m",
    ),
    (
        "do = \"slow\", target = \"node1\", delay = \"0s\"",
        "above 0 of at most 1m",
    ),
    (
        "do = \"cut\", target = \"node1\", delay = \"1s\"",
        "`cut` has no delay",
    ),
    (
        "do = \"cut\", target = \"node1\", for = \"0s\"",
        "it has to last some time",
    ),
    (
        "do = \"restart\", target = \"node1\", for = \"1s\"",
        "`restart` lasts no time",
    ),
    (
        "do = \"stall-store\", target = \"leader\"",
        "leader has no volume",
    ),
    (
        "do = \"fail-store\", target = \"everything\"",
        "everything has no volume",
    ),
    (
        "do = \"restart-rolling\", target = \"server1\"",
        "give nodes or servers instead of server1",
    ),
    (
        "do = \"heal\", target = \"node1\"",
        "there was no cut or slow of it before",
    ),
    (
        "do = \"resume\", target = \"node1\"",
        "there was no pause of it before",
    ),
    (
        "do = \"release-store\", target = \"node1\"",
        "there was no stall-store, slow-store or fail-store",
    ),
    (
        "do = \"cut\", target = \"node1\", for = \"29s\"",
        "heal node1 at 30s is not before the end of a run of 30 s",
    ),
    (
        "do = \"cut\", target = \"node1\", speed = 3",
        "unknown field `speed`",
    ),
];

#[test]
fn what_cannot_be_done_is_said_with_its_line() {
    for (keys, expected) in WRONG {
        let said = wrong(&format!(
            "[workload]\nseconds = 30\n[[at]]\ntime = \"1s\"\n{}",
            keys.replace(", ", "\n")
        ));
        assert!(
            said.starts_with("a.toml:") && said.contains(expected),
            "{keys}: {said}"
        );
    }
}

#[test]
fn what_depends_on_the_order_is_looked_at() {
    let two = |first: &str, second: &str| {
        wrong(&format!(
            "at = [\n{{ time = \"1s\", {first} }},\n{{ time = \"2s\", {second} }},\n]"
        ))
    };
    let said = two(
        "do = \"cut\", target = \"server1\"",
        "do = \"heal\", target = \"leader\"",
    );
    assert!(said.starts_with("a.toml:3: heal leader at 2s"), "{said}");
    let said = two(
        "do = \"kill\", target = \"nodes\"",
        "do = \"kill\", target = \"node1\"",
    );
    assert!(
        said.starts_with("a.toml:3: kill node1 at 2s: that was done at 1s"),
        "{said}"
    );
    let said = two(
        "do = \"burn\", target = \"a\"",
        "do = \"heal\", target = \"a\"",
    );
    assert_eq!(said.lines().count(), 2, "all of it at once: {said}");
}

#[test]
fn limits_names_and_lengths_are_checked() {
    let cut = |number: usize| {
        format!("[[at]]\ntime = \"{number}s\"\ndo = \"restart\"\ntarget = \"node2\"\n")
    };
    let many: String = (0..=ACTIONS_MAX).map(cut).collect();
    assert!(wrong(&many).contains("at most 256 actions"));
    let two = parse(&[cut(1), cut(20)].concat());
    assert!(two.check_length(21).is_ok());
    let said = two.check_length(20).unwrap_err().to_string();
    assert!(
        said.starts_with("dir/a.toml:7: restart node2 at 20s is not before"),
        "{said}"
    );
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert!(two.check_names(&names(&["node1", "node2"]), &[1]).is_ok());
    let said = two.check_names(&names(&["node1"]), &[1, 2]).unwrap_err();
    assert_eq!(said.mistakes.len(), 2);
    assert!(
        said.to_string()
            .contains("there is no node2; there are node1, server1, server2"),
        "{said}"
    );
}

#[test]
fn a_run_s_configuration_is_a_scenario() {
    let scenario = parse(
        "[[at]]\ntime = \"5s\"\ndo = \"cut\"\ntarget = \"a \\\"b\\\"\"\nfor = \"2s\"\none-way = \"from\"\n[expect]\nstall = \"1500ms\"",
    );
    let mut config = Config::new(&scenario.settings, vec!["a".into()], 3, "1", 0).unwrap();
    config.bounds = scenario.bounds;
    let written = Scenario::of_run(&config, &scenario.actions).to_toml();
    let again = parse(&written);
    assert_eq!(again.settings, config.settings(), "{written}");
    assert_eq!((again.bounds, again.expect), (config.bounds, config.expect));
    assert_eq!(brief(&again), brief(&scenario));
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in ".{0,200}") {
        if let Err(error) = Scenario::parse("a.toml", &text) {
            prop_assert!(!error.mistakes.is_empty());
        }
    }

    #[test]
    fn whatever_is_written_is_read_as_the_same(
        actions in prop::collection::vec((0_u64..100, 0_usize..6, 1_u64..50), 0..20),
    ) {
        let texts = actions.iter().map(|(at, what, lasts)| {
            let what = match what {
                0 => format!("do = \"cut\"\ntarget = \"node1\"\nfor = \"{lasts}s\""),
                1 => format!("do = \"slow\"\ntarget = \"server2\"\ndelay = \"{lasts}ms\""),
                2 => format!("do = \"pause\"\ntarget = \"nodes\"\nfor = \"{lasts}ms\""),
                3 => format!("do = \"stall-store\"\ntarget = \"node2\"\nfor = \"{lasts}s\""),
                4 => "do = \"heal\"\ntarget = \"everything\"".into(),
                _ => "do = \"restart-rolling\"\ntarget = \"servers\"".into(),
            };
            format!("[[at]]\ntime = \"{at}s\"\n{what}\n")
        });
        let text: String = texts.collect();
        if let Ok(scenario) = Scenario::parse("a.toml", &text) {
            let again = Scenario::parse("a.toml", &scenario.to_toml());
            prop_assert_eq!(brief(&again.unwrap()), brief(&scenario));
            prop_assert!(scenario.actions.is_sorted_by_key(|action| action.at_us));
        }
    }
}

/// Those that come with the project, on the cluster that does.
#[test]
fn the_scenarios_of_the_deployment_fit_its_cluster() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/scenarios");
    let nodes: Vec<String> = (1..=4).map(|number| format!("node{number}")).collect();
    let mut found = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let scenario = Scenario::read(&path).unwrap_or_else(|error| panic!("{error}"));
        scenario
            .check_names(&nodes, &[1, 2, 3])
            .unwrap_or_else(|error| panic!("{error}"));
        let name = &scenario.name;
        assert!(
            scenario.text.starts_with("# "),
            "{name} says at its top what should happen"
        );
        let length_us = scenario.settings.seconds.unwrap() * 1_000_000;
        let last = scenario.actions.last().unwrap();
        assert!(
            last.at_us + 5_000_000 <= length_us,
            "{name} leaves no time to recover"
        );
        assert!(scenario.bounds.stall_us_max.is_some(), "{name} has a bound");
        found += 1;
    }
    assert_eq!(found, 6);
}
